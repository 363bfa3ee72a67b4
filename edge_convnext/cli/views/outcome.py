"""Print what came out of a build or a bench, on one screen: 100 columns and 40 lines.

The verdict comes first, then the table, then what to do next. All else is in `report.html` and
`report.md`. Texts from outside (class names, paths, reasons) are never read as markup.
"""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Literal

from rich.table import Table
from rich.text import Text

from edge_convnext.cli.views.boards import print_boards
from edge_convnext.cli.views.tables import plain
from edge_convnext.report.next_steps import next_steps
from edge_convnext.report.summary import (
    RECOVERY_HEADINGS,
    footnote,
    headings,
    recovery_rows,
    summary_rows,
    title,
    verdict_line,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.console import Console

    from edge_convnext.report.contract import Report
    from edge_convnext.report.summary import SummaryRow

__all__ = ["COLUMNS", "LINES", "print_report"]

COLUMNS, LINES = 100, 40  # of the whole summary
_LEFT_OUT_WHEN_NARROW = ("agree %", "img/s")
_REASON_LINES = 4  # of one reason
_NOTE_LINES = 2
_REASONS, _STEPS, _FOOTNOTE = 12, 8, 3  # lines of each block
_MANY_BOARDS = 6


def print_report(report: Report, console: Console) -> None:
    """Print the report for a person; below 100 columns the table has less detail.

    Args:
        report: Report of a build, or of a bench.
        console: Console to print on; its width is bounded to 100 columns.
    """
    narrow = console.is_terminal and console.width < COLUMNS
    console.width = min(console.width, COLUMNS) if console.is_terminal else COLUMNS
    width = console.width
    first = [
        *_lines([report.banner or ""], width, "yellow", most=2),
        *_lines([verdict_line(report)], width, _verdict_style(report), most=2),
    ]
    result = [
        Text(),
        *_lines([title(report)], width, "bold", most=2),
        *_table(report, narrow, console),
        *_boards(report, console),
        *_recoveries(report, console),
    ]
    steps = _lines(next_steps(report), width - 4, most=2, bullet="  - ")[:_STEPS]
    if steps:
        steps = [Text(), Text("What to do next", style="bold"), *steps]
    files = [Text(), *_lines([f"{_files(report)}; all the rest is in report.html"], width, most=2)]
    room = LINES - sum(map(len, (first, result, steps, files)))
    reasons = _lines(report.verdict.reasons, width - 2, most=_REASON_LINES, indent="  ")
    reasons = reasons[: max(0, min(_REASONS, room))]
    notes = _notes(report.notes, width, room - len(reasons))
    for line in (*first, *reasons, *result, *steps, *notes, *files):
        console.print(line, highlight=False, soft_wrap=True)


def _lines(
    texts: Iterable[str],
    width: int,
    style: str = "",
    *,
    most: int,
    indent: str = "",
    bullet: str = "",
) -> list[Text]:
    """Wrap each text to at most `most` lines; what is longer ends in dots."""
    found: list[Text] = []
    for text in texts:
        wrapped = textwrap.wrap(
            plain(text).strip(), width, max_lines=most, placeholder=" …", break_on_hyphens=False
        )
        first, rest = bullet or indent, " " * len(bullet) or indent
        found += [
            Text(f"{rest if place else first}{line}", style=style)
            for place, line in enumerate(wrapped)
        ]
    return found


def _notes(notes: Sequence[str], width: int, room: int) -> list[Text]:
    """As many notes as there is room for, the first lines of each; the others are counted."""
    if not notes or room < 3:
        return []
    room -= 2  # a blank line and the heading
    found: list[Text] = []
    kept = 0
    for note in notes:
        lines = _lines([note], width - 4, "yellow", most=_NOTE_LINES, bullet="  - ")
        if len(found) + len(lines) > room:
            break
        found += lines
        kept += 1
    heading = "Notes" if kept == len(notes) else f"Notes, {kept} of {len(notes)}"
    return [Text(), Text(heading, style="bold"), *found]


def _table(report: Report, narrow: bool, console: Console) -> list[Text]:
    rows = summary_rows(report)
    if not rows:
        return []
    names = headings(report)
    table = _summary_table(names, rows, narrow, gap=2)
    if console.measure(table).maximum > console.width:
        table = _summary_table(names, rows, narrow, gap=1)
    below = _lines([footnote(report)], console.width, "dim", most=_FOOTNOTE)
    return [Text(), *_rendered(table, console), *below]


def _boards(report: Report, console: Console) -> list[Text]:
    if not report.boards:
        return []
    with console.capture() as captured:
        print_boards(report.boards[:_MANY_BOARDS], console)
    more = len(report.boards) - _MANY_BOARDS
    left = [Text(f"and {more} more boards")] if more > 0 else []
    return [Text(), *map(Text.from_ansi, captured.get().splitlines()), *left]


def _recoveries(report: Report, console: Console) -> list[Text]:
    """What fine-tuning won, of each graph."""
    if not report.recoveries:
        return []
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="dim")
    for position, name in enumerate(RECOVERY_HEADINGS):
        table.add_column(name, justify="left" if position == 0 else "right")
    for row in recovery_rows(report):
        table.add_row(*(Text(plain(cell)) for cell in row))
    return [Text(), *_rendered(table, console)]


def _rendered(table: Table, console: Console) -> list[Text]:
    """A table as lines, whose number is then known."""
    with console.capture() as captured:
        console.print(table, highlight=False)
    return [Text.from_ansi(line) for line in captured.get().splitlines()]


def _files(report: Report) -> str:
    """The folder and the models in it, with their size."""
    models = [
        f"{file.path} {file.bytes / 1e6:.1f} MB"
        for file in report.outputs
        if file.path.startswith("model.") and not file.path.endswith(".json")
    ]
    listed = f": {', '.join(models)}" if models else ""
    return f"Files in {plain(report.folder)}{listed}"


def _verdict_style(report: Report) -> str:
    if not report.verdict.passed:
        return "bold red"
    unsure = report.verdict.ship == "undecided" or report.verdict.confidence == "likely"
    return "bold yellow" if unsure else "bold green"


def _summary_table(
    names: Sequence[str], rows: Sequence[SummaryRow], narrow: bool, gap: int
) -> Table:
    left_out = _LEFT_OUT_WHEN_NARROW if narrow else ()
    kept = [at for at, name in enumerate(names) if not name.startswith(left_out)]
    table = Table(box=None, padding=(0, gap, 0, 0), pad_edge=False, header_style="dim")
    for position in kept:
        justify: Literal["left", "right"] = "left" if position < 2 else "right"
        # Where it is narrow, the two names take two lines, so that no figure is lost.
        table.add_column(names[position], justify=justify, no_wrap=position > 1)
    for row in rows:
        cells = row.cells()
        kept_cells = (Text(plain(cells[position])) for position in kept)
        table.add_row(*kept_cells, style="bold" if row.chosen else "")
    return table
