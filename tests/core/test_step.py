from dataclasses import asdict, replace
from pathlib import Path

import pytest

from edge_convnext.core.artifacts import Parity
from edge_convnext.core.cache import Entry
from edge_convnext.core.step import Step, as_step

PARITY = Parity(8, 0.5, 40.0, 100.0)
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
    fields = asdict(PARITY)
    assert as_step("value", replace(ENTRY, result={"parity": fields}), "b").parity == PARITY


def test_a_part_of_the_value_went_as_the_whole_did():
    step = Step(("a", "b"), "skipped", 2.0, "digest", "why", PARITY)
    assert step.of("a") == replace(step, value="a")
