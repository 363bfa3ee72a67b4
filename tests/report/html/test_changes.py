import os

import pytest
from support.gate_builds import make_build, sha

from edge_convnext.report.html.changes import Change, changes_blocks, read_changes
from edge_convnext.report.html.parts import Limits


def test_answers_that_differ_are_read_with_what_became_of_them(tmp_path):
    path = make_build(tmp_path, n=100, lost=3, won=2).with_name("predictions.csv")
    found = read_changes(path)
    assert [one.kind for one in found] == ["won", "won", "lost", "lost", "lost"]
    assert found[0] == Change(sha(0), "class 0", "class 1", "class 0")


@pytest.mark.parametrize(
    "text",
    [None, "", "a,b\n1,2\n", "sha256,label,fp32_top1\nx,y,z\n", "fp32_top1,int8_top1\n1,2\n",
     b"\xff\xfe\0", "sha256,label,fp32_top1,int8_top1\n" + "x" * 200_000],
)  # fmt: skip
def test_what_are_no_predictions_of_two_precisions_is_no_error(tmp_path, text):
    path = tmp_path / "predictions.csv"
    if isinstance(text, bytes):
        path.write_bytes(text)
    elif text is not None:
        path.write_text(text)
    assert read_changes(path) is None


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "predictions.csv")
    assert read_changes(tmp_path / "predictions.csv") is None


def test_few_classes_make_a_matrix_and_many_a_list():
    changes = [Change("a", "cat", "cat", "dog"), Change("b", "dog", "cat", "dog"),
               Change("c", "ant", "cat", "dog")]  # fmt: skip
    words, matrix, pairs, _ = changes_blocks(changes, {}, Limits())
    assert words.text == (
        "3 answers changed: 1 right to wrong, 1 wrong to right, 1 from one wrong class to another."
    )
    assert matrix.headings[1:] == ("cat", "dog")
    assert matrix.rows == (("cat", "0", "3"), ("dog", "0", "0"))
    assert {cells[-1] for cells in pairs.rows} == {"lost", "won", "both wrong"}
    many = [Change(str(place), "x", str(place), str(place + 1)) for place in range(20)]
    kinds = [one.kind for one in changes_blocks(many, {}, Limits())]
    assert kinds == ["words", "table", "bullets"]


def test_images_are_shown_only_where_they_are_given():
    changes = [Change("a", "cat", "cat", "dog"), Change("b", "dog", "cat", "dog")]
    *_, last = changes_blocks(changes, {"a": "data:image/jpeg;base64,xx"}, Limits())
    assert last.images == (
        ("data:image/jpeg;base64,xx", "cat: FP32 says cat, built says dog", "lost"),
    )
    *_, last = changes_blocks(changes, {}, Limits())
    assert "--with-images" in last.lines[0]


def test_none_changed_and_none_known_are_two_things():
    assert changes_blocks([], {}, Limits())[0].text == "No image's answer changed."
    assert "not recorded" in changes_blocks(None, {}, Limits())[0].text
