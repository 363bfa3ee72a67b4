import pytest
from pydantic import TypeAdapter, ValidationError
from support.refusals import refusal

from edge_convnext.report.part import Interval, Part, Percent, Sha256


class Example(Part):
    interval: Interval = (0.0, 1.0)
    percent: Percent = 50.0
    digest: Sha256 = "0" * 64


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"interval": (1.0, -1.0)}, "an interval is [low, high]"),
        ({"interval": (1.0,)}, "Field required"),
        ({"interval": (0.0, float("inf"))}, "finite"),
        ({"percent": 100.1}, "less than or equal to 100"),
        ({"percent": -0.1}, "greater than or equal to 0"),
        ({"percent": float("nan")}, "finite"),
        ({"digest": "0" * 63}, "match pattern"),
        ({"digest": "0" * 65}, "match pattern"),
        ({"digest": "A" * 64}, "match pattern"),
        ({"surprise": 1}, "Extra inputs are not permitted"),
    ],
)
def test_what_no_report_holds_is_refused(fields, words):
    assert words in refusal(Example, **fields)


def test_the_ends_are_in():
    example = Example(interval=(0.5, 0.5), percent=100.0)
    assert (example.interval, example.percent) == ((0.5, 0.5), 100.0)
    assert Example(percent=0.0).percent == 0.0


def test_a_part_is_frozen():
    with pytest.raises(ValidationError, match="frozen"):
        Example().percent = 1.0


def test_a_part_is_read_from_an_object_with_its_fields():
    class Found:
        interval, percent, digest = (1.0, 2.0), 3.0, "f" * 64

    assert TypeAdapter(Example).validate_python(Found()).percent == 3.0


def test_the_text_below_a_field_is_its_description_in_the_schema():
    class Told(Part):
        number: int
        """Such as 7."""

    assert Told.model_json_schema()["properties"]["number"]["description"] == "Such as 7."
