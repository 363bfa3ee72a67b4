"""What a build evaluates and races of its graphs: each in a runtime, at one float precision."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from edge_convnext.build.lineage import Lineage
from edge_convnext.core.artifacts import CpuRuntimeName
from edge_convnext.core.recipe import Recipe
from edge_convnext.measure.candidates import Candidate
from edge_convnext.networks.plans import float_plan, plan_for
from edge_convnext.runtimes.load import find_runtime
from edge_convnext.stages import export, write_for_tensorrt

if TYPE_CHECKING:
    from edge_convnext.build.graphs import Graphs
    from edge_convnext.core.artifacts import OnnxModel
    from edge_convnext.core.step import Step
    from edge_convnext.runtimes import PrecisionHint

__all__ = ["list_gpu_options", "list_options", "raw_reference"]


def list_options(
    recipe: Recipe, graphs: Graphs, runtimes: Sequence[CpuRuntimeName], bf16: bool
) -> list[Candidate]:
    """What to evaluate and race: per runtime the quantized graph and every float form.

    Args:
        recipe: Of this build.
        graphs: From `make_graphs`.
        runtimes: To be measured.
        bf16: Whether a runtime may compute floats in bfloat16 on this CPU.
    """
    options: list[Candidate] = []
    for runtime in runtimes:
        plan = plan_for(recipe, runtime)
        hinted = bf16 and "bf16" in find_runtime(runtime).HINTS
        hints: tuple[PrecisionHint, ...] = ("f32", "bf16") if hinted else ("f32",)
        for lineage in graphs.floats:
            if lineage.plan.precision != "fp32":
                continue
            graph, ships = lineage.final, lineage.plan.form == plan.form
            options += [Candidate.of(graph, runtime, hint, may_ship=ships) for hint in hints]
            if plan.settings and ships:  # what they are worth is not INT8's doing
                options += [
                    Candidate.of(graph, runtime, hint, may_ship=True, settings=plan.settings)
                    for hint in hints
                ]
        if recipe.precision == "int8":
            graph = graphs.lineages[plan].final
            options += [
                Candidate.of(graph, runtime, hint, may_ship=True, settings=plan.settings)
                for hint in hints
            ]
        elif recipe.precision == "fp16":
            graph = graphs.lineages[float_plan(plan.form, "fp16")].final
            options.append(Candidate.of(graph, runtime, "f32", may_ship=True))
    return options


def raw_reference(graphs: Graphs) -> Candidate | None:
    """The raw FP32 export in ONNX Runtime: what a user has today."""
    lineage = graphs.lineages.get(float_plan("raw", "fp32"))
    raw = lineage.at(export.STAGE) if lineage else None
    return Candidate.of(raw, "onnxruntime", "f32", may_ship=False) if raw else None


def list_gpu_options(
    recipe: Recipe, lineages: Iterable[Lineage], *, alone: bool
) -> list[Candidate]:
    """What to evaluate of the graphs for TensorRT, in ONNX Runtime; none of it is raced.

    Args:
        recipe: Of this build.
        lineages: Of graphs for TensorRT.
        alone: Whether no other target has graphs: the float one is evaluated then too.
    """
    made = list(lineages)
    options = list(_own_options(recipe, made, alone))
    if alone and recipe.precision != "fp32":
        float_graph = next(one for one in made if one.plan.precision != "int8")
        source = float_graph.before(write_for_tensorrt.STAGE)
        options.append(Candidate.of(source, "onnxruntime", "f32", may_ship=True))
    return options


def _own_options(recipe: Recipe, lineages: Sequence[Lineage], alone: bool) -> Iterator[Candidate]:
    """Those of the requested precision, the smallest batch first."""
    own = [one for one in lineages if one.plan.precision == recipe.precision]
    bodies = [one.before(write_for_tensorrt.STAGE) for one in own]  # float32, and float32 images
    if recipe.precision == "int8":
        first: dict[str, Step[OnnxModel]] = {}
        for body in bodies:
            first.setdefault(body.digest, body)  # families may share a graph
        for body in first.values():
            yield Candidate.of(body, "onnxruntime", "f32", may_ship=alone)
    elif alone:  # equal in all but the batch size, and slow on a CPU
        graph = own[0].final if recipe.precision == "fp16" else bodies[0]
        yield Candidate.of(graph, "onnxruntime", "f32", may_ship=True)
