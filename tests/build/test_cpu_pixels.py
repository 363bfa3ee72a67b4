"""Graphs for a CPU that take pixels: which of a build do, and what is measured of them."""

from types import SimpleNamespace

import pytest

from edge_convnext.build import cpu_pixels
from edge_convnext.build.cpu_pixels import take_pixels
from edge_convnext.build.lineage import Lineage
from edge_convnext.core.artifacts import OnnxModel
from edge_convnext.core.step import Step
from edge_convnext.networks.plans import Plan, float_plan
from edge_convnext.networks.recipe_file import make_recipe
from edge_convnext.stages import export, quantize


def lineage(plan):
    made = Step(OnnxModel("x.onnx", "fp32", plan.form), "done", 0.0, plan.label, stage=export.STAGE)
    return Lineage(plan, (made,))


@pytest.fixture
def steps(monkeypatch):
    """The graphs that were made to take pixels."""
    seen = []

    def step(runner, model, samples):
        seen.append(model.digest)
        return Step(model.value, "done", 0.0, f"{model.digest} pixels")

    monkeypatch.setattr(cpu_pixels, "pixels_step", step)
    return seen


FLOATS = [lineage(float_plan(form, "fp32")) for form in ("raw", "conv")]
INT8 = lineage(Plan("conv", "inner"))


def runner(model, images):
    return SimpleNamespace(recipe=make_recipe({"model": model, "export": {"input": images}}))


@pytest.mark.parametrize("images", ["float32", "float16"])
def test_unasked_nothing_takes_pixels(steps, images):
    assert take_pixels(runner("atto", images), [*FLOATS, INT8], None) == {}
    assert steps == []


@pytest.mark.parametrize(
    ("model", "taken"),
    [("atto", ["conv", "conv.inner"]), ("conv2former_n", ["raw", "conv", "conv.inner"])],
)
def test_all_but_the_raw_export_of_a_family_that_folds_do(steps, model, taken):
    found = take_pixels(runner(model, "uint8"), [*FLOATS, INT8], None)
    assert [plan.label for plan in found] == steps == taken
    made = found[INT8.plan]
    assert made.final.digest == "conv.inner pixels"
    assert made.body.digest == made.before(quantize.STAGE).digest == "conv.inner"
    assert INT8.final is INT8.body
