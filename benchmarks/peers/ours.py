"""This package's INT8 graphs, by the shipped plans, from the same checkpoint and images."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from benchmarks.peers.produce import read_record, write_record
from benchmarks.peers.task import Graph, Task
from edge_convnext import __version__
from edge_convnext.build.float_chain import fold_step
from edge_convnext.build.graphs import Graphs, add_form, add_plan
from edge_convnext.core.cache import Cache
from edge_convnext.core.files import sha256_file
from edge_convnext.data.batches import image_batches
from edge_convnext.networks.plans import plan_for
from edge_convnext.runtimes.load import available_runtimes

if TYPE_CHECKING:
    from edge_convnext.core.artifacts import RuntimeName

__all__ = ["build_ours"]

_TOOL = "edge-convnext"


def build_ours(task: Task) -> list[Graph]:
    """One graph per runtime, made now unless it was before.

    The seconds are of all stages from the weights to the INT8 graph, parity checks included:
    fold, export, simplify, equalize, quantize, lower. A peer's start from an exported graph.
    """
    return [_build(task, runtime) for runtime in available_runtimes()]


def _build(task: Task, runtime: RuntimeName) -> Graph:
    assert task.raw.path is not None
    plan = plan_for(task.recipe, runtime)
    folder = task.folder / "graphs" / f"ours-{runtime}"
    key = [sha256_file(task.raw.path), task.calibration.name, plan.label, __version__]
    made = read_record(folder, key, retry=False)
    if made is None:
        shutil.rmtree(folder, ignore_errors=True)
        # A cache of its own: every stage runs, and its seconds are real.
        made = _run_stages(task, runtime, Cache(folder / "cache"))
        write_record(folder, key, made)
    path = next(folder.rglob(str(made["file"])))
    build_s = made["build_s"]
    assert isinstance(build_s, float)
    variant = f"plan `{plan.label}`"
    versions = (f"{_TOOL} {__version__}",)
    return Graph(_TOOL, variant, path, build_s, None, versions, runtime, ours=True)


def _run_stages(task: Task, runtime: RuntimeName, cache: Cache) -> dict[str, object]:
    assert task.inputs.calibration is not None
    plan, runner, graphs = plan_for(task.recipe, runtime), task.runner(cache), Graphs()
    drawn = task.inputs.calibration.images.samples
    calibration, samples = image_batches(drawn, task.inputs.info, None), task.samples
    graphs.folded = fold_step(runner, task.inputs.weights, samples)
    add_form(runner, task.inputs, graphs, plan.form, "fp32", samples)
    made = add_plan(runner, graphs, plan, [runtime], calibration, samples)
    seconds = graphs.folded.seconds + sum(step.seconds for step in made.ran)
    file = made.final.value.path.name
    return {"reason": None, "build_s": seconds, "file": file}
