from pathlib import Path

import pytest

from edge_convnext.core.errors import DataError
from edge_convnext.data.csv_labels import label_number, require_one_class
from edge_convnext.data.sources import Entry


def check(*labels):
    require_one_class(
        [Entry(Path("a"), text, None, None, None, f"line {n}") for n, text in enumerate(labels, 2)]
    )


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("2", 2), ("02", 2), ("2.0", 2), ("2.", 2), ("2,0", 2), ("2.5", None), ("-1", None),
        ("", None), ("2 ", None), ("123456", None), ("٢", None), ("2.000000000", None),
    ],
)  # fmt: skip
def test_whole_numbers_are_read_in_every_form(text, number):
    assert label_number(text) == number


@pytest.mark.parametrize(
    "labels",
    [("cat", "dog", None), ("0", "1"), ("cat,dog", "bird"), ("a b", "c"), ("hot dog", "cat")],
)
def test_one_class_an_image_is_taken(labels):
    check(*labels)


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (("cat", "-1"), "line 3: label -1: a negative number"),
        (("1", "0.25"), "line 3: label 0.25 is a measurement"),
        (("['cat']",), "line 2: the label '\\['cat'\\]' seems to name several"),
        (("cat", "dog", "cat,dog"), "line 4: the label 'cat,dog' seems"),
        (("a|b", "b|c"), "line 2: the label 'a|b' seems"),
        (("eye_spot scab", "scab"), "line 2: the label 'eye_spot scab'"),
    ],
)
def test_labels_that_are_none_are_named_with_their_line(labels, words):
    with pytest.raises(DataError, match=words.replace("|", r"\|")):
        check(*labels)


def test_measurements_beside_names_are_names():
    check("1", "0.25", "cat")
