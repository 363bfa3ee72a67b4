"""Latency against accuracy: every candidate with its intervals, the chosen one, the budget."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge_convnext.core.intervals import median_interval
from edge_convnext.core.percentages import show_pp
from edge_convnext.report.html.parts import Figure, Picture, Section, Words, make_table
from edge_convnext.report.html.picture import (
    axis,
    dot,
    interval,
    label,
    level,
    make_scale,
    tick,
    upright,
)
from edge_convnext.report.html.verdict import max_drop_pp
from edge_convnext.report.in_runtime import mark_refused
from edge_convnext.report.measured import smallest_batch
from edge_convnext.report.summary import MISSING, graph_name, number

if TYPE_CHECKING:
    from edge_convnext.report.contract import Report
    from edge_convnext.report.html.parts import Block, Limits, Shape, Table
    from edge_convnext.report.html.picture import Scale
    from edge_convnext.report.measured import BenchmarkRow, CandidateAccuracy

__all__ = ["Point", "pareto_section", "points"]

_TOP, _BOTTOM = 20.0, 300.0  # pixels of the field
_MOST_DRAWN = 40
_LEGEND = (
    ("int8", "INT8"),
    ("fp16", "FP16"),
    ("fp32", "float"),
    ("ring", "the chosen one"),
    ("limit", "the accuracy budget"),
)


@dataclass(frozen=True)
class Point:
    """A candidate that was timed and evaluated."""

    row: BenchmarkRow
    score: CandidateAccuracy
    latency_ms: tuple[float, float] | None  # 95 % interval of the median over rounds
    chosen: bool
    front: bool  # none that may ship is both faster and nearer; a refused one is not on it


def points(report: Report) -> list[Point]:
    """What was timed at the smallest batch and evaluated, the fastest first."""
    benchmark, accuracy = report.benchmark, report.accuracy
    if benchmark is None or accuracy is None or not benchmark.rows:
        return []
    batch = smallest_batch(benchmark)
    scores = {one.artifact: one for one in accuracy.candidates}
    rows = [row for row in benchmark.rows if row.batch == batch and row.artifact in scores]
    found, best = [], float("inf")
    for row in sorted(rows, key=lambda row: row.latency_ms_p50):
        score = scores[row.artifact]
        front = row.artifact not in report.refused_names and score.top1_drop_pp < best
        best = score.top1_drop_pp if front else best
        spread = median_interval(row.round_latency_ms_p50)
        found.append(Point(row, score, spread, row.artifact == benchmark.chosen, front))
    return found


def pareto_section(report: Report, limits: Limits) -> Section:
    """The picture of all candidates, and their table."""
    found = points(report)
    blocks: tuple[Block, ...]
    if not found:
        blocks = (Words("No candidate was both timed and evaluated.", "missing"),)
    else:
        blocks = (
            Words(
                "Each candidate by its latency and the accuracy that it loses: the nearer to the "
                "lower left, the better. Lines are 95 % intervals: upright of the drop, level of "
                "the median latency over rounds."
            ),
            Figure(_picture(report, found[:_MOST_DRAWN]), _table(report, found, limits)),
        )
    return Section("pareto", "Latency against accuracy", blocks, "report.json: benchmark, accuracy")


def _picture(report: Report, found: list[Point]) -> Picture:
    budget = max_drop_pp(report)
    across = make_scale(
        [ms for one in found for ms in (one.row.latency_ms_p50, *(one.latency_ms or ()))], log=True
    )
    ends = [pp for one in found for pp in one.score.top1_drop_ci95_pp]
    upward = make_scale([*ends, *(one.score.top1_drop_pp for one in found), budget, 0.0])
    line = _height(upward, budget)
    shapes = [*axis(across, _BOTTOM, _TOP, f"latency at batch {found[0].row.batch}, ms")]
    for value in upward.ticks():
        y = _height(upward, value)
        shapes += [level(y, "grid"), label(f"{tick(value)} pp", 0.5, y - 3, "tick")]
    shapes += [
        level(line, "limit"),
        label(f"budget {show_pp(budget)} pp", 96.0, line - 5, "limit-text", "end"),
    ]
    for place, one in reversed(list(enumerate(found, 1))):  # the fastest lies on top
        shapes += _mark(place, one, across, upward)
    best = next((one for one in found if one.chosen), None)
    chosen = f"; chosen is {best.row.artifact}" if best else ""
    return Picture(
        anchor="pareto",
        title="Drop of top-1 in pp against latency in ms",
        description=f"{len(found)} candidates; budget {show_pp(budget)} pp{chosen}",
        height=335,
        shapes=tuple(shapes),
        legend=tuple(
            (css, words)
            for css, words in _LEGEND
            if css in ("ring", "limit") or css in {one.row.precision for one in found}
        ),
    )


def _height(upward: Scale, value: float) -> float:
    return round(_BOTTOM - (_BOTTOM - _TOP) * upward.share(value), 1)


def _mark(place: int, one: Point, across: Scale, upward: Scale) -> list[Shape]:
    row, score = one.row, one.score
    x, y = across.at(row.latency_ms_p50), _height(upward, score.top1_drop_pp)
    low, high = (_height(upward, end) for end in score.top1_drop_ci95_pp)
    said = f"{place}: {row.artifact}, {row.latency_ms_p50:.2f} ms, drop {score.top1_drop_pp:.2f} pp"
    shapes = [upright(x, high, low, f"whisker {row.precision}", said)]
    if one.latency_ms is not None:
        shapes += interval(across, one.latency_ms, None, y, row.precision, said)
    if one.chosen:
        shapes.append(dot(x, y, 13, "ring", said))
    shapes.append(dot(x, y, 9, row.precision, said))
    shapes.append(label(str(place), x, y + 4, "inside", "middle"))
    return shapes


def _table(report: Report, found: list[Point], limits: Limits) -> Table:
    headings = (
        *("no.", "artifact", "graph", "p50 ms", "95 % ms", "drop pp", "95 % pp", "MB"),
        *("agree %", "nothing is faster and nearer", "chosen"),
    )
    rows = (
        (
            str(place),
            mark_refused(report, one.row.artifact),
            graph_name(one.row),
            number(one.row.latency_ms_p50, 2),
            _range(one.latency_ms),
            number(one.score.top1_drop_pp, 2),
            _range(one.score.top1_drop_ci95_pp),
            number(one.row.size_bytes / 1e6, 1),
            number(one.score.agreement_pct, 2),
            "yes" if one.front else "",
            "yes" if one.chosen else "",
        )
        for place, one in enumerate(found, 1)
    )
    return make_table("Candidates, the fastest first", headings, rows, limits)


def _range(ends: tuple[float, float] | None) -> str:
    return MISSING if ends is None else f"{ends[0]:.2f} to {ends[1]:.2f}"
