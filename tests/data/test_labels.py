"""Mistakes of a labels file are blamed on that file, in one short line."""

import pytest
from support.known_models import draw_images

from edge_convnext.core.errors import DataError
from edge_convnext.data.labels import settle_classes
from edge_convnext.data.labels_file import read_labels
from edge_convnext.data.samples import list_source


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


def test_a_name_of_other_case_is_the_near_one(listing, tmp_path):
    assert "it has 'Cat', which differs in case" in refusal(listing, tmp_path, "ant\nbee\nCat\n")


def test_a_file_of_another_length_than_the_model_tells_what_is_twice(listing, tmp_path):
    told = refusal(listing, tmp_path, "ant\nbee\ncat\ncat\n", ("ant", "bee", "cat"))
    assert "4 class names for a model of 3 classes (ant, bee, cat); it has 'cat' 2 times" in told


@pytest.mark.parametrize("head", ["path,label,split\n", "", "image_id\tlabel\tx\n"])
def test_a_table_of_images_is_no_labels_file(tmp_path, head):
    mark = "\t" if "\t" in head else ","
    path = tmp_path / "list.csv"
    path.write_text(head + "".join(f"a/{i}.JPG{mark}{i % 2}{mark}train\n" for i in range(5)))
    with pytest.raises(DataError, match="a table of images") as error:
        read_labels(path)
    assert "pass it as --data" in str(error.value)
    names = tmp_path / "names.csv"
    names.write_text("cat.v2,0\ndog,1\n")
    assert read_labels(names).names == ("cat.v2", "dog")
