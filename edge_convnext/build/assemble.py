"""Turn what a build did into the report: every figure here was measured elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from edge_convnext.build.gpu_chain import gpu_graph_name
from edge_convnext.build.inputs import DEMO_BANNER
from edge_convnext.build.stage_entries import report_stages, why_not_timed
from edge_convnext.measure.benchmark import BenchmarkResult, Ratio, speedup
from edge_convnext.measure.candidates import Candidate
from edge_convnext.measure.speed import slowest_to_beat
from edge_convnext.measure.to_report import (
    accuracy_part,
    benchmark_part,
    licence_notes,
    report_accuracy,
    report_candidate,
    report_interval,
    skewed_notes,
)
from edge_convnext.networks.plans import plan_fields, plan_for
from edge_convnext.report.contract import (
    HALF_SEARCHED,
    AccuracyReport,
    BenchmarkReport,
    DataReport,
    EnvironmentReport,
    FallbackReport,
    FileReport,
    ModelReport,
    ParityReport,
    RecoveryReport,
    Report,
    SensitivityReport,
    SettingReport,
    WeightsReport,
)
from edge_convnext.report.verdict import decide
from edge_convnext.stages import write_for_tensorrt

if TYPE_CHECKING:
    from edge_convnext.build.outcome import Outcome
    from edge_convnext.core.artifacts import CpuRuntimeName
    from edge_convnext.measure.accuracy import Comparison
    from edge_convnext.report.verdict import Requirement

__all__ = ["assemble_report"]


def assemble_report(
    outcome: Outcome,
    folder: Path,
    names: Mapping[str, str],
    outputs: Iterable[Path],
    require: Requirement | None,
) -> Report:
    """Write the outcome down as the contract wants it.

    Args:
        outcome: Of a finished chain.
        folder: Where the artefacts were copied to.
        names: Shipped file name by artefact digest.
        outputs: Every file in `folder` that the report answers for.
        require: See `pipeline.build`.
    """
    accuracy = _accuracy(outcome, names)
    timing = _benchmark(outcome, names)
    stages = report_stages(outcome, folder, names)
    fallbacks = _fallbacks(outcome)
    missing = [
        f"{stage.name.capitalize()} did not run: {stage.reason}."
        for stage in stages
        if stage.name in ("evaluate", "benchmark") and stage.status == "not_run"
    ]
    if outcome.timings is None and outcome.graphs.for_gpu:
        missing += _untimed(outcome, names)
    recipe = outcome.recipe
    verdict = decide(
        recipe.precision,
        accuracy,
        timing,
        recipe.evaluate.max_drop_pp,
        require,
        tuple(missing),
        max_class_drop_pp=recipe.evaluate.max_class_drop_pp,
    )
    return Report(
        created=datetime.now(timezone.utc).replace(microsecond=0),
        model=_model(outcome),
        environment=EnvironmentReport.model_validate(outcome.machine),
        recipe=_resolved(outcome),
        stated_recipe=_stated(outcome),
        data=_data(outcome),
        stages=stages,
        accuracy=accuracy,
        benchmark=timing,
        recoveries=_recoveries(outcome),
        fallbacks=fallbacks,
        verdict=verdict,
        folder=str(folder),
        outputs=tuple(FileReport.of(path, folder) for path in outputs),
        banner=DEMO_BANNER if outcome.inputs.demo else None,
        notes=_notes(outcome, fallbacks),
        settings=_settings(outcome),
    )


def _settings(outcome: Outcome) -> tuple[SettingReport, ...]:
    return tuple(
        SettingReport(
            name=one.name,
            value=list(one.value) if isinstance(one.value, tuple) else one.value,
            source=one.origin.kind,
            detail=one.origin.detail,
        )
        for one in outcome.inputs.settings
    )


def _notes(outcome: Outcome, fallbacks: Iterable[FallbackReport]) -> tuple[str, ...]:
    notes = licence_notes(outcome.inputs.info.weights_licence)
    splits = outcome.inputs.splits
    labelled = outcome.evaluation is not None and not outcome.inputs.demo
    if labelled and splits is not None and splits.by_seed:
        notes.append(
            "The data has no split of its own. The accuracies are honest only if the weights "
            "were trained on the training side drawn here, as `edge-convnext train` with the "
            "same seed does."
        )
    if outcome.inputs.borrowed:
        notes.append("No data was given: parity checks and timings ran on scikit-learn's digits.")
    notes += _calibration_notes(outcome)
    if outcome.recipe.precision == "fp16":
        notes.append("FP16 graphs are for GPUs: here only their accuracy tells something.")
    minutes = outcome.recipe.benchmark.wait_quiet_min
    wait = ", or wait for one with --wait-quiet MINUTES"
    if minutes:
        wait = f", for which {minutes:g} minutes of waiting were not enough"
    notes += skewed_notes(outcome.timings, f"Repeat `build` on an idle machine{wait}.")
    notes += [_fallback_note(one) for one in fallbacks]
    notes += _gpu_notes(outcome)
    notes += outcome.inputs.notes
    return tuple(dict.fromkeys(notes))


def _calibration_notes(outcome: Outcome) -> list[str]:
    """What makes the calibration images say little, and fidelity that rests on them alone."""
    calibration = outcome.inputs.calibration
    if calibration is None or outcome.inputs.borrowed or outcome.recipe.precision != "int8":
        return []
    notes = list(calibration.notes)
    if outcome.evaluation is None:
        notes.append(
            "How near INT8 is to FP32 was measured on calibration images alone, for which its "
            "ranges were made: other images fare worse. Labelled images (--data) would tell."
        )
    return notes


def _untimed(outcome: Outcome, names: Mapping[str, str]) -> Iterator[str]:
    """What a verdict on graphs for GPUs alone rests on."""
    built = any(build.step is not None for build in outcome.engines)
    made = "The engines were built and never run" if built else "No engine was built"
    if outcome.chosen is not None and outcome.evaluation is not None:
        file = names.get(outcome.chosen.digest, outcome.chosen.model.path.name)
        yield f"{made}: that accuracy is of {file} in ONNX Runtime, and nothing was timed."
    else:
        yield f"{made}: nothing was timed."


def _gpu_notes(outcome: Outcome) -> Iterator[str]:
    """What was measured of the graphs for TensorRT, and on what."""
    evaluation = outcome.evaluation
    compared = evaluation.comparisons if evaluation is not None else {}
    measured = [
        f"{_gpu_files(outcome, option)} {_losses(compared[option.name])}"
        for option in outcome.gpu_options
        if option.model.precision == "int8" and option.name in compared
    ]
    if measured:
        yield (
            "The Q/DQ of the graphs for TensorRT was measured in ONNX Runtime with a float32 body, "
            "which those of opset 17 have; that of the others is float16: "
            f"{'; '.join(measured)}."
        )
    if any(build.step is not None for build in outcome.engines):
        yield f"The engines were {why_not_timed(outcome)}."


def _gpu_files(outcome: Outcome, option: Candidate) -> str:
    """The build's files that were written from a graph."""
    return " and ".join(
        gpu_graph_name(lineage.final.value.path)
        for lineage in outcome.graphs.for_gpu
        if lineage.before(write_for_tensorrt.STAGE).digest == option.digest
    )


def _losses(found: Comparison) -> str:
    sqnr = "equal logits" if found.sqnr_db is None else f"{found.sqnr_db:.1f} dB"
    return f"drop {found.top1_drop_pp:.2f} pp, agreement {found.agreement_pct:.2f} %, {sqnr}"


def _fallback_note(one: FallbackReport) -> str:
    start = f"INT8 {one.graph} lost {one.top1_drop_before_pp:.2f} pp of top-1"
    if one.reason is not None:
        return f"{start}, and no fallback to float was looked for: {one.reason}."
    if one.kept_float is None or one.top1_drop_pp is None:
        return f"{start}, and no fallback to float holds the budget."
    cost = ""
    if one.speedup_vs_full is not None:
        cost = f", at {one.speedup_vs_full:.2f}x its speed"
    halves = ""
    if one.searched_on == HALF_SEARCHED:
        halves = " Of images that are added half will judge: add twice as many as would tell."
    return (
        f"{start}: {len(one.kept_float)} of its {one.quantized_ops} operations were returned to "
        f"float, chosen on {one.n_searched:,} images ({one.searched_on}). On the {one.n_judged:,} "
        f"evaluation images that were not looked at, which every accuracy here is of, that leaves "
        f"{one.top1_drop_pp:.2f} pp{cost}: {', '.join(one.kept_float)}.{halves}"
    )


def _model(outcome: Outcome) -> ModelReport:
    info = outcome.inputs.info
    return ModelReport(
        name=info.model,
        params=outcome.inputs.weights.value.architecture.count_params(),
        image_size=info.preprocess.image_size,
        num_classes=info.num_classes,
        weights=WeightsReport(
            source=info.weights_source, sha256=info.weights_sha256, licence=info.weights_licence
        ),
        in_channels=info.in_channels,
        classes=info.classes,
    )


def _resolved(outcome: Outcome) -> dict[str, Any]:
    """The recipe with what the checkpoint and the machine settled."""
    fields: dict[str, Any] = outcome.recipe.model_dump(mode="json")
    fields["targets"] = list(outcome.targets)
    if outcome.graphs.for_gpu:
        batches = sorted({one.plan.batch for one in outcome.graphs.for_gpu if one.plan.batch})
        fields["engine"] |= {"batches": batches, "plans": _gpu_plans(outcome)}
    fields["preprocess"] = asdict(outcome.inputs.info.preprocess)
    fields["preprocess"]["mean"] = list(fields["preprocess"]["mean"])
    fields["preprocess"]["std"] = list(fields["preprocess"]["std"])
    if outcome.chosen is not None:  # what `auto` came to: this recipe makes the same files
        if outcome.timings is not None:
            fields["runtime"] = outcome.chosen.runtime
        fields["plans"] = {
            runtime: plan_fields(plan_for(outcome.recipe, cast("CpuRuntimeName", runtime)))
            for runtime in dict.fromkeys(option.runtime for option in outcome.options)
        }
    return fields


def _stated(outcome: Outcome) -> dict[str, Any]:
    """The recipe as it was, with the plans that were in force: what builds the same again."""
    fields: dict[str, Any] = outcome.recipe.model_dump(mode="json")
    fields["plans"] = _resolved(outcome)["plans"]
    fields["engine"]["plans"] = _gpu_plans(outcome)
    return fields


def _gpu_plans(outcome: Outcome) -> dict[str, dict[str, Any]]:
    """The recipe's own, and those in force, as `engine.plans` states them."""
    found: dict[str, dict[str, Any]]
    found = outcome.recipe.engine.model_dump(mode="json")["plans"]
    for lineage in outcome.graphs.for_gpu:
        plan = lineage.plan
        by_batch = found.setdefault("int8" if plan.precision == "int8" else "fp16", {})
        by_batch[str(plan.batch)] = {"form": plan.form, "placement": plan.placement}
    return found


def _data(outcome: Outcome) -> DataReport | None:
    inputs, recipe = outcome.inputs, outcome.recipe
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


def _accuracy(outcome: Outcome, names: Mapping[str, str]) -> AccuracyReport | None:
    evaluation = outcome.evaluation
    if evaluation is None:
        return None
    precision, classes = outcome.recipe.precision, outcome.inputs.info.classes
    chosen, found, compared = outcome.chosen, evaluation.options, evaluation.comparisons
    own = None
    if chosen is not None and precision != "fp32":
        own = report_accuracy(found[chosen.name], classes, evaluation.reference)
    return accuracy_part(
        len(evaluation.reference.labels),
        report_accuracy(evaluation.reference, classes),
        precision,
        own,
        compared[chosen.name] if chosen else None,
        [
            report_candidate(one, _label(one, names), found[one.name], compared[one.name])
            for one in (*outcome.options, *outcome.gpu_options)
            if one.name in compared
        ],
    )


def _label(option: Candidate, names: Mapping[str, str]) -> str:
    """Such as `model.int8.onnx openvino f32`: the file, shipped or not, and how it runs."""
    return option.label(names.get(option.digest, option.model.path.name))


def _benchmark(outcome: Outcome, names: Mapping[str, str]) -> BenchmarkReport | None:
    timings = outcome.timings
    if timings is None:
        return None
    versus_raw, rival, versus_float = _ratios(outcome, timings)
    return benchmark_part(
        timings,
        lambda one: _label(one, names),
        chosen=outcome.chosen,
        best_float=outcome.best_float,
        versus_float=versus_float,
        rival=rival,
        raw=outcome.raw,
        versus_raw=versus_raw,
    )


def _ratios(
    outcome: Outcome, timings: BenchmarkResult
) -> tuple[Ratio | None, Candidate | None, Ratio | None]:
    """The chosen model's speed over raw FP32's; the float that is hardest to beat; over that."""
    chosen, best, raw = outcome.chosen, outcome.best_float, outcome.raw
    if chosen is None or not timings.rows:
        return None, None, None
    batch = min(row.batch for row in timings.rows)
    versus_raw = speedup(timings, chosen.name, raw.name, batch) if raw else None
    rivals = {one.name: one for one in (*outcome.rivals, best) if one is not None}
    if outcome.recipe.precision == "fp32":  # what ships is the best float itself
        rivals = {chosen.name: chosen}
    if not rivals:
        return versus_raw, None, None
    name, ratio = slowest_to_beat(timings, chosen.name, list(rivals), batch)
    return versus_raw, rivals[name], ratio


def _fallbacks(outcome: Outcome) -> tuple[FallbackReport, ...]:
    evaluation, timings = outcome.evaluation, outcome.timings
    searched = outcome.searched
    if evaluation is None:
        return ()
    drops = {name: one.top1_drop_pp for name, one in evaluation.comparisons.items()}
    reports = []
    for one in outcome.fallbacks:
        held = one.held
        ratio = None
        if held is not None and timings is not None:
            batch = min(row.batch for row in timings.rows)
            ratio = speedup(timings, held.name, one.full.name, batch)
        reports.append(
            FallbackReport(
                graph=one.plan.label,
                kept_float=one.names,
                quantized_ops=one.full.model.quantized_ops,
                top1_drop_before_pp=one.drop_pp,
                top1_drop_pp=drops[held.name] if held else None,
                searched_on=searched.what if searched and held else None,
                n_searched=searched.count if searched and held else None,
                n_judged=len(evaluation.reference.labels) if held else None,
                reason=one.reason,
                speedup_vs_full=ratio.median if ratio else None,
                speedup_vs_full_ci95=report_interval(ratio),
                sensitivity=tuple(
                    SensitivityReport(**asdict(operation)) for operation in one.ranking
                ),
            )
        )
    return tuple(reports)


def _recoveries(outcome: Outcome) -> tuple[RecoveryReport, ...]:
    return tuple(
        RecoveryReport(
            graph=lineage.plan.label,
            kept=lineage.recovery.kept,
            before=ParityReport(**asdict(lineage.recovery.before)),
            after=ParityReport(**asdict(lineage.recovery.after)),
            steps=lineage.recovery.steps,
            n_training=lineage.recovery.n_training,
        )
        for lineage in outcome.graphs.quantized
        if lineage.recovery is not None
    )
