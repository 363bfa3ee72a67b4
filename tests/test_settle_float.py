"""Which float ships, and stands for all floats in the report."""

from pathlib import Path

import pytest

from edge_convnext import measure
from edge_convnext.artifacts import OnnxModel
from edge_convnext.benchmark import Ratio
from edge_convnext.measure import Option, settle_float
from edge_convnext.recipe import make_recipe
from edge_convnext.step import Step

RECIPE = make_recipe({"model": "convnextv2_atto"})  # its plan in OpenVINO is of `conv_moments`


def option(form, hint="bf16", runtime="openvino"):
    model = OnnxModel(Path(f"{form}.fp32.onnx"), "fp32", form)
    return Option(Step(model, "done", 0.0, form), runtime, hint, may_ship=False)


USUAL = option("conv_moments")
RIVAL = option("conv")
OPTIONS = [option("conv_moments", "f32"), USUAL, RIVAL, option("nhwc", "f32", "onnxruntime")]


def settle(monkeypatch, fastest, interval, timings="some"):
    monkeypatch.setattr(measure, "speedup", lambda *_: Ratio(1.02, *interval, 20))
    return settle_float(RECIPE, OPTIONS, fastest, timings, 1)


@pytest.mark.parametrize("interval", [(0.99, 1.05), (1.0, 1.05), (None, None)])
def test_of_near_equals_the_form_of_the_plan_ships(monkeypatch, interval):
    assert settle(monkeypatch, RIVAL, interval) is USUAL


def test_a_form_that_is_faster_beyond_the_interval_takes_its_place(monkeypatch):
    assert settle(monkeypatch, RIVAL, (1.01, 1.05)) is RIVAL


def test_the_planned_form_is_taken_as_it_was_fastest(monkeypatch):
    assert settle(monkeypatch, USUAL, (1.01, 1.05)) is USUAL  # in bfloat16, not float32


def test_where_nothing_was_timed_the_form_of_the_plan_ships(monkeypatch):
    assert settle(monkeypatch, RIVAL, (1.01, 1.05), timings=None) is USUAL
    assert settle_float(RECIPE, OPTIONS, None, None, 1) is None
