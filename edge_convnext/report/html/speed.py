"""Speed: the spread of each candidate's latency, batch sizes, memory, and what disturbed it."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from edge_convnext.core.contention import why_skewed
from edge_convnext.report.html.parts import (
    NOT_RECORDED,
    Bullets,
    Figure,
    Picture,
    Section,
    Shape,
    Words,
    make_table,
)
from edge_convnext.report.html.picture import (
    ROW,
    axis,
    dot,
    fitting,
    label,
    level,
    make_scale,
    tick,
    upright,
)
from edge_convnext.report.in_runtime import fastest_fit, mark_refused
from edge_convnext.report.measured import smallest_batch
from edge_convnext.report.speed_words import timed_once_note
from edge_convnext.report.summary import graph_name, number, state_text
from edge_convnext.report.throughput_table import (
    throughput_headings,
    throughput_remarks,
    throughput_rows,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_convnext.report.contract import Report
    from edge_convnext.report.html.parts import Block, Limits, Table
    from edge_convnext.report.html.picture import Scale
    from edge_convnext.report.measured import BenchmarkReport, BenchmarkRow

__all__ = ["speed_section"]

_DRAWN = 10  # candidates
_CURVES = 5
_DECILES = 9
_SPAN = 250.0  # pixels of the batch curves
_BOXES = (("decile", "boxes: 10th to 90th percentile, and 30th to 70th"),)
_TIMED = (
    "Timed is one call of the runtime with a prepared batch in memory, until its logits are there. "
    "Reading, decoding, resizing and normalizing an image lie outside. On a GPU, copies to it and "
    "back lie inside; the columns of the GPU alone leave them out."
)


def speed_section(report: Report, limits: Limits) -> Section:
    """Latency of every candidate, and how quiet the machine was."""
    benchmark = report.benchmark
    if benchmark is None or not benchmark.rows:
        reason = report.stage("benchmark").reason or "nothing was timed"
        missing = Words(f"Speed was not measured: {reason}.", "missing")
        return Section("speed", "Speed", (missing,), "report.json: benchmark")
    batch = smallest_batch(benchmark)
    rows = sorted(
        (row for row in benchmark.rows if row.batch == batch), key=lambda row: row.latency_ms_p50
    )
    blocks: list[Block] = [
        Words(_TIMED),
        *_disturbed(benchmark),
        *_fastest(report, rows, limits),
        Figure(_spread(report, rows[:_DRAWN], batch, len(rows)), _table(report, limits)),
        *_curves(report, benchmark, batch, limits),
        *(Words(one) for one in timed_once_note(benchmark)),
        *_throughput(report, limits),
        *_state(report, limits),
        Words(f"Decoding, resizing and inference end to end: {NOT_RECORDED}.", "missing"),
    ]
    return Section("speed", "Speed", tuple(blocks), "report.json: benchmark, throughput, board")


def _disturbed(benchmark: BenchmarkReport) -> list[Block]:
    load = benchmark.other_load_pct
    if skewed := why_skewed(load, benchmark.throttled_periods):
        return [Words(f"The machine was busy: during the timings {skewed}.", "warning")]
    if load is None:
        return [Words(f"What other programs took of the CPU meanwhile: {NOT_RECORDED}.", "missing")]
    return [Words(f"Other programs took {load:.0f} % of the CPU during the timings: quiet.")]


def _fastest(report: Report, rows: Sequence[BenchmarkRow], limits: Limits) -> list[Block]:
    """The fastest candidate of each precision in each runtime; none that may not ship."""
    best = fastest_fit(report, rows)
    if not best:
        return [Words("Every candidate that was timed is refused: none may ship.", "warning")]
    headings = ("runtime", "precision", "artifact", "p50 ms", "p90 ms", "file MB")
    cells = (
        (
            row.runtime,
            row.precision,
            row.artifact,
            number(row.latency_ms_p50, 2),
            number(row.latency_ms_p90, 2),
            number(row.size_bytes / 1e6, 1),
        )
        for row in best
    )
    title = f"The fastest in each runtime, at batch {rows[0].batch}"
    return [make_table(title, headings, cells, limits, folded=False)]


def _spread(report: Report, rows: Sequence[BenchmarkRow], batch: int, count: int) -> Picture:
    """One strip per candidate: the median of each round, and the percentiles of all samples."""
    values = [ms for row in rows for ms in _milliseconds(row)]
    scale = make_scale(values, log=bool(values) and max(values) > 4 * min(values) > 0)
    chosen = report.benchmark.chosen if report.benchmark else None
    shapes: list[Shape] = []
    for place, row in enumerate(rows):
        name = mark_refused(report, row.artifact)
        shapes += _strip(row, name, scale, place * ROW, row.artifact == chosen)
    bottom = len(rows) * ROW
    few = f" (the {len(rows)} fastest of {count})" if count > len(rows) else ""
    return Picture(
        anchor="latency",
        title=f"Latency at batch {batch}, ms{few}",
        description="; ".join(
            f"{mark_refused(report, row.artifact)}: {_said(row)}" for row in rows
        ),
        height=bottom + 35,
        shapes=(*axis(scale, bottom, 0, f"ms at batch {batch}"), *shapes),
        legend=(
            *(("median", "median of all samples"), ("round", "median of one round")),
            *(_BOXES if any(row.latency_ms_deciles for row in rows) else ()),
            *(("high", "90th and 99th percentile"), ("ring", "the chosen one")),
        ),
    )


def _milliseconds(row: BenchmarkRow) -> list[float]:
    known = (row.latency_ms_p50, row.latency_ms_p90, row.latency_ms_p99)
    return [
        *(one for one in known if one is not None),
        *row.round_latency_ms_p50,
        *row.latency_ms_deciles,
    ]


def _said(row: BenchmarkRow) -> str:
    known = ((50, row.latency_ms_p50), (90, row.latency_ms_p90), (99, row.latency_ms_p99))
    return ", ".join(f"p{percent} {ms:.2f} ms" for percent, ms in known if ms is not None)


def _strip(row: BenchmarkRow, name: str, scale: Scale, y: float, chosen: bool) -> list[Shape]:
    middle = y + 26
    said = f"{name}: {_said(row)}"
    tail = [ms for ms in (row.latency_ms_p90, row.latency_ms_p99) if ms is not None]
    shown = f"{row.latency_ms_p50:.2f} ms"
    shapes = [
        label(fitting(name, shown), 4.0, y + 14),
        label(shown, 96.0, y + 14, "value", "end"),
        *_boxes(row, scale, middle),
        *(dot(scale.at(ms), middle, 3, "round") for ms in row.round_latency_ms_p50[:200]),
        *(upright(scale.at(ms), middle - 6, middle + 6, "high", said) for ms in tail),
    ]
    x = scale.at(row.latency_ms_p50)
    if chosen:
        shapes.append(dot(x, middle, 9, "ring", said))
    return [*shapes, upright(x, middle - 8, middle + 8, "median", said)]


def _boxes(row: BenchmarkRow, scale: Scale, middle: float) -> list[Shape]:
    """Where four fifths of the samples lie, and within it two fifths."""
    deciles = row.latency_ms_deciles
    if len(deciles) != _DECILES:
        return []
    boxes = []
    for low, high, half in ((deciles[0], deciles[-1], 5.0), (deciles[2], deciles[-3], 8.0)):
        left, right = scale.at(low), scale.at(high)
        boxes.append(Shape("box", "decile", left, middle - half, max(0.0, right - left), 2 * half))
    return boxes


def _table(report: Report, limits: Limits) -> Table:
    benchmark = report.benchmark
    headings = (
        *("artifact", "graph", "batch", "threads", "p10 ms", "p50 ms", "p90 ms", "p99 ms"),
        *("GPU alone p50 ms", "img/s", "samples", "rounds", "file MB", "peak memory MB"),
        "before loading MB",
    )
    rows = (
        (
            mark_refused(report, row.artifact),
            graph_name(row),
            *(str(one) for one in (row.batch, row.threads)),
            number(next(iter(row.latency_ms_deciles), None), 2),
            *(number(ms, 2) for ms in (row.latency_ms_p50, row.latency_ms_p90, row.latency_ms_p99)),
            number(row.gpu_ms_p50, 2),
            number(row.throughput_img_s, 0),
            *(f"{one:,}" for one in (row.samples, row.rounds)),
            *(
                number(None if one is None else one / 1e6, digits)
                for one, digits in (
                    (row.size_bytes, 1),
                    (row.peak_memory_bytes, 0),
                    (row.baseline_memory_bytes, 0),
                )
            ),
        )
        for row in (benchmark.rows if benchmark else ())
    )
    return make_table("Every timing", headings, rows, limits)


def _curves(report: Report, benchmark: BenchmarkReport, batch: int, limits: Limits) -> list[Block]:
    """Images per second by batch size, of what ships, the floats, and the fastest others."""
    batches = sorted({row.batch for row in benchmark.rows})
    if len(batches) < 2:
        return [Words(f"Only batch {batch} was timed: no curve over batch sizes.", "missing")]
    named = (benchmark.chosen, benchmark.best_float, benchmark.rival_float, benchmark.raw_fp32)
    fastest = sorted(benchmark.rows, key=lambda row: -row.throughput_img_s)
    names = [*named, *(one.artifact for one in fastest if one.artifact not in report.refused_names)]
    lines = [
        (mark_refused(report, name), line)
        for name in dict.fromkeys(one for one in names if one is not None)
        if len(line := [row for one in batches if (row := benchmark.row(name, one))]) > 1
    ][:_CURVES]
    if not lines:
        return []
    across = make_scale(batches, log=True)
    upward = make_scale([row.throughput_img_s for _, line in lines for row in line], zero=True)
    shapes = axis(across, _SPAN, 20, "batch size")
    for value in upward.ticks():
        shapes += [level(_up(upward, value), "grid"),
                   label(f"{tick(value)} img/s", 0.5, _up(upward, value) - 3, "tick")]  # fmt: skip
    for place, (name, line) in enumerate(lines):
        shapes += _curve(name, line, f"curve{place}", across, upward)
    said = "; ".join(
        f"{name}: {', '.join(f'{row.throughput_img_s:.0f} at {row.batch}' for row in line)}"
        for name, line in lines
    )
    picture = Picture(
        anchor="batches",
        title="Images per second by batch size",
        description=said,
        height=_SPAN + 35,
        shapes=tuple(shapes),
        legend=tuple((f"curve{place}", name) for place, (name, _) in enumerate(lines)),
    )
    headings = ("artifact", *(f"img/s at batch {one}" for one in batches))
    rows = (
        (name, *(number(row.throughput_img_s if row else None, 0)
                 for row in (benchmark.row(name, one) for one in batches)))
        for name, _ in lines
    )  # fmt: skip
    return [Figure(picture, make_table("Images per second by batch size", headings, rows, limits))]


def _curve(
    name: str, line: Sequence[BenchmarkRow], css: str, across: Scale, upward: Scale
) -> list[Shape]:
    places = [(across.at(row.batch), _up(upward, row.throughput_img_s)) for row in line]
    lines = [Shape("line", f"curve {css}", *start, *end) for start, end in pairwise(places)]
    said = [f"{name}: {row.throughput_img_s:.0f} img/s at batch {row.batch}" for row in line]
    return [*lines, *(dot(*at, 4, css, text) for at, text in zip(places, said, strict=True))]


def _up(upward: Scale, value: float) -> float:
    return round(_SPAN - (_SPAN - 20.0) * upward.share(value), 1)


def _throughput(report: Report, limits: Limits) -> list[Block]:
    part = report.throughput
    if part is None:
        told = "Images per second with several requests in flight: not asked for (--throughput)."
        return [Words(told, "missing")]
    title = "Throughput with several requests in flight"
    table = make_table(title, throughput_headings(part), throughput_rows(part), limits)
    return [*([Bullets(tuple(found))] if (found := throughput_remarks(part)) else []), table]


def _state(report: Report, limits: Limits) -> list[Block]:
    """Clocks, temperatures and load of a board before and after."""
    board = report.board
    before, after = (board.state_before or {}, board.state_after or {}) if board else ({}, {})
    rows = [
        (name.replace("_", " "), state_text(before.get(name)), state_text(after.get(name)))
        for name in {**before, **after}
        if before.get(name) not in (None, [], {}) or after.get(name) not in (None, [], {})
    ]
    if not rows:
        why = f" ({board.state_reason})" if board and board.state_reason else ""
        told = f"Clocks and temperatures over the race: {NOT_RECORDED}{why}."
        return [Words(told, "missing")]
    title = "State of the board before and after the race"
    return [make_table(title, ("what", "before", "after"), rows, limits)]
