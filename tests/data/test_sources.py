"""Folders, CSV files and label files: what is listed, and what is refused in one line."""

from __future__ import annotations

import pytest
from support.image_sources import listed, refusal, write_csv

# Folders


def test_sources_that_are_none_are_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "images.zip").touch()
    assert "no images here" in refusal(tmp_path / "empty")
    assert "neither a folder nor a .csv" in refusal(tmp_path / "images.zip")
    assert "no such folder or CSV" in refusal(tmp_path / "missing")


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
        ("", "is empty; its first line must read path,label"),
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
