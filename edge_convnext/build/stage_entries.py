"""The report's entry of each stage: what it made, how, or why it did not run.

Every step knows its stage, and a stage that did not run has left its reason. An entry collects the
steps of one stage.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from edge_convnext.build.engines import EngineBuild
from edge_convnext.build.gpu_entries import engine_entry, typed_entry, why_not_timed
from edge_convnext.build.stage_parts import StageFiles, report_parity, report_variant
from edge_convnext.core.artifacts import OnnxModel, Weights
from edge_convnext.core.step import Skipped, Step
from edge_convnext.report.stages import STAGES, StageName, StageReport, Status

if TYPE_CHECKING:
    from edge_convnext.build.graphs import Graphs
    from edge_convnext.build.settle import Prepared
    from edge_convnext.core.artifacts import FormName, Precision
    from edge_convnext.core.recipe import TargetName
    from edge_convnext.measure.candidates import Candidate
    from edge_convnext.measure.evaluation import Evaluation
    from edge_convnext.measure.race import Race

__all__ = ["benchmark_entry", "evaluate_entry", "report_stages"]


def report_stages(
    prepared: Prepared,
    engines: Sequence[EngineBuild],
    chosen: Candidate | None,
    evaluate: StageReport,
    benchmark: StageReport,
    *,
    has_gpu: bool,
    names: Mapping[str, str],
) -> tuple[StageReport, ...]:
    """Make one entry per stage, in the order of the chain.

    Args:
        prepared: Graphs of this build, with the inputs they were made from.
        engines: Engines of TensorRT for RTX.
        chosen: Candidate that ships in the requested precision; its graphs lead their entries.
        evaluate: Entry from `evaluate_entry`.
        benchmark: Entry from `benchmark_entry`.
        has_gpu: True if this machine has a GPU.
        names: Shipped file name by artefact digest.
    """
    graphs, recipe, targets = prepared.graphs, prepared.runner.recipe, prepared.targets
    weights, files = prepared.inputs.weights, StageFiles(names)
    own = {
        "load": _weights_entry("load", weights, files),
        "engine": engine_entry(engines, targets, graphs, why_not_timed(has_gpu), files),
        "evaluate": evaluate,
        "benchmark": benchmark,
    }
    if graphs.folded is not None:
        own["fold"] = _weights_entry("fold", graphs.folded, files)
    if graphs.for_gpu:
        own["typed"] = typed_entry(graphs.for_gpu, recipe, files)
    form = chosen.model.form if chosen else None
    lead = partial(_leading, form=form, precision=recipe.precision, names=names)
    return tuple(own.get(name) or _graphs_entry(name, graphs, lead, files) for name in STAGES)


def _graphs_entry(
    name: StageName,
    graphs: Graphs,
    lead: Callable[[Sequence[Step[OnnxModel]]], Step[OnnxModel]],
    files: StageFiles,
) -> StageReport:
    """The entry of the graphs that one stage made, or of the reason that it made none."""
    lineages = graphs.lineages.values()
    steps = _distinct(
        step
        for lineage in lineages
        for step in lineage.ran
        if step.stage is not None and step.stage.reported_as == name
    )
    if steps:
        return _made_entry(name, lead(steps), files, steps)
    skipped = [one for lineage in lineages for one in lineage.skipped]
    own = (one for one in (*skipped, *graphs.skipped) if one.stage.reported_as == name)
    return _absent(name, next(own, None))


def _absent(name: StageName, skipped: Skipped | None) -> StageReport:
    if skipped is None:
        return StageReport(name=name, status="not_run", reason="no graph of this build needs it")
    return StageReport(name=name, status=skipped.status, reason=skipped.reason)


def _distinct(steps: Iterable[Step[OnnxModel]]) -> list[Step[OnnxModel]]:
    """Each graph once: plans share their float graphs."""
    found: dict[Path, Step[OnnxModel]] = {}
    for step in steps:
        found.setdefault(step.value.path, step)
    return list(found.values())


def _leading(
    made: Sequence[Step[OnnxModel]],
    *,
    form: FormName | None,
    precision: Precision,
    names: Mapping[str, str],
) -> Step[OnnxModel]:
    """The graph of a stage that ships; of several, the one in the chosen form."""
    leading = next((step for step in made if step.digest in names), made[0])
    if form is None:
        return leading
    same = [step for step in made if step.value.form == form]
    same.sort(key=lambda step: step.digest not in names)
    precise = [step for step in same if step.value.precision == precision]
    return next(iter(precise or same), leading)


def _made_entry(
    name: StageName, leading: Step[OnnxModel], files: StageFiles, made: Sequence[Step[OnnxModel]]
) -> StageReport:
    """One entry for a stage that made several graphs, of which one leads."""
    status: Status = leading.status
    if status == "cached" and any(step.status == "done" for step in made):
        status = "done"
    return StageReport(
        name=name,
        status=status,
        reason=leading.reason,
        seconds=sum(step.seconds for step in made),
        artifact=files.of(leading),
        parity=report_parity(leading),
        variants=tuple(report_variant(step, files.of(step)) for step in made),
    )


def _weights_entry(name: StageName, step: Step[Weights], files: StageFiles) -> StageReport:
    return StageReport(
        name=name,
        status=step.status,
        reason=step.reason,
        seconds=step.seconds,
        artifact=files.called(step, None),
        parity=report_parity(step),
    )


def evaluate_entry(evaluation: Evaluation | None, *, random: bool) -> StageReport:
    """The entry of the stage that evaluates.

    Args:
        evaluation: Result of the evaluation; None without labelled images.
        random: True if the weights are random.
    """
    if evaluation is not None:
        status: Status = "cached" if evaluation.cached else "done"
        return StageReport(name="evaluate", status=status, seconds=evaluation.seconds)
    reason = "no labelled images were given (--data)"
    if random:
        reason = "random weights have no accuracy"
    return StageReport(name="evaluate", status="not_run", reason=reason)


def benchmark_entry(race: Race | None, targets: Sequence[TargetName] = ()) -> StageReport:
    """The entry of the stage that times; there is no race if no CPU of here is a target."""
    if race is None:
        reason = "cpu is not among the targets"
        if "arm-cpu" in targets:
            reason = "arm-cpu is timed on the board, by `edge-convnext bench` of a bundle"
        return StageReport(name="benchmark", status="not_run", reason=reason)
    return StageReport(name="benchmark", status="done", seconds=race.seconds)
