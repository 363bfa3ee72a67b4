"""What a stage, a step and a parity say of themselves."""

import math
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from edge_convnext.core.artifacts import Parity
from edge_convnext.core.cache_entries import Entry
from edge_convnext.core.step import Stage, Step, as_step

PARITY = Parity(4, 0.5, 30.0, 75.0)
PLACE = Stage("place", 7, ("onnx",), 1e-3, entry="quantize")


def test_a_stage_is_keyed_by_name_and_revision_and_reported_under_its_entry():
    assert (PLACE.key, PLACE.reported_as) == ("place/7", "quantize")
    assert Stage("fold", 1).reported_as == "fold"
    assert PLACE.on("openvino", "numpy") == replace(PLACE, packages=("onnx", "openvino", "numpy"))


def test_a_step_passes_on_all_it_says_but_its_value():
    step = Step("a", "cached", 2.0, "d", "r", PARITY, PLACE)
    assert step.of("b") == Step("b", "cached", 2.0, "d", "r", PARITY, PLACE)
    assert Step("a", "done", 1.0, "d") == Step("a", "done", 1.0, "d", None, None)


def test_a_step_says_why_where_its_entry_or_its_rebuilding_does():
    def reason(result, rebuilt_because=None):
        entry = Entry(Path("x"), "k", result, {"f": "d"}, 1.0, True, rebuilt_because)
        return as_step("v", entry, "f").reason

    assert reason({"reason": "because"}, "damaged") == "because"
    assert reason({}, "damaged") == "damaged"
    assert reason({"reason": None}) is None


def test_a_step_knows_its_stage_and_the_time_of_a_run_that_happened():
    entry = Entry(Path("x"), "k", {"parity": None}, {"f": "d"}, 3.0, False)
    assert as_step("v", entry, "f", PLACE) == Step("v", "done", 3.0, "d", stage=PLACE)
    cached = replace(entry, cached=True)
    assert as_step("v", cached, "f", PLACE) == Step("v", "cached", 0.0, "d", stage=PLACE)


def test_equal_logits_have_no_noise():
    assert PARITY.sqnr_or_inf == 30.0
    assert replace(PARITY, sqnr_db=None).sqnr_or_inf == math.inf


OTHER_PARITY = Parity(8, 0.5, 40.0, 100.0)
ENTRY = Entry(Path("e"), "key", {}, {"a.onnx": "digest of a", "b": "digest of b"}, 3.0, False)


def test_a_fresh_run_has_its_seconds_and_one_from_the_cache_none():
    assert as_step("value", ENTRY, "a.onnx") == Step("value", "done", 3.0, "digest of a")
    cached = as_step("value", replace(ENTRY, cached=True), "a.onnx")
    assert (cached.status, cached.seconds) == ("cached", 0.0)


@pytest.mark.parametrize(
    ("result", "rebuilt", "reason"),
    [
        ({}, None, None),
        ({}, "it was damaged", "it was damaged"),
        ({"reason": "skipped"}, "it was damaged", "skipped"),
    ],
)
def test_what_the_stage_says_comes_before_why_it_was_made_again(result, rebuilt, reason):
    entry = replace(ENTRY, result=result, rebuilt_because=rebuilt)
    assert as_step("value", entry, "b").reason == reason


def test_parity_is_read_from_the_entry():
    fields = asdict(OTHER_PARITY)
    assert as_step("value", replace(ENTRY, result={"parity": fields}), "b").parity == OTHER_PARITY


def test_a_part_of_the_value_went_as_the_whole_did():
    step = Step(("a", "b"), "skipped", 2.0, "digest", "why", OTHER_PARITY)
    assert step.of("a") == replace(step, value="a")
