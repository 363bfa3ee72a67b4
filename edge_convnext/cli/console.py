"""The terminal: notes and progress bars on stderr, and the effect of `--quiet` and `--json`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from edge_convnext.core.progress import Track, untracked
from edge_convnext.core.text import printable

if TYPE_CHECKING:
    from pathlib import Path

    from edge_convnext.build.inputs import Inputs
    from edge_convnext.core.origins import Fact
    from edge_convnext.report.contract import Report

__all__ = [
    "JsonFlag",
    "QuietFlag",
    "Terminal",
    "VerboseFlag",
    "as_json_text",
    "note",
    "print_json",
    "print_outcome",
    "print_read",
    "progress",
    "show_page",
    "show_read",
]

T = TypeVar("T")

JsonFlag = Annotated[
    bool, typer.Option("--json", help="Print one JSON document on stdout, nothing else.")
]
QuietFlag = Annotated[bool, typer.Option("--quiet", "-q", help="No progress bars and no notes.")]
VerboseFlag = Annotated[
    bool, typer.Option("--verbose", help="Print the traceback of an error too.")
]


@dataclass(frozen=True)
class Terminal:
    """The flags of the output; `main` reads `verbose` from the command line itself."""

    json: JsonFlag = False
    quiet: QuietFlag = False
    verbose: VerboseFlag = False

    @property
    def silent(self) -> bool:
        """Whether progress and notes are left out; `--json` leaves them out too."""
        return self.quiet or self.json


def print_read(settings: Sequence[Fact], notes: Sequence[str], silent: bool) -> None:
    """The *what I read* block, on stderr."""
    if not silent:
        from edge_convnext.cli.views.read import read_lines

        note("\n".join(read_lines(settings, notes)))


def show_read(silent: bool) -> Callable[[Inputs], None]:
    """Print what was read, only once: a search and the build after it read the same."""
    shown: list[Inputs] = []

    def show(inputs: Inputs) -> None:
        print_read(inputs.settings, inputs.notes, silent or bool(shown))
        shown.append(inputs)

    return show


@contextmanager
def progress(quiet: bool) -> Iterator[Track]:
    """Yield a `Track` that draws bars on stderr, or one that draws nothing."""
    if quiet or not sys.stderr.isatty():
        yield untracked if quiet else _announce
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:

        def track(items: Iterable[T], what: str, total: int | None = None) -> Iterable[T]:
            return bars.track(items, description=what, total=total)

        yield track


def _announce(items: Iterable[T], what: str, total: int | None = None) -> Iterable[T]:
    """Write one line per piece of work if stderr is no terminal: no bars in a log file."""
    sys.stderr.write(f"{what}\n")
    return items


def note(text: str, quiet: bool = False) -> None:
    """Print one or more lines on stderr."""
    if not quiet:
        shown = "\n".join(printable(line) for line in text.split("\n"))
        sys.stderr.write(f"{shown}\n")


def show_page(page: Path) -> None:
    """Open a page in the browser; where there is none, say where the page is."""
    import webbrowser

    if not webbrowser.open(page.resolve().as_uri()):
        note(f"no browser could be started: open {page}")


def print_json(value: object) -> None:
    """Print one JSON document on stdout."""
    typer.echo(as_json_text(value), nl=False)


def as_json_text(value: object) -> str:
    """One JSON document, as it is printed or written to a file."""
    import json

    return json.dumps(value, indent=2, allow_nan=False) + "\n"


def print_outcome(report: Report, json: bool) -> None:
    """Print a report on stdout: for a person, or as JSON."""
    if json:
        print_json(report.model_dump(mode="json", by_alias=True))
        return
    from rich.console import Console

    from edge_convnext.cli.views.outcome import print_report

    print_report(report, Console())
