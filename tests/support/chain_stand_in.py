"""A stand-in for the chains of a build: nothing runs, and what was asked for is kept."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

from edge_convnext.build import cpu_graphs, graphs
from edge_convnext.build.lineage import Lineage
from edge_convnext.core.step import Step
from edge_convnext.stages import export
from support.stage_lab import INFO, RECIPE, WEIGHTS, graph

MODEL = Step(WEIGHTS, "done", 0.0, "digest of model")
INPUTS = SimpleNamespace(weights=MODEL, info=INFO)
_SECTIONS = ("export", "fold")


class Chain:
    """What was asked of each."""

    def __init__(self, monkeypatch):
        self.forms, self.plans, self.gpu = [], [], []
        folded = MODEL.of(replace(WEIGHTS, folded=True))
        monkeypatch.setattr(cpu_graphs, "fold_step", lambda *_: folded)
        monkeypatch.setattr(graphs, "float_steps", self.float_steps)
        monkeypatch.setattr(graphs, "int8_lineage", self.int8_lineage)
        monkeypatch.setattr(graphs, "gpu_lineage", self.gpu_lineage)
        monkeypatch.setattr(graphs, "image_batches", lambda shown, _info, batch: (shown, batch))

    def float_steps(self, _runner, weights, form, precision, _samples, _model, *, simplified=True):
        self.forms.append((form, precision, weights.value.folded, simplified))
        return (replace(graph(form, precision), stage=export.STAGE),)

    def int8_lineage(self, _runner, plan, begun, users, _calibration, _samples, training):
        self.plans.append((plan.label, begun.plan.form, list(users), training))
        return Lineage(plan, begun.steps)

    def gpu_lineage(self, runner, plan, begun, calibration, samples, typed_for):
        images = calibration and [batch.shape for batch in calibration.load()]
        self.gpu.append((plan.label, plan.family, runner.recipe.export.batch, images, typed_for))
        assert samples[1] == plan.batch
        return Lineage(plan, begun.steps)


def recipe_of(**changes):
    """The lab's recipe with other values, or with other values in a section."""
    sections = {
        name: getattr(RECIPE, name).model_copy(update=change) if name in _SECTIONS else change
        for name, change in changes.items()
    }
    return RECIPE.model_copy(update=sections)


def said(graphs):
    return {one.stage.reported_as: (one.status, one.reason) for one in graphs.skipped}
