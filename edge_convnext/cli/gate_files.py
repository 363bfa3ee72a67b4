"""The files of a gate: JUnit XML, Markdown, GitHub's summary, and the next baseline.

A file that can't be written is reported, but does not hide the decision.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge_convnext.cli.console import note

if TYPE_CHECKING:
    from edge_convnext.report.gate.baseline import Baseline
    from edge_convnext.report.gate.evidence import Evidence

__all__ = ["GateFiles", "attempt", "save_baseline", "tell_unwritten", "why_unwritten"]

_STEP_SUMMARY = "GITHUB_STEP_SUMMARY"  # a file that GitHub shows on the run's page


@dataclass(frozen=True)
class GateFiles:
    """The flags of the output for CI."""

    junit: Annotated[Path | None, typer.Option(help="Write JUnit XML to this file.")] = None
    markdown: Annotated[
        Path | None, typer.Option(help="Write Markdown to this file, for a comment.")
    ] = None
    annotations: Annotated[
        bool | None,
        typer.Option(
            "--annotations/--no-annotations",
            help="Write GitHub's annotations and step summary. On if GITHUB_ACTIONS is set.",
        ),
    ] = None

    @property
    def on_github(self) -> bool:
        """Whether annotations and a step summary are written."""
        if self.annotations is None:
            return bool(os.environ.get("GITHUB_ACTIONS"))
        return self.annotations

    def write(self, as_junit: str, as_markdown: str) -> list[OSError]:
        """Write the requested files; return the errors, to be shown after the decision."""
        from edge_convnext.core.files import write_text_atomic

        unwritten = []
        junit, markdown = self.junit, self.markdown
        if junit is not None:
            unwritten += attempt(junit, partial(write_text_atomic, junit, as_junit))
        if markdown is not None:
            unwritten += attempt(markdown, partial(write_text_atomic, markdown, as_markdown))
        if self.on_github and (summary := os.environ.get(_STEP_SUMMARY)):
            unwritten += attempt(Path(summary), partial(_append, Path(summary), as_markdown))
        return unwritten

    @contextmanager
    def refusals_written(self, json: bool) -> Iterator[None]:
        """In this block, write this package's errors to the files too: CI does not show stderr."""
        from edge_convnext.core.errors import EdgeConvNextError
        from edge_convnext.report.gate.outputs import (
            refusal_annotation,
            refusal_junit,
            refusal_markdown,
        )

        try:
            yield
        except EdgeConvNextError as error:
            reason = str(error)
            tell_unwritten(self.write(refusal_junit(reason), refusal_markdown(reason)))
            if self.on_github and not json:
                typer.echo(refusal_annotation(reason), nl=False)
            raise


def attempt(path: Path, write: Callable[[], None]) -> list[OSError]:
    """Run `write`; return the system's error, if there was one, with the requested file's name."""
    try:
        write()
    except OSError as error:  # it may name a temporary file, or a parent folder
        return [OSError(error.errno, error.strerror, str(path))]
    return []


def tell_unwritten(unwritten: list[OSError]) -> None:
    """Print one line on stderr for each file that could not be written."""
    for error in unwritten:
        note(f"error: {error.filename}: {why_unwritten(error)}")


def why_unwritten(error: OSError) -> str:
    """The system's reason that a file can't be written, and what to do next."""
    return f"can't be written ({error.strerror}); choose another place for it"


def save_baseline(evidence: Evidence, earlier: Baseline | None, path: Path) -> list[str]:
    """Write the baseline, with the best proven build of the one before.

    Args:
        evidence: Figures of this build.
        earlier: Baseline before this one; None takes the file at `path`, if it can be read.
        path: File to write.

    Returns:
        Notes on the new baseline.

    Raises:
        OSError: The file can't be written.
    """
    from edge_convnext.report.gate.baseline import is_comparable, make_baseline, write_baseline
    from edge_convnext.report.gate.speed import why_no_baseline_of_speed

    notes = []
    if earlier is None and path.exists():
        earlier = _read_as_far_as_possible(path)
        if earlier is None or not is_comparable(evidence, earlier):
            notes.append("it starts anew: what was there can't be compared with this build")
    made = make_baseline(evidence, earlier)
    write_baseline(made, path)
    if busy := why_no_baseline_of_speed(evidence):
        notes.append(f"no later speed can be compared with it: this build {busy}")
    if made.best_top1_pct is not None and made.best_top1_pct > made.top1_pct:
        notes.append(
            f"it keeps the best proven build beside this one, with top-1 {made.best_top1_pct:.2f} "
            f"% where this one has {made.top1_pct:.2f} %; to give that up, delete the file first"
        )
    return notes


def _read_as_far_as_possible(path: Path) -> Baseline | None:
    from edge_convnext.core.errors import ArtifactError
    from edge_convnext.report.gate.baseline import read_baseline

    with suppress(ArtifactError):
        return read_baseline(path)
    return None


def _append(path: Path, text: str) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(text)
