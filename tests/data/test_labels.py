from __future__ import annotations

from pathlib import Path

import pytest
from support.image_sources import write_csv
from support.known_models import draw_images

from edge_convnext.core.errors import DataError
from edge_convnext.data.labels import class_order, settle_classes
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


@pytest.fixture
def listing(tmp_path):
    names = ("ant", "bee", "cat")
    return list_source(
        draw_images(tmp_path / "data", {f"train/{one}": (1, i) for i, one in enumerate(names)})
    )


def refusal(listing, tmp_path, text, classes=(), name="names.txt"):
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(DataError) as error:
        settle_classes(listing, classes, path)
    told = str(error.value)
    assert told.startswith(f"{path}: ")
    assert "--labels FILE" not in told
    assert len(told) < len(str(path)) + 300
    return told


def test_a_file_that_lacks_a_class_is_named_with_both_counts(listing, tmp_path):
    told = refusal(listing, tmp_path, "ant\nbee\n")
    assert "has 2 names, and the data 3 classes, of which it lacks 'cat' (such as " in told
    assert told.endswith("; write every class once, in logit order")


def test_a_name_that_comes_twice_is_told_with_its_places(listing, tmp_path):
    told = refusal(listing, tmp_path, "ant\nbee\nbee\n")
    assert "lacks 'bee'" in told
    assert told.endswith("; it has 'bee' 2 times, as names 2 and 3")
    many = refusal(listing, tmp_path, "".join(f"c{i % 5}\n" for i in range(100)))
    assert many.endswith("; it has 'c0' 20 times, as names 1, 6, 11 and 17 more")


def test_a_mistyped_name_is_shown(listing, tmp_path):
    told = refusal(listing, tmp_path, "ant\nbe\ncat\n")
    assert told.endswith("; it has 'be', which the data has not: write one name")


def test_a_name_of_other_case_is_the_near_one(listing, tmp_path):
    assert "it has 'Cat', which differs in case" in refusal(listing, tmp_path, "ant\nbee\nCat\n")


def test_a_file_of_another_length_than_the_model_tells_what_is_twice(listing, tmp_path):
    told = refusal(listing, tmp_path, "ant\nbee\ncat\ncat\n", ("ant", "bee", "cat"))
    assert "4 class names for a model of 3 classes (ant, bee, cat); it has 'cat' 2 times" in told
    assert told.endswith("; name each of these once, in logit order, or pass a model of as many")


@pytest.mark.parametrize(
    ("count", "own", "words"),
    [
        (10, (), "the data's classes (3) are all others: pass data of the model's task, or a"),
        (2, (), "the data's classes (3) are all others: pass data of the model's task, or a"),
        (10, ("bee",), "it has 1 of the data's 3: leave the images of the others out, or pass --l"),
        (2, ("bee",), "it has 1 of the data's 3: leave the images of the others out, or pass a m"),
        (3, (), "pass --labels FILE with the data's names in the model's order"),
    ],
)
def test_data_of_another_number_of_classes_is_told_with_both_counts(listing, count, own, words):
    named = (*own, *(f"digit {index}" for index in range(count - len(own))))
    with pytest.raises(DataError) as caught:
        settle_classes(listing, named)
    told = str(caught.value)
    assert f"class 'ant' is not one of the model's {count} classes (" in told
    assert words in told
    assert ("--labels FILE" in told) == (count == 3 or (count, own) == (10, ("bee",)))
