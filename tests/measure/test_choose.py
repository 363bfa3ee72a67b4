"""Which float ships, and stands for all floats in the report."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from edge_convnext.core.artifacts import OnnxModel
from edge_convnext.core.step import Step
from edge_convnext.measure import choose as choices
from edge_convnext.measure.benchmark import Ratio
from edge_convnext.measure.candidates import Candidate
from edge_convnext.measure.choose import choose_float
from edge_convnext.networks.recipe_file import make_recipe

RECIPE = make_recipe({"model": "convnextv2_atto"})  # its plan in OpenVINO is of `conv_moments`


def option(form, hint="bf16", runtime="openvino"):
    model = OnnxModel(Path(f"{form}.fp32.onnx"), "fp32", form)
    return Candidate.of(Step(model, "done", 0.0, form), runtime, hint, may_ship=False)


USUAL = option("conv_moments")
RIVAL = option("conv")
OPTIONS = [option("conv_moments", "f32"), USUAL, RIVAL, option("nhwc", "f32", "onnxruntime")]


class Timings:
    """One option is the fastest."""

    def __init__(self, fastest):
        self.fastest = fastest

    def selecting_ms(self, name, batch):
        assert batch == 1
        return 1.0 if name == self.fastest.name else 2.0


def measured(**drops_pp):
    """An evaluation of the bfloat16 options, by form."""
    drops = {f"{form}.fp32.onnx openvino bf16": drop for form, drop in drops_pp.items()}
    comparisons = {name: SimpleNamespace(top1_drop_pp=drop) for name, drop in drops.items()}
    return SimpleNamespace(comparisons=comparisons)


def choose(monkeypatch, fastest, interval, evaluation=None):
    timings = Timings(fastest)

    def speedup(result, candidate, reference, batch):
        assert (result, candidate, batch) == (timings, fastest.name, 1)
        assert reference == USUAL.name
        return Ratio(1.02, *interval, 20)

    monkeypatch.setattr(choices, "speedup", speedup)
    return choose_float(RECIPE, OPTIONS, timings, evaluation, 1)


@pytest.mark.parametrize("interval", [(0.99, 1.05), (1.0, 1.05), (None, None)])
def test_of_near_equals_the_form_of_the_plan_ships(monkeypatch, interval):
    assert choose(monkeypatch, RIVAL, interval) is USUAL


def test_a_form_that_is_faster_beyond_the_interval_takes_its_place(monkeypatch):
    assert choose(monkeypatch, RIVAL, (1.01, 1.05)) is RIVAL


def test_the_planned_form_is_taken_as_it_was_fastest(monkeypatch):
    assert choose(monkeypatch, USUAL, (1.01, 1.05)) is USUAL  # in bfloat16, not float32


def test_a_form_past_the_accuracy_budget_does_not_ship(monkeypatch):
    assert choose(monkeypatch, RIVAL, (0.99, 1.05), measured(conv_moments=5.0)) is RIVAL
    within = measured(conv_moments=0.1, conv=5.0)
    assert choose(monkeypatch, USUAL, (1.01, 1.05), within) is USUAL


def test_where_nothing_was_timed_a_float_ships_all_the_same():
    assert choose_float(RECIPE, OPTIONS, None, None, 1) is OPTIONS[0]
    assert choose_float(RECIPE, [], None, None, 1) is None
