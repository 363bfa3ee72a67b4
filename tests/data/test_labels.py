from __future__ import annotations

from pathlib import Path

import pytest
from support.image_sources import write_csv

from edge_convnext.core.errors import DataError
from edge_convnext.data.labels import class_order
from edge_convnext.data.samples import list_source, read_source


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
