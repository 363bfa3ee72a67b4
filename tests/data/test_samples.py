import pytest
from support.image_sources import write_csv

from edge_convnext.core.errors import DataError
from edge_convnext.data.samples import list_source, read_source


def test_samples_have_their_side_and_the_index_of_their_class(make_images):
    root = make_images({"train/dog": 1, "train/cat": 2, "val/cat": 1, "val/dog": 1})
    reading = read_source(list_source(root))
    assert reading.classes == ("cat", "dog")
    assert sorted(one.label for one in reading.sides["train"]) == [0, 0, 1]
    assert reading.listing.entries == ()
    turned = read_source(list_source(root), classes=("dog", "cat"))
    assert sorted(one.label for one in turned.sides["train"]) == [0, 1, 1]


def test_a_file_that_can_not_be_read_stops_or_is_left_out(make_images):
    root = make_images({"cat": 2, "dog": 1})

    def sha256(path):
        if path.parent.name == "cat":
            raise PermissionError(13, "Permission denied")
        return "d" * 64

    with pytest.raises(DataError, match=r"can't be read \(Permission denied\); repair it, or pass"):
        read_source(list_source(root), sha256=sha256)
    reading = read_source(list_source(root), skip_bad_images=True, sha256=sha256)
    assert [one.sha256 for one in reading.sides[None]] == ["d" * 64]
    assert len(reading.skipped) == 2


def test_content_that_is_not_what_was_recorded_is_refused(make_images):
    root = make_images({"cat": 1})
    source = write_csv(root, f"path,label,sha256\ncat/0.png,cat,{'0' * 64}\n")
    with pytest.raises(DataError, match="is not the image recorded there"):
        read_source(list_source(source))


def test_what_is_no_source_is_refused(tmp_path):
    (tmp_path / "a.zip").touch()
    for name, words in (("none", "no such folder"), ("a.zip", "unpack an archive first")):
        with pytest.raises(DataError, match=words):
            list_source(tmp_path / name)
    with pytest.raises(DataError, match="no rows below the header"):
        list_source(write_csv(tmp_path, "path,label\n"))


@pytest.mark.parametrize(
    ("content", "rest"),
    [("", ""), ("\ufeff", ""), ("\n\n", " but for comments"), ("# mine\n", " but for comments")],
)
def test_an_empty_table_is_called_empty(tmp_path, content, rest):
    with pytest.raises(DataError) as caught:
        list_source(write_csv(tmp_path, content))
    assert f"is empty{rest}" in str(caught.value)
    assert "its first line must read path,label" in str(caught.value)


def test_a_missing_source_names_what_is_called_alike_in_its_folder(tmp_path):
    (tmp_path / "potatoes").mkdir()
    (tmp_path / "potato.csv").touch()
    (tmp_path / "potato.jpg").touch()
    with pytest.raises(DataError) as caught:
        list_source(tmp_path / "potatos" / "train")
    said = str(caught.value)
    assert f"; {tmp_path} has 'potatoes' and 'potato.csv': pass a folder of images" in said
    assert "potato.jpg" not in said


def test_a_missing_source_with_nothing_alike_says_where_was_looked(tmp_path):
    with pytest.raises(DataError) as caught:
        list_source(tmp_path / "nope")
    assert (
        f"pass a folder of images, or a CSV path,label (there is no 'nope' in {tmp_path})"
        in str(caught.value)
    )
