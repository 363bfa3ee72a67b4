from __future__ import annotations

import json

import pytest

from edge_convnext.core.errors import DataError
from edge_convnext.data.labels_file import read_labels, read_labels_file

CLASSES = ("cat", "dog", "emu")
FORMS = {
    "id2label.json": json.dumps({str(i): name for i, name in enumerate(CLASSES)}),
    "class_to_idx.json": json.dumps({name: i for i, name in enumerate(CLASSES)}),
    "config.json": json.dumps({"id2label": {"0": "cat", "1": "dog", "2": "emu"}, "x": [1]}),
    "imagenet.json": json.dumps({str(i): [f"n{i:08d}", name] for i, name in enumerate(CLASSES)}),
    "pairs.json": json.dumps([[name, i] for i, name in enumerate(CLASSES)]),
    "records.json": json.dumps([{"id": 2 - i, "name": n} for i, n in enumerate(CLASSES[::-1])]),
    "coco.json": json.dumps({"categories": [{"id": i, "name": n} for i, n in enumerate(CLASSES)]}),
    "list.json": json.dumps(list(CLASSES)),
    "python.txt": "{0: 'cat',\n 1: 'dog',\n 2: 'emu'}",
    "vocab.json": json.dumps({"vocab": CLASSES}),
    "data.yaml": "nc: 3\nnames:\n  0: cat\n  1: dog\n  2: emu\n",
    "flow.yaml": "names: [cat, dog, emu]\ntrain: ../train\n",
    "list.yaml": "- cat\n- dog\n- emu\n",
    "map.pbtxt": "".join(
        f"item {{\n id: {i + 1}\n name: '{n}'\n}}\n" for i, n in enumerate(CLASSES)
    ),
}


def test_labels_files_hold_lines_or_a_json_list(tmp_path):
    path = tmp_path / "labels"
    path.write_text("b\n a \n\n")
    assert read_labels_file(path) == ("b", "a")
    path.write_text('["b", "a, c"]')
    assert read_labels_file(path) == ("b", "a, c")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no class names"),
        (b"a\n\nb", "entry 2 is not a class name"),
        (b"[1, 2]", "entry 1 is not a class name: 1"),
        (b'["a"', "starts like a JSON list"),
        (b"\xff\xff", "not UTF-8"),
        (b"\xff\xfe", "no class names"),  # UTF-16
    ],
)
def test_bad_labels_files_are_refused(tmp_path, content, message):
    path = tmp_path / "labels"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_labels_file(path)


@pytest.mark.parametrize("name", ["labels.txt", "labels.csv", "labels.yaml", "labels.json"])
@pytest.mark.parametrize("data_names", [(), ("cat", "dog")])
@pytest.mark.parametrize(
    "text",
    [
        "", "\n \n", "# my classes\n", "# my\n\n# classes\n", "\ufeff", "[]", "{}", "names: []\n",
        "names:\n", '{"names": []}', '{"names": {}}',
    ],
)  # fmt: skip
def test_a_file_without_a_name_says_so_in_every_form(tmp_path, name, data_names, text):
    (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(DataError) as caught:
        read_labels(tmp_path / name, data_names)
    assert str(caught.value).endswith(
        f"{name}: no class names in it; write one a line, in logit order"
    )


@pytest.mark.parametrize("text", ["id,name\n", "name\n", "# of the model\nClass, ID\n"])
def test_a_header_alone_names_no_class(tmp_path, text):
    (tmp_path / "labels.csv").write_text(text)
    with pytest.raises(DataError, match="no class names in it"):
        read_labels(tmp_path / "labels.csv", ("cat", "dog"))


def test_a_class_that_is_called_like_a_header_is_one(tmp_path):
    (tmp_path / "labels.txt").write_text("id,name\n")
    assert read_labels(tmp_path / "labels.txt", ("id", "name")).names == ("id", "name")


@pytest.mark.parametrize("name", sorted(FORMS))
def test_labels_files_are_read_in_the_forms_people_have(tmp_path, name):
    (tmp_path / name).write_text(FORMS[name], encoding="utf-8", newline="")
    assert read_labels_file(tmp_path / name) == CLASSES


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"0": 1, "1": 0}', "maps numbers to numbers"),
        ('{"cat": "Katze"}', "a mapping without indices (its first key is 'cat')"),
        ('{"cat": 0, "dog": 2}', "indices are not 0 to 1 (they run from 0 to 2)"),
        ('{"cat": 0, "cat": 1}', "'cat' comes twice"),
        ("names: &a [x]\nclasses: *a\n", "line 2: it has aliases"),
    ],
)
def test_labels_files_of_two_meanings_are_refused(tmp_path, text, message):
    (tmp_path / "labels").write_text(text)
    with pytest.raises(DataError) as caught:
        read_labels_file(tmp_path / "labels")
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        '[["' + "9" * 5000 + '", 7], ["1", 8]]',
        "item {" * 200_000,
        "{" * 200_000 + "'",
        ("names:" + "\n" * 100_000) * 2,
    ],
)
def test_labels_files_that_would_hang_or_break_a_reader(tmp_path, text):
    (tmp_path / "labels.txt").write_text(text)
    with pytest.raises(DataError) as caught:
        read_labels_file(tmp_path / "labels.txt")
    assert len(str(caught.value)) < 1700


def test_a_line_names_the_folder_that_has_blanks_at_its_ends(tmp_path):
    path = tmp_path / "names.txt"
    path.write_text("owl\ncat\n dog\n")
    assert read_labels(path, (" cat", "dog ", "owl")).names == ("owl", " cat", "dog ")
    assert read_labels(path, (" cat", "cat", "owl")).names == ("owl", "cat", "dog")
