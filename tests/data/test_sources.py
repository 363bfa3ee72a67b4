"""Folders, CSV files and label files: what is listed, and what is refused in one line."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from edge_convnext.core.errors import DataError
from edge_convnext.data.labels import class_order, read_labels_file
from edge_convnext.data.samples import list_source, read_source


def write_csv(root: Path, text: str) -> Path:
    path = root / "list.csv"
    path.write_text(text, encoding="utf-8")
    return path


def listed(source: Path, **options) -> list[tuple]:
    entries = list_source(source, **options).entries
    return [(entry.path.name, entry.label, entry.side, entry.group) for entry in entries]


def refusal(source: Path, **options) -> str:
    with pytest.raises(DataError) as caught:
        read_source(list_source(source, **options))
    message = str(caught.value)
    assert "\n" not in message
    return message


# Folders


def test_class_folders_give_labels_in_name_order(make_images):
    root = make_images({"dog": 1, "cat": 2})
    assert listed(root) == [
        ("0.png", "cat", None, None),
        ("1.png", "cat", None, None),
        ("0.png", "dog", None, None),
    ]


@pytest.mark.parametrize("val", ["val", "valid", "validation", "test", "Val"])
def test_split_folders_give_sides(make_images, val):
    root = make_images({"train/cat": 2, f"{val}/cat": 1})
    assert sorted(side for _, _, side, _ in listed(root)) == ["train", "train", "val"]


def test_a_test_folder_beside_val_is_not_even_listed(make_images):
    root = make_images({"train/cat": 1, "val/cat": 1, "test": 1})
    listing = list_source(root)
    assert len(listing.entries) == 2
    assert listing.split_by == "by folder: train/, val/; not used: test/"


def test_a_class_may_be_called_train(make_images):
    root = make_images({"train": 1, "bus": 1})
    assert [label for _, label, _, _ in listed(root)] == ["bus", "train"]


def test_hidden_and_foreign_files_are_passed_over_and_suffixes_ignore_case(make_images):
    root = make_images({"cat": 1})
    (root / "cat" / "0.png").rename(root / "cat" / "0.PNG")
    (root / "cat" / "Thumbs.db").touch()
    (root / "cat" / ".0.png").touch()
    (root / ".git").mkdir()
    assert listed(root) == [("0.PNG", "cat", None, None)]


def test_images_may_lie_deeper_inside_a_class_folder(make_images):
    assert listed(make_images({"cat/images": 1})) == [("0.png", "cat", None, None)]


def test_a_flat_folder_serves_only_where_no_labels_are_needed(make_images):
    root = make_images({".": 2})
    assert listed(root, labelled=False) == [
        ("0.png", None, None, None),
        ("1.png", None, None, None),
    ]
    assert "2 images but no class folders" in refusal(root)


def test_an_empty_class_folder_is_named(make_images):
    root = make_images({"cat": 1, "dog": 0})
    assert f"{root / 'dog'}: class folder without images" in refusal(root)


def test_images_beside_class_folders_are_refused(make_images):
    assert "outside the class folders (first: 0.png)" in refusal(make_images({"cat": 1, ".": 1}))


def test_sources_that_are_none_are_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "images.zip").touch()
    assert "no images here" in refusal(tmp_path / "empty")
    assert "neither a folder nor a .csv" in refusal(tmp_path / "images.zip")
    assert "no such folder or CSV" in refusal(tmp_path / "missing")


def test_a_dangling_link_is_named_not_passed_over(make_images):
    root = make_images({"cat": 1})
    (root / "cat" / "gone.png").symlink_to(root / "nowhere.png")
    assert "gone.png: can't be read" in refusal(root)
    reading = read_source(list_source(root), skip_bad_images=True)
    assert len(reading.sides[None]) == 1
    assert len(reading.skipped) == 1


@pytest.mark.skipif(os.name == "nt", reason="needs names that are not UTF-8")
def test_a_name_that_no_report_could_hold_is_refused(make_images):
    root = make_images({"cat": 1})
    (root / "cat" / "line\nbreak.png").touch()
    assert "is not plain text" in refusal(root)


# CSV


def test_a_csv_gives_labels_sides_and_groups(make_images):
    root = make_images({"a": 2})
    source = write_csv(
        root, "path,label,split,group\na/0.png,cat,train,leaf 1\na/1.png, cat,valid,\n\n"
    )
    assert listed(source) == [("0.png", "cat", "train", "leaf 1"), ("1.png", "cat", "val", None)]


def test_a_csv_may_have_a_byte_order_mark_and_any_column_order(make_images):
    root = make_images({"a": 1})
    source = write_csv(root, "\ufeffLabel,Path\ncat,a/0.png\n")
    assert listed(source) == [("0.png", "cat", None, None)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no column 'path'"),
        ("path,lable,width\n", "no column 'label' among path, lable, width"),
        ("path,label,grup\n", "column 'grup' is not one of"),
        ("path,label,label\n", "column 'label' comes twice"),
        ("path,label\n", "no rows below the header"),
        ("path,label\na/0.png,cat\na/9.png,cat\n", "line 3: no such file: a/9.png"),
        ("path,label\na/0.png,cat\n./a/0.png,dog\n", "line 3: names the same image as"),
        ("path,label\na/0.png,\n", "line 2: no label"),
        ("path,label\n,cat\n", "line 2: no path"),
        ("path,label\na/0.png\n", "line 2: 1 fields under 2 columns"),
        ("path,label\na/0.png,cat,dog\n", "line 2: 3 fields under 2 columns"),
        ('path,label\n"a/0.png,cat\n', "not CSV"),
        ("path,label,split\na/0.png,cat,train\na/1.png,cat,\n", "line 3: no split, though"),
        ("path,label,split\na/0.png,cat,old\n", "line 2: split 'old' is not train, val or test"),
    ],
)
def test_a_malformed_csv_is_refused_with_its_line(make_images, text, message):
    root = make_images({"a": 2})
    assert message in refusal(write_csv(root, text))


def test_a_csv_that_is_not_utf8_is_refused(make_images):
    source = make_images({"a": 1}) / "list.csv"
    source.write_bytes("path,label\na/0.png,épice\n".encode("latin-1"))
    assert "not UTF-8" in refusal(source)


# Class order


def classes_of(source: Path, *args) -> tuple[str, ...]:
    return class_order(list_source(source), *args)


def labels_of(source: Path, *args) -> list[int | None]:
    return [sample.label for sample in read_source(list_source(source), *args).sides[None]]


def test_class_names_are_sorted_unless_the_model_or_the_user_says_otherwise(make_images, tmp_path):
    root = make_images({"cat": 1, "dog": 1})
    labels = tmp_path / "labels.txt"
    labels.write_text("dog\ncat\n")
    assert classes_of(root) == ("cat", "dog")
    assert classes_of(root, ("dog", "cat", "eel")) == ("dog", "cat", "eel")
    assert classes_of(root, None, labels) == ("dog", "cat")
    assert classes_of(root, ("Katze", "Hund"), labels) == ("dog", "cat")
    assert labels_of(root, None, labels) == [1, 0]


def test_a_class_the_model_lacks_is_refused_naming_both_sides(make_images):
    root = make_images({"cat": 1, "dog": 1})
    with pytest.raises(DataError, match=r"class 'dog' is not one of the model's 2 .*cat, eel"):
        classes_of(root, ("cat", "eel"))


def test_numbers_in_a_csv_index_the_classes(make_images):
    root = make_images({"a": 3})
    source = write_csv(root, "path,label\na/0.png,2\na/1.png,0\na/2.png,10\n")
    assert classes_of(source) == tuple(str(index) for index in range(11))
    assert labels_of(source) == [2, 0, 10]
    assert labels_of(source, tuple("abcdefghijk")) == [2, 0, 10]
    with pytest.raises(DataError, match=r"line 4: class '10' is not one of the model's 3"):
        classes_of(source, ("a", "b", "c"))


def test_folders_called_by_numbers_are_names(make_images):
    root = make_images({"2": 1, "10": 1})
    assert classes_of(root) == ("10", "2")
    with pytest.raises(DataError, match="class '10' is not one of"):
        classes_of(root, ("a", "b", "c"))


def test_a_labels_file_must_fit_the_model(make_images, tmp_path):
    labels = tmp_path / "labels.txt"
    labels.write_text("cat\n")
    with pytest.raises(DataError, match="1 class names for a model of 2 classes"):
        classes_of(make_images({"cat": 1}), ("a", "b"), labels)


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
