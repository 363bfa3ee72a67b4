"""Turn what a build did into the report: every figure here was measured elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_convnext.build.float_forms import unraced_forms
from edge_convnext.build.gpu_entries import why_not_timed
from edge_convnext.build.inputs import DEMO_BANNER
from edge_convnext.build.int8_parts import report_fallbacks, report_recoveries
from edge_convnext.build.int8_products import report_products
from edge_convnext.build.notes import arm_notes, gpu_notes, list_notes, untimed_note
from edge_convnext.build.refusals import refused_notes, report_refusals, why_none_is_left
from edge_convnext.build.resolved import resolved_recipe, stated_recipe
from edge_convnext.build.stage_entries import benchmark_entry, evaluate_entry, report_stages
from edge_convnext.build.throughput import report_served
from edge_convnext.devices.int8_support import warn_of_saturation
from edge_convnext.measure.speed import Ratio, slowest_to_beat, speedup
from edge_convnext.measure.to_report import (
    accuracy_part,
    benchmark_part,
    report_accuracy,
    report_candidate,
)
from edge_convnext.report.contract import Report
from edge_convnext.report.described import (
    DataReport,
    EnvironmentReport,
    ModelReport,
    SettingReport,
    WeightsReport,
)
from edge_convnext.report.measured import AccuracyReport, BenchmarkReport
from edge_convnext.report.verdict import decide

if TYPE_CHECKING:
    from edge_convnext.build.engines import EngineBuild
    from edge_convnext.build.entrants import Choice, Entrants
    from edge_convnext.build.evaluating import Evaluator
    from edge_convnext.build.inputs import Inputs
    from edge_convnext.build.int8_products import Counted
    from edge_convnext.build.settle import Prepared
    from edge_convnext.build.sieve import Ruling
    from edge_convnext.core.artifacts import CpuRuntimeName, OnnxModel, Precision
    from edge_convnext.core.origins import Fact
    from edge_convnext.core.recipe import Recipe
    from edge_convnext.core.step import Step
    from edge_convnext.measure.candidates import Candidate
    from edge_convnext.measure.evaluation import Evaluation
    from edge_convnext.measure.race import Race
    from edge_convnext.measure.throughput import ThroughputResult
    from edge_convnext.measure.timings import BenchmarkResult
    from edge_convnext.report.stages import StageReport
    from edge_convnext.report.verdict import Requirement

__all__ = ["Outcome", "assemble_report", "model_part"]


@dataclass(frozen=True)
class Outcome:
    """The results of all steps of one build."""

    prepared: Prepared
    machine: Mapping[str, Any]  # doctor.environment()
    engines: Sequence[EngineBuild]
    entrants: Entrants
    accuracy: Evaluator
    race: Race | None
    choice: Choice
    refused: Sequence[Ruling] = ()  # wrong where they would run
    products: Sequence[Counted] = ()  # what runs in INT8
    throughput: ThroughputResult | None = None  # where the recipe asks for it
    for_arm: Mapping[str, Step[OnnxModel]] = field(default_factory=dict)  # for Arm CPUs
    label: str | None = None  # name of the build


def assemble_report(
    outcome: Outcome, names: Mapping[str, str], folder: Path, require: Requirement | None
) -> Report:
    """Make the report of a build; only the list of its files is still missing.

    Args:
        outcome: Results of a finished chain.
        names: Shipped file name by artefact digest.
        folder: Folder of the report.
        require: Verdict that the user requires; None requires nothing.
    """
    prepared, choice, engines = outcome.prepared, outcome.choice, outcome.engines
    inputs, graphs, recipe = prepared.inputs, prepared.graphs, prepared.runner.recipe
    entrants, evaluation = outcome.entrants, outcome.accuracy.found
    timings = outcome.race.timings if outcome.race else None
    has_gpu = bool(outcome.machine["gpus"])

    def label(one: Candidate) -> str:
        return one.label(names.get(one.digest, one.model.path.name))

    evaluated = (*entrants.options, *entrants.for_arm, *entrants.for_gpu)
    classes = inputs.info.classes
    accuracy = _accuracy(evaluation, recipe.precision, classes, choice.chosen, evaluated, label)
    timing = _benchmark(timings, recipe, prepared.runtimes, choice, entrants.raw, label)
    stages = report_stages(
        prepared,
        engines,
        choice.chosen,
        evaluate_entry(evaluation, random=inputs.random),
        benchmark_entry(outcome.race, prepared.targets),
        has_gpu=has_gpu,
        names=names,
    )
    built = any(engine.step is not None for engine in engines)
    missing = _missing(stages)
    if timings is None and graphs.for_gpu:
        missing.append(untimed_note(_evaluated_file(choice, evaluation, names), built=built))
    budget, per_class = recipe.evaluate.max_drop_pp, recipe.evaluate.max_class_drop_pp
    fallbacks = report_fallbacks(
        outcome.accuracy.fallbacks, outcome.accuracy.searched, evaluation, timings
    )
    untimed = why_not_timed(has_gpu) if built else None
    refused = tuple(report_refusals(outcome.refused, label, _timed(timings)))
    elsewhere = _notes_on_machines(outcome, names, untimed)
    return Report(
        created=datetime.now(timezone.utc).replace(microsecond=0),
        model=model_part(inputs),
        environment=EnvironmentReport.model_validate(outcome.machine),
        recipe=resolved_recipe(prepared, choice.chosen, timed=timings is not None),
        stated_recipe=stated_recipe(prepared, choice.chosen),
        data=_data(inputs, recipe),
        stages=stages,
        accuracy=accuracy,
        benchmark=timing,
        throughput=report_served(outcome.throughput, choice, entrants.raw, label),
        refused=refused,
        int8_products=report_products(outcome.products, label),
        recoveries=report_recoveries(graphs.quantized),
        fallbacks=fallbacks,
        verdict=decide(
            recipe.precision, accuracy, timing, budget, require, tuple(missing),
            max_class_drop_pp=per_class,
            refused=why_none_is_left(recipe.precision, choice.chosen, refused),
        ),
        folder=str(folder),
        label=outcome.label,
        banner=DEMO_BANNER if inputs.demo else None,
        notes=(*refused_notes(refused),
               *list_notes(inputs, recipe, evaluation, timings, fallbacks, elsewhere)),
        settings=_settings(inputs.settings),
    )  # fmt: skip


def _notes_on_machines(
    outcome: Outcome, names: Mapping[str, str], untimed: str | None
) -> list[str]:
    """Notes on this CPU, and on graphs for machines that are not here."""
    prepared, evaluation = outcome.prepared, outcome.accuracy.found
    for_gpu = prepared.graphs.for_gpu
    return [
        *filter(None, [warn_of_saturation(outcome.machine["cpu_flags"])]),
        *(f"LiteRT was not run: {why}." for why in prepared.graphs.unwritten.values()),
        *arm_notes(prepared.targets, outcome.for_arm, names, evaluation, outcome.choice.chosen),
        *gpu_notes(for_gpu, outcome.entrants.for_gpu, evaluation, untimed),
    ]


def _missing(stages: Iterable[StageReport]) -> list[str]:
    """Sentences on stages that the verdict has to do without."""
    return [
        f"{stage.name.capitalize()} did not run: {stage.reason}."
        for stage in stages
        if stage.name in ("evaluate", "benchmark") and stage.status == "not_run"
    ]


def _timed(timings: BenchmarkResult | None) -> frozenset[str]:
    return frozenset(row.artifact for row in timings.rows) if timings else frozenset()


def _evaluated_file(
    choice: Choice, evaluation: Evaluation | None, names: Mapping[str, str]
) -> str | None:
    if choice.chosen is None or evaluation is None:
        return None
    return names.get(choice.chosen.digest, choice.chosen.model.path.name)


def _settings(settings: Iterable[Fact]) -> tuple[SettingReport, ...]:
    return tuple(
        SettingReport(
            name=one.name,
            value=list(one.value) if isinstance(one.value, tuple) else one.value,
            source=one.origin.kind,
            detail=one.origin.detail,
        )
        for one in settings
    )


def model_part(inputs: Inputs) -> ModelReport:
    """The network, as a report or a bundle states it."""
    info = inputs.info
    return ModelReport(
        name=info.model,
        params=inputs.weights.value.architecture.count_params(),
        image_size=info.preprocess.image_size,
        num_classes=info.num_classes,
        weights=WeightsReport(
            source=info.weights_source, sha256=info.weights_sha256, licence=info.weights_licence
        ),
        in_channels=info.in_channels,
        classes=info.classes,
    )


def _data(inputs: Inputs, recipe: Recipe) -> DataReport | None:
    if inputs.splits is None and inputs.calibration is None:
        return None
    splits, calibration = inputs.splits, inputs.calibration
    return DataReport(
        source=recipe.data.source or recipe.data.calibration or "digits",
        split=splits.note if splits else "no labelled images were given",
        n_train=len(splits.train) if splits and splits.train else None,
        n_val=len(splits.val) if splits else None,
        n_calibration=len(calibration.images) if calibration else None,
        calibration_source=recipe.data.calibration,
        left_out=calibration.left_out if calibration else 0,
        skipped_images=inputs.skipped_images,
    )


def _accuracy(
    evaluation: Evaluation | None,
    precision: Precision,
    classes: Sequence[str],
    chosen: Candidate | None,
    candidates: Iterable[Candidate],
    label: Callable[[Candidate], str],
) -> AccuracyReport | None:
    if evaluation is None:
        return None
    found, compared = evaluation.options, evaluation.comparisons
    own = None
    if chosen is not None and precision != "fp32":
        own = report_accuracy(found[chosen.name], classes, evaluation.reference)
    rows = [
        report_candidate(one, label(one), found[one.name], compared[one.name])
        for one in candidates
        if one.name in compared
    ]
    comparison = compared[chosen.name] if chosen else None
    fp32 = report_accuracy(evaluation.reference, classes)
    return accuracy_part(len(evaluation.reference.labels), fp32, precision, own, comparison, rows)


def _benchmark(
    timings: BenchmarkResult | None,
    recipe: Recipe,
    runtimes: Sequence[CpuRuntimeName],
    choice: Choice,
    raw: Candidate | None,
    label: Callable[[Candidate], str],
) -> BenchmarkReport | None:
    if timings is None:
        return None
    versus_raw, rival, versus_float = _ratios(timings, recipe.precision, choice, raw)
    return benchmark_part(
        timings,
        label,
        chosen=choice.chosen,
        best_float=choice.best_float,
        versus_float=versus_float,
        rival=rival,
        raw=raw,
        versus_raw=versus_raw,
        forms_not_raced=unraced_forms(recipe, runtimes),
    )


def _ratios(
    timings: BenchmarkResult, precision: Precision, choice: Choice, raw: Candidate | None
) -> tuple[Ratio | None, Candidate | None, Ratio | None]:
    """The speed-up over raw FP32, the float that is hardest to beat, and the speed-up over it."""
    chosen = choice.chosen
    if chosen is None or not timings.rows:
        return None, None, None
    batch = min(row.batch for row in timings.rows)
    versus_raw = speedup(timings, chosen.name, raw.name, batch) if raw else None
    rivals = {one.name: one for one in (*choice.rivals, choice.best_float) if one is not None}
    if precision == "fp32":  # what ships is the best float itself
        rivals = {chosen.name: chosen}
    if not rivals:
        return versus_raw, None, None
    name, ratio = slowest_to_beat(timings, chosen.name, list(rivals), batch)
    return versus_raw, rivals[name], ratio
