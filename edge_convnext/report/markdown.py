"""Write a report as GitHub-flavoured Markdown: `report.md`.

Text from outside (class names, paths, reasons) is escaped (`markdown_text`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_convnext.report.boards import BOARD_HEADINGS, board_cells
from edge_convnext.report.data_table import data_rows, setting_rows
from edge_convnext.report.environment_table import environment_rows
from edge_convnext.report.file_names import REPORT
from edge_convnext.report.in_runtime import (
    PRODUCT_HEADINGS,
    REFUSED_HEADINGS,
    mark_refused,
    product_rows,
    refused_rows,
)
from edge_convnext.report.markdown_text import bullets, escape, folded, table
from edge_convnext.report.next_steps import next_steps
from edge_convnext.report.recipe_file import RECIPE_FILE
from edge_convnext.report.shipped import shipped_words
from edge_convnext.report.speed_words import timed_once_note
from edge_convnext.report.stage_table import stage_rows
from edge_convnext.report.summary import (
    MISSING,
    RECOVERY_HEADINGS,
    footnote,
    graph_name,
    headings,
    made_line,
    number,
    recovery_rows,
    state_text,
    summary_rows,
    title,
    verdict_line,
)
from edge_convnext.report.throughput_table import (
    throughput_headings,
    throughput_remarks,
    throughput_rows,
)

if TYPE_CHECKING:
    from edge_convnext.report.contract import Report
    from edge_convnext.report.measured import BenchmarkRow
    from edge_convnext.report.stages import SensitivityReport

__all__ = ["to_markdown"]

_MANY_CLASSES = 40  # with more, only those that changed most are listed
_LISTED_CLASSES = 20
_SENSITIVITY = ("operation", "noise %", "alone dB", "alone agree %", "spared dB", "spared agree %")


def to_markdown(report: Report, recipe: str | None = RECIPE_FILE) -> str:
    """The report as GitHub-flavoured Markdown, for `report.md`.

    The order is the terminal's: the verdict, the table, what to do next; then everything else.
    """
    steps = next_steps(report)
    parts = [
        f"# {escape(report.model.name)}: {escape(verdict_line(report).removeprefix('Verdict: '))}",
        *([f"> {escape(report.banner)}"] if report.banner else []),
        bullets(report.verdict.reasons),
        *([escape(f"{shipped}.")] if (shipped := shipped_words(report)) else []),
        escape(title(report)) + ".",
        escape(f"{made_line(report)}."),
        "## Result",
        table(headings(report), (row.cells() for row in summary_rows(report))),
        escape(footnote(report)) + ".",
        *(["## What to do next", bullets(steps)] if steps else []),
        *(["## Notes", bullets(report.notes)] if report.notes else []),
        *_boards(report),
        *_board(report),
        *_classes(report),
        *_speed(report),
        *_throughput(report),
        *_in_runtime(report),
        *_recoveries(report),
        *_fallbacks(report),
        *_sensitivity(report),
        "## Stages",
        table(
            ("stage", "status", "seconds", "note"),
            stage_rows(report),
        ),
        *_data(report),
        *_settings(report),
        "## Files",
        table(
            ("file", "bytes", "SHA-256"),
            ((file.path, f"{file.bytes:,}", file.sha256) for file in report.outputs),
        ),
        _recipe(report, recipe),
        "## Environment",
        table(("what", "value"), environment_rows(report)),
    ]
    return "\n\n".join(parts) + "\n"


def _recipe(report: Report, file: str | None) -> str:
    """Where the recipe is."""
    if report.board is not None:
        return f"The recipe is in {RECIPE_FILE} of the build."
    return f"The recipe is in {file or REPORT} beside this."


def _boards(report: Report) -> list[str]:
    """What ships on which board, in a build's report."""
    if not report.boards:
        return []
    rows = (board_cells(run) for run in report.boards)
    reasons = [
        f"{run.board.name}: {reason}" for run in report.boards for reason in run.verdict.reasons
    ]
    return ["## Boards", table(BOARD_HEADINGS, rows), bullets(reasons)]


def _board(report: Report) -> list[str]:
    """Facts of a board, in a board's own report."""
    board = report.board
    if board is None:
        return []
    parts = ["## Board", f"{escape(board.name)}."]
    before, after = board.state_before or {}, board.state_after or {}
    facts = [
        (name.replace("_", " "), state_text(before.get(name)), state_text(after.get(name)))
        for name in {**before, **after}
        if before.get(name) not in (None, [], {}) or after.get(name) not in (None, [], {})
    ]
    if facts:
        parts.append(table(("what", "before", "after"), facts))
    if board.energy:
        headings = ("artifact", "batch", "W", "idle W", "mJ/image", "images", "rails", "source")
        rows = (
            (
                one.artifact,
                str(one.batch),
                number(one.mean_w, 2),
                number(one.idle_w, 2),
                number(one.energy_mj_per_image, 2),
                str(one.images),
                one.power_scope,
                one.power_source,
            )
            for one in board.energy
        )
        parts.append(table(headings, rows))
    elif board.energy_reason:
        parts.append(f"Energy was not measured: {escape(board.energy_reason)}.")
    return parts


def _classes(report: Report) -> list[str]:
    accuracy = report.accuracy
    if accuracy is None:
        return []
    built = accuracy.int8 or accuracy.fp16
    rows = []
    for name, before in accuracy.fp32.per_class.items():
        after = built.per_class.get(name) if built else None
        change = 0.0
        if after and after.top1_pct is not None and before.top1_pct is not None:
            change = after.top1_pct - before.top1_pct
        cells = (name, str(before.n), number(before.top1_pct, 2))
        rows.append((change, (*cells, number(after.top1_pct, 2) if after else MISSING)))
    title = f"## Accuracy per class, {accuracy.n_images:,} images"
    if len(rows) > _MANY_CLASSES:
        rows = sorted(rows, key=lambda row: -abs(row[0]))[:_LISTED_CLASSES]
        title += f" (the {len(rows)} that changed most; all are in report.json)"
    precision = "int8" if accuracy.int8 else "fp16"
    headings = ("class", "images", "fp32 top-1 %", f"{precision} top-1 %")
    return [title, table(headings, (cells for _, cells in rows))]


def _sensitivity(report: Report) -> list[str]:
    parts = []
    for one in report.sensitivity:
        rows = (_sensitivity_cells(row) for row in one.operations)
        parts += [f"## Sensitivity of INT8 {escape(one.graph)}", table(_SENSITIVITY, rows)]
    return parts


def _sensitivity_cells(row: SensitivityReport) -> tuple[str, ...]:
    return (
        row.name,
        number(row.noise_share_pct, 1),
        number(row.alone_sqnr_db, 1),
        number(row.alone_agreement_pct, 1),
        number(row.spared_sqnr_db, 1),
        number(row.spared_agreement_pct, 1),
    )


def _in_runtime(report: Report) -> list[str]:
    """Candidates that are wrong where they would run, and what runs in INT8 of the others."""
    refused, products = refused_rows(report), product_rows(report)
    parts = ["## Refused: wrong where they would run", table(REFUSED_HEADINGS, refused)]
    counted = ["## Products in INT8", table(PRODUCT_HEADINGS, products)]
    return (parts if refused else []) + (counted if products else [])


def _recoveries(report: Report) -> list[str]:
    parts = ["## Recovery", table(RECOVERY_HEADINGS, recovery_rows(report))]
    return parts if report.recoveries else []


def _fallbacks(report: Report) -> list[str]:
    parts = []
    for one in report.fallbacks:
        kept = set(one.kept_float or ())
        headings = (*_SENSITIVITY, "kept in float")
        rows = (
            (*_sensitivity_cells(row), "yes" if row.name in kept else "") for row in one.sensitivity
        )
        parts += [f"## Fallback of INT8 {escape(one.graph)}", table(headings, rows)]
    return parts


def _speed(report: Report) -> list[str]:
    """Timings of the models in the first table; those of the others are folded."""
    if report.benchmark is None:
        return []
    headings = (
        *("artifact", "graph", "batch", "threads", "p50 ms", "p90 ms", "p99 ms", "img/s"),
        *("samples in rounds", "peak MB"),
    )
    listed = {row.artifact for row in summary_rows(report)}
    timed = [(row.artifact in listed, _speed_cells(report, row)) for row in report.benchmark.rows]
    first = [cells for kept, cells in timed if kept]
    others = [cells for kept, cells in timed if not kept]
    rest = f"The timings of candidates that are not in the first table: {len(others)}"
    return [
        "## Speed",
        table(headings, first),
        *timed_once_note(report.benchmark),
        *(folded(rest, table(headings, others)) if others else []),
    ]


def _speed_cells(report: Report, row: BenchmarkRow) -> tuple[str, ...]:
    return (
        mark_refused(report, row.artifact),
        graph_name(row),
        *(str(one) for one in (row.batch, row.threads)),
        *(number(ms, 2) for ms in (row.latency_ms_p50, row.latency_ms_p90, row.latency_ms_p99)),
        number(row.throughput_img_s, 0),
        f"{row.samples} in {row.rounds}",
        number(row.peak_memory_bytes and row.peak_memory_bytes / 1e6, 0),
    )


def _throughput(report: Report) -> list[str]:
    part = report.throughput
    if part is None:
        return []
    rows = table(throughput_headings(part), throughput_rows(part))
    return ["## Throughput", rows, bullets(throughput_remarks(part))]


def _data(report: Report) -> list[str]:
    if not (facts := data_rows(report)):
        return []
    return ["## Data and calibration", table(("what", "value"), facts)]


def _settings(report: Report) -> list[str]:
    """Settings and their origins, folded: they are needed when a figure surprises."""
    if not (rows := setting_rows(report)):
        return []
    return folded("What was read, and from where", table(("setting", "value", "source"), rows))
