"""Turn a board's measurements into its report."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_convnext.devices.bench.stage_entries import board_stages
from edge_convnext.devices.int8_support import warn_of_saturation
from edge_convnext.measure.accuracy import write_predictions_csv
from edge_convnext.measure.speed import speedup
from edge_convnext.measure.to_report import (
    accuracy_part,
    benchmark_part,
    few_rounds_notes,
    licence_notes,
    report_accuracy,
    report_candidate,
    skewed_notes,
)
from edge_convnext.report.beside import Beside
from edge_convnext.report.contract import Report, VerdictReport
from edge_convnext.report.described import BoardReport, BundledFile, EnvironmentReport
from edge_convnext.report.file_names import PREDICTIONS
from edge_convnext.report.measured import AccuracyReport, BenchmarkReport
from edge_convnext.report.verdict import decide
from edge_convnext.runtimes.tensorrt.sidecar import sidecar_path

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from edge_convnext.core.artifacts import Precision
    from edge_convnext.core.recipe import Recipe
    from edge_convnext.devices.bench.choose import Choice
    from edge_convnext.devices.bench.engines import BuiltEngine
    from edge_convnext.devices.bundle import Unpacked
    from edge_convnext.measure.accuracy import Predictions
    from edge_convnext.measure.candidates import Candidate
    from edge_convnext.measure.evaluation import Evaluation
    from edge_convnext.measure.race import Race
    from edge_convnext.measure.timings import BenchmarkResult
    from edge_convnext.report.described import EnergyReport, LeftOutReport
    from edge_convnext.report.stages import StageReport
    from edge_convnext.report.verdict import Requirement

__all__ = ["Measured", "Seen", "board_files", "board_report"]

_NAMED = 3  # the most graphs named for one reason; report.json has all


@dataclass(frozen=True)
class Measured:
    """Everything one bench measured, before it becomes a report."""

    unpacked: Unpacked
    recipe: Recipe  # the build's recipe
    machine: Mapping[str, Any]  # the result of doctor.environment()
    engines: Sequence[BuiltEngine]
    candidates: Sequence[Candidate]  # the candidates that ran
    left_out: tuple[LeftOutReport, ...]
    evaluation: Evaluation | None  # compared with the build's FP32; None without images
    unheld: str  # why no candidate was held to its graph in ONNX Runtime; empty: they were
    race: Race
    choice: Choice
    energy: tuple[EnergyReport, ...]


@dataclass(frozen=True)
class Seen:
    """State of the board before and after the measurement."""

    before: dict[str, Any] | None  # state before the measurement
    after: dict[str, Any] | None
    unread: str | None  # the reason if there is no state
    differences: tuple[str, ...]  # differences between the two states


def board_report(measured: Measured, seen: Seen, require: Requirement | None, out: Path) -> Report:
    """Make the report of one bench, complete except the list of files next to it.

    Args:
        measured: Measurements of the bench.
        seen: State of the board before and after.
        require: Verdict that the user requires; None requires nothing.
        out: The report's folder.
    """
    unpacked, recipe, choice = measured.unpacked, measured.recipe, measured.choice
    timings, built = measured.race.timings, measured.unpacked.report
    classes = unpacked.manifest.model.classes
    accuracy = _accuracy(
        built.accuracy, recipe.precision, classes, measured.evaluation, choice, measured.candidates
    )
    timing = _benchmark(timings, choice)
    budget, per_class = recipe.evaluate.max_drop_pp, recipe.evaluate.max_class_drop_pp
    missing = _missing(choice, accuracy)
    verdict = decide(
        recipe.precision, accuracy, timing, budget, require, missing, choice.batch, per_class
    )
    evaluated_s = measured.evaluation.seconds if measured.evaluation else None
    stages = board_stages(
        unpacked, measured.engines, measured.left_out, evaluated_s, measured.race.seconds, out
    )
    licence = unpacked.manifest.model.weights.licence
    return Report(
        created=datetime.now(timezone.utc).replace(microsecond=0),
        model=unpacked.manifest.model,
        environment=EnvironmentReport.model_validate(measured.machine),
        recipe=built.recipe,
        stated_recipe=built.stated_recipe,
        data=built.data,
        stages=stages,
        accuracy=accuracy,
        benchmark=timing,
        verdict=verdict,
        folder=str(out),
        banner=built.banner,
        notes=_notes(licence, seen, measured, stages),
        board=_board(measured, seen, _ship_file(choice, verdict)),
    )


def board_files(measured: Measured, verdict: VerdictReport) -> Beside:
    """List the files next to the report: the one that ships, its sidecar, the predictions."""
    models: dict[str, Path] = {}
    winner, name = _winner(measured.choice, verdict), _ship_file(measured.choice, verdict)
    if winner is not None and name is not None:
        models[name] = winner.model.path
        sidecar = sidecar_path(winner.model.path)
        if sidecar.is_file():
            models[f"{name}.json"] = sidecar
    answers = _answers(measured.recipe.precision, measured.evaluation, measured.choice)
    if answers is None:
        return Beside(models)
    classes = measured.unpacked.manifest.model.classes
    write = partial(
        write_predictions_csv, predictions=answers, classes=classes, answers_alone=["fp32"]
    )
    return Beside(models, {PREDICTIONS: write})


def _ship_file(choice: Choice, verdict: VerdictReport) -> str | None:
    """Name the file that the verdict is for; None if it is undecided."""
    winner = _winner(choice, verdict)
    return None if winner is None else f"model.{verdict.ship}{winner.model.path.suffix}"


def _winner(choice: Choice, verdict: VerdictReport) -> Candidate | None:
    pair = (choice.wanted, choice.best_float)
    return next((one for one in pair if one and one.model.precision == verdict.ship), None)


def _answers(
    precision: Precision, evaluation: Evaluation | None, choice: Choice
) -> dict[Precision, Predictions] | None:
    """Return each image's class in the build's FP32, and here in the requested precision."""
    if evaluation is None or choice.wanted is None or precision == "fp32":
        return None
    return {"fp32": evaluation.reference, precision: evaluation.options[choice.wanted.name]}


def _missing(choice: Choice, accuracy: AccuracyReport | None) -> tuple[str, ...]:
    """List, as sentences, what the verdict lacks."""
    unevaluated = ["The bundle has no evaluation images."] if accuracy is None else []
    return (*([choice.unmatched] if choice.unmatched else []), *unevaluated)


def _accuracy(
    built: AccuracyReport | None,
    precision: Precision,
    classes: Sequence[str],
    evaluation: Evaluation | None,
    choice: Choice,
    candidates: Sequence[Candidate],
) -> AccuracyReport | None:
    if evaluation is None or built is None:
        return None
    wanted, found, compared = choice.wanted, evaluation.options, evaluation.comparisons
    own = None
    if wanted is not None and precision != "fp32":
        own = report_accuracy(found[wanted.name], classes, evaluation.reference)
    rows = [
        report_candidate(one, one.name, found[one.name], compared[one.name]) for one in candidates
    ]
    comparison = compared[wanted.name] if wanted else None
    return accuracy_part(built.n_images, built.fp32, precision, own, comparison, rows)


def _benchmark(timings: BenchmarkResult, choice: Choice) -> BenchmarkReport:
    wanted, rival = choice.wanted, choice.best_float
    ratio = None
    if wanted and rival and choice.unmatched is None:
        ratio = speedup(timings, wanted.name, rival.name, choice.batch)
    return benchmark_part(
        timings, lambda one: one.name, chosen=wanted, best_float=rival, versus_float=ratio
    )


def _board(measured: Measured, seen: Seen, ships: str | None) -> BoardReport:
    return BoardReport(
        name=_name(measured.machine),
        bundle_sha256=measured.unpacked.digest,
        graphs=_graphs(measured.unpacked),
        ships=ships,
        state_before=seen.before,
        state_after=seen.after,
        state_reason=seen.unread,
        clocks_locked=seen.before.get("clocks_locked") if seen.before else None,
        energy=measured.energy,
        energy_reason=None if measured.energy else seen.unread or "no power was read",
        left_out=measured.left_out,
    )


def _name(machine: Mapping[str, Any]) -> str:
    return str(machine["jetson"] or next(iter(machine["gpus"]), None) or machine["cpu_model"])


def _graphs(unpacked: Unpacked) -> tuple[BundledFile, ...]:
    manifest = unpacked.manifest
    return tuple(
        BundledFile(path=graph.name, sha256=manifest.member(graph.file).sha256)
        for graph in manifest.graphs
    )


def _notes(
    licence: str | None,
    seen: Seen,
    measured: Measured,
    stages: Sequence[StageReport],
) -> tuple[str, ...]:
    """List the report's notes: facts that the stages do not state."""
    unheld = f"What is computed here was not held to ONNX Runtime's logits: {measured.unheld}."
    unread = f"Mode, clocks, temperature and power were not read: {seen.unread}."
    return (
        *licence_notes(licence),
        *filter(None, [warn_of_saturation(measured.machine["cpu_flags"])]),
        *([unread] if seen.unread is not None else []),
        *(f"{one[:1].upper()}{one[1:]}." for one in seen.differences),
        *skewed_notes(measured.race.timings, "Repeat `bench` on an idle board."),
        *few_rounds_notes(measured.recipe),
        *_tie_notes(measured.choice),
        *([unheld] if measured.unheld else []),
        *_left_out_notes(measured.left_out, stages),
    )


def _tie_notes(choice: Choice) -> list[str]:
    """Say where speed alone chose, though others are as fast: nothing tells the nearest to FP32."""
    if choice.wanted is None or not choice.as_fast:
        return []
    more = f" and {len(choice.as_fast) - _NAMED} more" if len(choice.as_fast) > _NAMED else ""
    return [
        f"As fast as {choice.wanted.name} here: {', '.join(choice.as_fast[:_NAMED])}{more}. Which "
        "is nearest to FP32 was not measured, for the bundle has no images: speed alone chose."
    ]


def _left_out_notes(
    left_out: Sequence[LeftOutReport], stages: Sequence[StageReport]
) -> Iterator[str]:
    """List what was left out, by reason, except the reason that the stage `engine` states."""
    said = next((stage.reason for stage in stages if stage.name == "engine"), None)
    for reason in dict.fromkeys(one.reason for one in left_out if one.reason != said):
        names = [one.artifact for one in left_out if one.reason == reason]
        more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        yield f"Left out, {', '.join(names[:_NAMED])}{more}: {reason}."
