"""Folders of images: classes, sides, and what is refused."""

from __future__ import annotations

import os

import pytest
from support.image_sources import listed, refusal

from edge_convnext.data.samples import list_source, read_source


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
