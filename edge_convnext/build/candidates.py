"""The candidates of a build: each is a graph in a runtime, at one float precision."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from edge_convnext.build.lineage import Lineage
from edge_convnext.core.artifacts import LITERT_FORMAT, CpuRuntimeName
from edge_convnext.core.recipe import Recipe
from edge_convnext.measure.candidates import Candidate, merge_settings
from edge_convnext.networks.family import family_of_model
from edge_convnext.networks.plans import float_plan, plan_for
from edge_convnext.runtimes.load import exact_settings, hints_here
from edge_convnext.stages import export, write_for_tensorrt

if TYPE_CHECKING:
    from edge_convnext.build.graphs import Graphs
    from edge_convnext.core.artifacts import OnnxModel
    from edge_convnext.core.step import Step

__all__ = ["list_gpu_options", "list_options", "raw_reference"]


def list_options(
    recipe: Recipe,
    graphs: Graphs,
    runtimes: Sequence[CpuRuntimeName],
    bf16: bool,
    *,
    overflows: bool = False,
) -> list[Candidate]:
    """List the candidates to evaluate and race: per runtime the INT8 graph and all float forms.

    Args:
        recipe: Recipe of this build.
        graphs: Graphs from `make_graphs`.
        runtimes: Runtimes to measure.
        bf16: True if a runtime may compute floats in bfloat16 on this CPU.
        overflows: True if the usual INT8 products lose bits on this CPU; exact ones are listed too.
    """
    options: list[Candidate] = []
    family = family_of_model(recipe.model)
    # A form that is the best for INT8 may be slower in float than the network as it came.
    also = () if family.folds or recipe.export.form != "auto" else ("raw",)
    for runtime in runtimes:
        plan = plan_for(recipe, runtime)
        if plan in graphs.unwritten:
            continue
        hints = hints_here(runtime, bf16=bf16)
        for lineage in graphs.floats_in(plan.format):
            if lineage.plan.precision != "fp32":
                continue
            graph, ships = lineage.final, lineage.plan.form in (plan.form, *also)
            options += [Candidate.of(graph, runtime, hint, may_ship=ships) for hint in hints]
            if plan.settings and ships:  # so that INT8 gets no credit for the settings
                options += [
                    Candidate.of(graph, runtime, hint, may_ship=True, settings=plan.settings)
                    for hint in hints
                ]
        if recipe.precision == "int8":
            graph = graphs.lineages[plan].final
            exact = exact_settings(runtime) if overflows else ()
            options += [
                Candidate.of(graph, runtime, hint, may_ship=True, settings=settings)
                for settings in dict.fromkeys((plan.settings, merge_settings(plan.settings, exact)))
                for hint in hints
            ]
        elif recipe.precision == "fp16" and plan.format != LITERT_FORMAT:  # it has no such model
            graph = graphs.lineages[float_plan(plan.form, "fp16")].final
            options.append(Candidate.of(graph, runtime, "f32", may_ship=True))
    return options


def raw_reference(graphs: Graphs) -> Candidate | None:
    """The raw FP32 export in ONNX Runtime: the model as users run it without this package."""
    lineage = graphs.lineages.get(float_plan("raw", "fp32"))
    raw = lineage.at(export.STAGE) if lineage else None
    return Candidate.of(raw, "onnxruntime", "f32", may_ship=False) if raw else None


def list_gpu_options(
    recipe: Recipe, lineages: Iterable[Lineage], *, alone: bool
) -> list[Candidate]:
    """List the candidates for TensorRT to evaluate in ONNX Runtime; none of them is raced.

    Args:
        recipe: Recipe of this build.
        lineages: Lineages of graphs for TensorRT.
        alone: True if no other target has graphs; the float graph is evaluated then too.
    """
    made = list(lineages)
    options = list(_own_options(recipe, made, alone))
    if alone and recipe.precision != "fp32":
        float_graph = next(one for one in made if one.plan.precision != "int8")
        source = float_graph.before(write_for_tensorrt.STAGE)
        options.append(Candidate.of(source, "onnxruntime", "f32", may_ship=True))
    return options


def _own_options(recipe: Recipe, lineages: Sequence[Lineage], alone: bool) -> Iterator[Candidate]:
    """Candidates of the requested precision, the smallest batch first."""
    own = [one for one in lineages if one.plan.precision == recipe.precision]
    bodies = [one.before(write_for_tensorrt.STAGE) for one in own]  # float32, and float32 images
    if recipe.precision == "int8":
        first: dict[str, Step[OnnxModel]] = {}
        for body in bodies:
            first.setdefault(body.digest, body)  # two families of plans may share a graph
        for body in first.values():
            yield Candidate.of(body, "onnxruntime", "f32", may_ship=alone)
    elif alone:  # one is enough: they differ only in batch size, and are slow on a CPU
        graph = own[0].final if recipe.precision == "fp16" else bodies[0]
        yield Candidate.of(graph, "onnxruntime", "f32", may_ship=True)
