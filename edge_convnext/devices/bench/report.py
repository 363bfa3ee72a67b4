"""Write down what a board measured: `report.json`, `report.md`, and the file that ships there."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, get_args

from edge_convnext.core.artifacts import Precision
from edge_convnext.core.contention import why_skewed
from edge_convnext.core.errors import ArtifactError
from edge_convnext.core.files import copy_atomic, write_text_atomic
from edge_convnext.core.locks import hold_lock
from edge_convnext.core.swap import left_names, require_room, swap, written_beside
from edge_convnext.devices.bench.choose import Choice, choose
from edge_convnext.devices.bench.stage_entries import board_stages
from edge_convnext.measure.accuracy import write_predictions_csv
from edge_convnext.measure.accuracy_report import (
    report_accuracy,
    report_candidate,
    report_comparison,
)
from edge_convnext.measure.benchmark import BenchmarkResult, speedup
from edge_convnext.measure.timing_report import report_race, report_ratio
from edge_convnext.report.contract import (
    AccuracyReport,
    BenchmarkReport,
    BoardReport,
    BundledFile,
    Candidate,
    EnvironmentReport,
    FileReport,
    Report,
    VerdictReport,
)
from edge_convnext.report.manifest import MANIFEST, write_manifest
from edge_convnext.report.verdict import decide

if TYPE_CHECKING:
    from pathlib import Path

    from edge_convnext.core.recipe import Recipe
    from edge_convnext.devices.bench.engines import BuiltEngine
    from edge_convnext.devices.bench.entries import Entry
    from edge_convnext.devices.bundle import Unpacked
    from edge_convnext.measure.accuracy import Comparison, Predictions
    from edge_convnext.report.contract import EnergyReport, LeftOutReport
    from edge_convnext.report.verdict import Requirement

__all__ = ["OWN_FILES", "Measured", "Seen", "find_old", "publish_board"]

_NAMED = 3  # of graphs that share a reason; report.json has all

PREDICTIONS = "predictions.csv"
_TABLES = "report.md"
WINNERS = tuple(
    f"model.{precision}.{suffix}"
    for precision in get_args(Precision)
    for suffix in ("onnx", "engine", "engine.json")
)
OWN_FILES = (*WINNERS, PREDICTIONS)  # beside the report


@dataclass(frozen=True)
class Measured:
    """Everything one bench measured, before it becomes a report."""

    unpacked: Unpacked
    recipe: Recipe  # of the build
    machine: Mapping[str, Any]  # doctor.environment()
    engines: tuple[BuiltEngine, ...]
    entries: tuple[Entry, ...]
    left_out: tuple[LeftOutReport, ...]
    reference: Predictions | None  # the desk's FP32; None without evaluation images
    predictions: Mapping[str, Predictions]  # by entry; empty without evaluation images
    comparisons: Mapping[str, Comparison]
    evaluate_seconds: float | None  # None without evaluation images
    timings: BenchmarkResult
    race_seconds: float
    energy: tuple[EnergyReport, ...]


@dataclass(frozen=True)
class Seen:
    """What the board told of itself."""

    before: dict[str, Any] | None  # the measurement
    after: dict[str, Any] | None
    unread: str | None  # why there is no state
    differences: tuple[str, ...]  # between the two


def publish_board(
    measured: Measured,
    out: Path,
    seen: Seen,
    require: Requirement | None,
) -> Report:
    """Decide, and write the file that ships and the report; an older bench's go when all is there.

    `manifest.json` comes last: it has the report's hash, by which the gate tells an edited one.

    Args:
        measured: From the bench.
        out: Where to write.
        seen: What the board told of itself.
        require: What the verdict must be, if anything was asked for.

    Raises:
        ArtifactError: There is no room on the disk; an older bench is as it was.
    """
    with hold_lock(out.resolve()):
        old = find_old(out)
        with written_beside(out) as new:
            report = _write_all(measured, new, out, seen, require)
            swap(new, out, old, MANIFEST)
    return report


def find_old(out: Path) -> set[str]:
    """Names of an older bench's files beside its report.

    Raises:
        ArtifactError: A file is called as one of a bench, and none that ran there has it.
    """
    from edge_convnext.report.folder import REPORT

    known = left_names(out)
    with suppress(ArtifactError):
        report = Report.read(out / REPORT)
        if report.board is not None:
            known |= {MANIFEST, REPORT, _TABLES, *(file.path for file in report.outputs)}
    ours = (MANIFEST, REPORT, _TABLES, *OWN_FILES)
    named = {name for name in ours if os.path.lexists(out / name)}
    if foreign := sorted(named - known):
        raise ArtifactError(
            f"{out / foreign[0]}: would be removed, and no bench wrote it; choose another --out"
        )
    return named


def _write_all(
    measured: Measured, new: Path, out: Path, seen: Seen, require: Requirement | None
) -> Report:
    """Write everything into `new`, which is about to become `out`."""
    from edge_convnext.report.folder import REPORT
    from edge_convnext.report.markdown import to_markdown

    recipe = measured.recipe
    budget = recipe.evaluate.max_drop_pp
    choice = choose(
        measured.entries, recipe.precision, measured.timings, measured.comparisons, budget
    )
    accuracy = _accuracy(measured, choice)
    timing = _benchmark(measured, choice)
    missing = [choice.unmatched] if choice.unmatched else []
    if accuracy is None:
        missing.append("The bundle has no evaluation images.")
    batch = choice.batch
    verdict = decide(
        recipe.precision,
        accuracy,
        timing,
        budget,
        require,
        tuple(missing),
        batch,
        recipe.evaluate.max_class_drop_pp,
    )
    stages = board_stages(
        measured.unpacked,
        measured.engines,
        measured.left_out,
        measured.evaluate_seconds,
        measured.race_seconds,
        out,
    )
    said = next((stage.reason for stage in stages if stage.name == "engine"), None)
    files = _copy_winner(verdict, choice, new)
    answers = _write_predictions(measured, choice, new)
    report = Report(
        created=datetime.now(timezone.utc).replace(microsecond=0),
        model=measured.unpacked.manifest.model,
        environment=EnvironmentReport.model_validate(measured.machine),
        recipe=measured.unpacked.report.recipe,
        stated_recipe=measured.unpacked.report.stated_recipe,
        data=measured.unpacked.report.data,
        stages=stages,
        accuracy=accuracy,
        benchmark=timing,
        verdict=verdict,
        folder=str(out),
        outputs=tuple(FileReport.of(path, new) for path in (*files, *answers)),
        banner=measured.unpacked.report.banner,
        notes=_notes(measured, seen, said),
        board=BoardReport(
            name=_name(measured.machine),
            bundle_sha256=measured.unpacked.digest,
            graphs=_graphs(measured.unpacked),
            ships=files[0].name if files else None,
            state_before=seen.before,
            state_after=seen.after,
            state_reason=seen.unread,
            clocks_locked=seen.before.get("clocks_locked") if seen.before else None,
            energy=measured.energy,
            energy_reason=None if measured.energy else seen.unread or "no power was read",
            left_out=measured.left_out,
        ),
    )
    write_text_atomic(new / _TABLES, to_markdown(report))
    report.write(new / REPORT)
    write_manifest(new, (*files, *answers, new / REPORT, new / _TABLES))
    return report


def _name(machine: Mapping[str, Any]) -> str:
    return str(machine["jetson"] or next(iter(machine["gpus"]), None) or machine["cpu_model"])


def _graphs(unpacked: Unpacked) -> tuple[BundledFile, ...]:
    manifest = unpacked.manifest
    return tuple(
        BundledFile(path=graph.name, sha256=manifest.member(graph.file).sha256)
        for graph in manifest.graphs
    )


def _notes(measured: Measured, seen: Seen, said: str | None) -> tuple[str, ...]:
    """What to know beside the stages, of which the engines' says one reason already."""
    notes: list[str] = []
    licence = measured.unpacked.manifest.model.weights.licence
    if licence is not None:
        notes.append(f"The weights' licence, {licence}, holds for every file made from them.")
    if seen.unread is not None:
        notes.append(f"Mode, clocks, temperature and power were not read: {seen.unread}.")
    notes += [f"{one[:1].upper()}{one[1:]}." for one in seen.differences]
    timed = measured.timings
    if skewed := why_skewed(timed.other_load_pct, timed.throttled_periods):
        notes.append(
            f"During the timings {skewed}: the speed is likely at most. Repeat `bench` on an idle "
            "board."
        )
    for reason in dict.fromkeys(one.reason for one in measured.left_out if one.reason != said):
        names = [one.artifact for one in measured.left_out if one.reason == reason]
        more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        notes.append(f"Left out, {', '.join(names[:_NAMED])}{more}: {reason}.")
    return tuple(notes)


def _candidate(entry: Entry) -> Candidate:
    one = entry.candidate
    return Candidate(
        artifact=one.name,
        form=one.form,
        placement=one.placement,
        precision=one.precision,
        runtime=one.runtime,
        precision_hint=one.precision_hint,
        settings=dict(one.settings),
    )


def _accuracy(measured: Measured, choice: Choice) -> AccuracyReport | None:
    desk = measured.unpacked.report.accuracy
    if not measured.predictions or desk is None:
        return None
    precision = measured.recipe.precision
    fields: dict[str, Any] = {"n_images": desk.n_images, "fp32": desk.fp32}
    if choice.wanted is not None:
        name = choice.wanted.name
        if precision != "fp32":
            classes = measured.unpacked.manifest.model.classes
            found = measured.predictions[name]
            fields[precision] = report_accuracy(found, classes, measured.reference)
        fields.update(report_comparison(measured.comparisons[name]))
    candidates = tuple(
        report_candidate(
            _candidate(entry), measured.predictions[entry.name], measured.comparisons[entry.name]
        )
        for entry in measured.entries
    )
    return AccuracyReport(**fields, candidates=candidates)


def _benchmark(measured: Measured, choice: Choice) -> BenchmarkReport:
    entries = {entry.name: entry for entry in measured.entries}
    wanted, rival = choice.wanted, choice.best_float
    ratio = None
    if wanted and rival and choice.unmatched is None:
        ratio = speedup(measured.timings, wanted.name, rival.name, choice.batch)
    return BenchmarkReport(
        **report_race(measured.timings, lambda name: _candidate(entries[name])),
        **report_ratio("speedup_vs_best_float", ratio),
        chosen=wanted.name if wanted else None,
        best_float=rival.name if rival else None,
    )


def _write_predictions(measured: Measured, choice: Choice, out: Path) -> list[Path]:
    """Each image's class at the desk in FP32 and here in the precision asked for."""
    precision, reference = measured.recipe.precision, measured.reference
    if reference is None or choice.wanted is None or precision == "fp32":
        return []
    found: dict[Precision, Predictions] = {"fp32": reference}
    found[precision] = measured.predictions[choice.wanted.name]
    path, classes = out / PREDICTIONS, measured.unpacked.manifest.model.classes
    write_predictions_csv(path, found, classes, answers_alone=["fp32"])
    return [path]


def _copy_winner(verdict: VerdictReport, choice: Choice, out: Path) -> list[Path]:
    """Copy the file that ships, an engine with its sidecar."""
    if verdict.ship == "undecided":
        return []
    pair = (choice.wanted, choice.best_float)
    winner = next((one for one in pair if one and one.candidate.precision == verdict.ship), None)
    if winner is None:
        return []
    source = winner.candidate.path
    require_room(out, source.stat().st_size)
    target = out / f"model.{verdict.ship}{source.suffix}"
    copy_atomic(source, target)
    sidecar = source.with_name(f"{source.name}.json")
    if not sidecar.is_file():
        return [target]
    beside = target.with_name(f"{target.name}.json")
    copy_atomic(sidecar, beside)
    return [target, beside]
