"""The float ONNX alone: weights in, one checked graph out, and nothing measured."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edge_convnext.build.apart import require_apart
from edge_convnext.build.float_chain import export_stage, float_steps, weights_of
from edge_convnext.build.inputs import Inputs
from edge_convnext.build.lineage import latest
from edge_convnext.build.runner import parity_result
from edge_convnext.build.settle import Prepared, prepare
from edge_convnext.core.artifacts import CpuRuntimeName, FormName, OnnxModel, Parity
from edge_convnext.core.cache import Cache, default_cache_folder
from edge_convnext.core.files import copy_atomic, expand_home
from edge_convnext.core.progress import Track, untracked
from edge_convnext.core.recipe import Recipe
from edge_convnext.core.step import Skipped, Step
from edge_convnext.devices.doctor import environment
from edge_convnext.networks.plans import plan_for
from edge_convnext.stages.export import OWN_GRAPH

__all__ = ["Exported", "export_float"]

_USUAL: CpuRuntimeName = "onnxruntime"  # whose form is taken where no runtime is stated


@dataclass(frozen=True)
class Exported:
    """A float graph that was written, and how near it is to the model in torch."""

    path: Path
    form: FormName
    opset: int
    batch: int | str  # a number, or `dynamic`
    size_bytes: int
    parity: Parity  # logits of this file in ONNX Runtime against torch's
    simplified: str | None  # why it is as it was exported; None where it was simplified


def export_float(
    recipe: Recipe,
    out: Path,
    *,
    cache: Cache | None = None,
    track: Track = untracked,
    on_read: Callable[[Inputs], None] | None = None,
) -> Exported:
    """Fold, export and simplify one form in FP32, and compare it with the model.

    Args:
        recipe: Recipe that names the weights; its precision and targets don't matter.
        out: File to write; it appears whole or not at all.
        cache: Cache of finished stages; None is the user's cache folder.
        track: Shows work that takes long.
        on_read: Called with what was read, before any work is done.

    Returns:
        What was written. `predict`, `eval` and `bench` read it.

    Raises:
        EdgeConvNextError: It failed; the one-line message says what to do.
    """
    stated = (recipe.load.weights, recipe.data.source, recipe.data.labels)
    require_apart([out], [expand_home(str(one)) for one in stated if one is not None])
    alone = recipe.model_copy(update={"precision": "fp32", "targets": ("cpu",)})
    store = cache or Cache(default_cache_folder(os.environ))
    with store.guarded():
        machine = environment()
        prepared = prepare(
            alone, store, machine["versions"], track, fold_only=True,
            machine=machine["fingerprint"], on_read=on_read,
        )  # fmt: skip
        runner, inputs = prepared.runner, prepared.inputs
        form = plan_for(alone, _USUAL if alone.runtime == "auto" else alone.runtime).form
        folded = prepared.graphs.folded if runner.recipe.fold.enabled else None
        source = weights_of(form, inputs, folded)
        steps = float_steps(runner, source, form, "fp32", prepared.samples, inputs.weights)
        exported, final = steps[0], latest(steps)
        assert not isinstance(exported, Skipped)  # the first step always exports
        parity = _written_parity(prepared, exported, final)
        copy_atomic(final.value.path, out)
    last = steps[-1]
    kept = last.reason if last.status == "skipped" else None
    settings = runner.recipe.export
    return Exported(out, form, settings.opset, settings.batch, out.stat().st_size, parity, kept)


def _written_parity(
    prepared: Prepared, exported: Step[OnnxModel], final: Step[OnnxModel]
) -> Parity:
    """How far the file to write is from the model as it came.

    A graph is compared with torch as it is exported, and with that graph once it is simplified.

    Raises:
        ExportError: It is further off than an export may be.
    """
    assert exported.parity is not None  # it is compared with torch
    if final is exported or final.parity is None or final.parity.max_abs_err == 0.0:
        return exported.parity
    runner, samples, model = prepared.runner, prepared.samples, prepared.inputs.weights.value
    expected = runner.expected(model, samples, samples.load())
    found = runner.logits_in(_USUAL, final.value.path, samples)
    stage = export_stage(model)
    own_graph = stage is OWN_GRAPH
    compared = parity_result(expected, found, stage.max_error, own_graph, stage.name)
    return Parity(**compared["parity"])
