"""Speed and size: ratios of latency where the machine is the same, else the reason why not."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from edge_convnext.core.image_size import show_size
from edge_convnext.report.compare.findings import Finding, outcome_of
from edge_convnext.report.compare.sides import Side
from edge_convnext.report.contract import BoardRun, Report
from edge_convnext.report.gate.baseline import Speed, speed_of
from edge_convnext.report.gate.speed import compare_speeds
from edge_convnext.report.measured import BenchmarkRow, smallest_batch

__all__ = [
    "Timing",
    "board_findings",
    "chosen_row",
    "latency_finding",
    "size_finding",
    "timings_of_both",
]

_SAME_SIZE = 0.01  # of the size: names and metadata in a file


@dataclass(frozen=True)
class Timing:
    """One candidate that both builds timed on one machine, each in its own run."""

    artifact: str
    batch: int
    before_ms: float
    now_ms: float
    before_bytes: int
    now_bytes: int

    @property
    def ratio(self) -> float | None:
        """Latency of the later run over the earlier; None where nothing was measured."""
        ratio = self.now_ms / self.before_ms if self.before_ms else math.inf
        return ratio if math.isfinite(ratio) else None


def latency_finding(before: Side, now: Side) -> Finding:
    """Compare what was chosen, each divided by the same float of its own run."""
    for one in (before, now):
        if one.report is not None and one.report.benchmark is None:
            why = one.report.stage("benchmark").reason
            text = f"Latency: not compared, {one.called} was not timed ({why})."
            return Finding("latency_ratio", "unknown", text)
    if why := _why_other_work(before, now):
        text = f"Latency: not compared, {why}{_in_ms(before, now)}."
        return Finding("latency_ratio", "unknown", text)
    return _latency(
        "latency_ratio", "Latency", (before.speed, before.called), (now.speed, now.called)
    )


def _latency(measure: str, what: str, before: tuple[Speed, str], now: tuple[Speed, str]) -> Finding:
    names = now[1], before[1]
    found = compare_speeds(now[0], before[0], names)
    if isinstance(found, str):
        return Finding(measure, "unknown", f"{what}: not compared, {found}.")
    ratio, interval = found.latency_ratio, found.latency_ratio_ci
    if not all(map(math.isfinite, (ratio, *interval))):
        text = f"{what}: not compared, a speed-up near 0 is no measurement."
        return Finding(measure, "unknown", text)
    outcome = outcome_of(interval, 1.0, low_is_good=True)
    verdict = "no difference shown, " if outcome == "same" else ""
    text = (
        f"{what}: {verdict}{names[0]} takes {ratio:.3f} times {names[1]}'s, each against "
        f"{found.against} in its own run (95 % interval {interval[0]:.3f} to {interval[1]:.3f})."
    )
    return Finding(measure, outcome, text, found.then, found.now, ratio, interval)


def _why_other_work(before: Side, now: Side) -> str | None:
    """Reason why speed-ups do not compare: each is over the float of another network or task."""
    if before.model != now.model:
        return "the networks differ, and each speed-up is over its own float"
    then, later = before.report, now.report
    if then is None or later is None:  # a baseline keeps neither size nor threads
        return None
    sizes = show_size(then.model.image_size), show_size(later.model.image_size)
    if sizes[0] != sizes[1]:
        return f"the images have {sizes[0]} px in {before.called} and {sizes[1]} px in {now.called}"
    threads = _threads(then), _threads(later)
    if threads[0] != threads[1]:
        return (
            f"{before.called} was timed with {threads[0]} threads, {now.called} with {threads[1]}"
        )
    return None


def _threads(report: Report) -> int | None:
    return max((row.threads for row in _rows(report)), default=None)


def _in_ms(before: Side, now: Side) -> str:
    """Both latencies of one machine, of two runs; empty where there is none to state."""
    then, later = chosen_row(before.report), chosen_row(now.report)
    same = before.speed.fingerprint == now.speed.fingerprint
    if then is None or later is None or not same:
        return ""
    times = f"{then.latency_ms_p50:.2f} ms and {later.latency_ms_p50:.2f} ms"
    return f" (in runs of their own: {times})"


def board_findings(before: Side, now: Side) -> Iterable[Finding]:
    """Compare the latency on each board that both reports have, by name and fingerprint.

    Nothing where speed-ups do not compare: `latency_finding` says why.
    """
    then = {_key(run): run for run in before.report.boards} if before.report else {}
    if _why_other_work(before, now):
        return
    for run in now.report.boards if now.report else ():
        if (earlier := then.get(_key(run))) is not None:
            yield _latency(
                f"latency_ratio on {run.board.name}",
                f"Latency on {run.board.name}",
                (speed_of(earlier), before.called),
                (speed_of(run), now.called),
            )


def _key(run: BoardRun) -> tuple[str, str]:
    return run.board.name, run.environment.fingerprint


def size_finding(before: Side, now: Side) -> Finding:
    """Compare the size of the model of the built precision; 1 % is no difference."""
    sizes = before.size_bytes, now.size_bytes
    if sizes[0] is None or sizes[1] is None:
        who = before.called if sizes[0] is None else now.called
        return Finding("size_mb", "unknown", f"Size: not compared, {who}'s report states none.")
    then, later = sizes[0] / 1e6, sizes[1] / 1e6
    spread = _SAME_SIZE * then
    interval = later - then - spread, later - then + spread  # exact, but a little is no difference
    outcome = outcome_of(interval, 0.0, low_is_good=True)
    verdict = "no difference, " if outcome == "same" else ""
    text = f"Size: {verdict}{then:.2f} MB in {before.called}, {later:.2f} MB in {now.called}."
    return Finding("size_mb", outcome, text, then, later, later - then)


def timings_of_both(before: Side, now: Side) -> tuple[tuple[Timing, ...], str | None]:
    """Candidates that both timed, or the reason why times can't stand side by side.

    Returns:
        The candidates, slowest change first; and the reason.
    """
    reports = before.report, now.report
    if reports[0] is None or reports[1] is None:
        return (), "a baseline keeps no times"
    if before.speed.fingerprint != now.speed.fingerprint:
        return (), "they were measured on different machines, whose times do not compare"
    then = {(row.artifact, row.batch): row for row in _rows(reports[0])}
    found = [
        Timing(
            row.artifact, row.batch, earlier.latency_ms_p50, row.latency_ms_p50,
            earlier.size_bytes, row.size_bytes,
        )
        for row in _rows(reports[1])
        if (earlier := then.get((row.artifact, row.batch))) is not None
    ]  # fmt: skip
    if not found:
        return (), "no candidate was timed in both"
    return tuple(sorted(found, key=lambda one: -(one.ratio or 0.0))), None


def chosen_row(report: Report | None) -> BenchmarkRow | None:
    """The timing of what a report chose, at the smallest batch size."""
    timed = report.benchmark if report else None
    return timed.row(timed.chosen, smallest_batch(timed)) if timed else None


def _rows(report: Report) -> tuple[BenchmarkRow, ...]:
    return report.benchmark.rows if report.benchmark else ()
