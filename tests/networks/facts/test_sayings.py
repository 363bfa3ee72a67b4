import pytest

from edge_convnext.networks.facts.sayings import (
    Said,
    add_pair,
    add_resized,
    add_scale,
    detail_of,
    get_value,
    of_pixels,
)
from edge_convnext.networks.facts.values import Problem


def pair(fields, where="transform", channels=3):
    said = Said()
    add_pair(fields, where, channels, said)
    return {one.name: one.value for one in said.sayings}, said.notes


def test_what_is_nothing_is_not_said_and_what_can_not_be_is_noted():
    said = Said()
    said.add("licence", None, "x")
    assert said.sayings == []

    def refuse(stated):
        raise Problem("is nothing")

    assert said.attempt("image_size", refuse, 3, "cfg: size") is None
    assert said.notes == ["cfg: size is nothing; not used"]
    assert said.attempt("image_size", int, "3", "cfg: size") == 3
    assert [(one.name, one.value) for one in said.sayings] == [("image_size", 3)]


def test_a_key_is_named_with_its_place_and_found_in_any_spelling():
    assert detail_of("args", "mean") == "args: mean"
    assert detail_of("", "mean") == "mean"
    assert get_value({"imgSize": 3, "other": 4}, "none", "img_size") == 3
    assert get_value({}, "img_size") is None
    assert of_pixels("data.transform")
    assert not of_pixels("optimizer")


def test_mean_and_deviation_are_read_apart_or_together():
    values, notes = pair({"mean": [0.1, 0.2, 0.3], "std": [0.4, 0.5, 0.6]})
    assert values == {"mean": (0.1, 0.2, 0.3), "std": (0.4, 0.5, 0.6)}
    assert notes == []


def test_a_number_under_a_plain_word_may_be_any_mean():
    assert pair({"mean": 0.5, "std": 0.5}, "metrics") == ({}, [])
    assert pair({"mean": 0.5, "std": 0.5}, "normalize")[0]["mean"] == (0.5, 0.5, 0.5)


def scaled(mean, std, exact=False):
    said = Said()
    add_scale(said, mean, std, "x", "x", exact)
    return {one.name: one.value for one in said.sayings}, said.notes


def test_values_of_bytes_are_divided_unless_they_are_exact():
    values, (note,) = scaled((127.5,) * 3, (51.0,) * 3)
    assert values == {"mean": (0.5,) * 3, "std": (0.2,) * 3}
    assert "divided by 255 here" in note
    assert scaled((127.5,) * 3, (51.0,) * 3, exact=True)[0]["std"] == (51.0,) * 3


def test_a_deviation_of_0_and_one_that_stands_alone_are_told():
    assert scaled((0.5,) * 3, (0.0, 1.0, 1.0))[0] == {}
    values, (note,) = scaled((0.5,) * 3, None)
    assert values == {"mean": (0.5,) * 3}
    assert note.startswith("x: a mean alone")
    assert "outside the images' 0 to 1" in scaled((-1.5,) * 3, (1.0,) * 3)[1][0]


def test_a_crop_is_a_part_of_the_resize_and_never_larger():
    said = Said()
    add_resized(said, 224, 256, "x")
    assert {one.name: one.value for one in said.sayings}["resize"] == "shortest"
    crop = next(one.value for one in said.sayings if one.name == "crop_pct")
    assert crop == pytest.approx(224 / 256, abs=0.004)
    larger = Said()
    add_resized(larger, 256, 224, "x")
    assert larger.sayings == []
    assert "224 pixels before a crop of 256; not used" in larger.notes[0]
