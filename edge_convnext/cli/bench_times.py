"""`bench --export-times`: every single time of a race in a file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from edge_convnext.measure.timings import BenchmarkResult

__all__ = ["ExportedTimes"]


@dataclass(frozen=True)
class ExportedTimes:
    """The file that every time goes to; None writes none."""

    export_times: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="JSON file for every single time of built models, in milliseconds by round.",
        ),
    ] = None

    def refuse_without_race(self, other: str | Literal[False]) -> None:
        """Refuse the flag where no single calls are timed, or the file can't be written.

        Args:
            other: Flag that asks for something else than a race; False without one.

        Raises:
            RecipeError: It can't be done.
        """
        from edge_convnext.core.errors import RecipeError
        from edge_convnext.core.files import why_unwritable

        path = self.export_times
        if path is None:
            return
        if other:
            raise RecipeError(f"--export-times has the calls of a race: leave out {other}")
        if path.is_dir():
            raise RecipeError(f"--export-times {path}: is a folder; name a file in it")
        if reason := why_unwritable(path.absolute().parent):
            raise RecipeError(f"--export-times {path}: can't be written ({reason})")

    def write(self, result: BenchmarkResult) -> None:
        """Write all times of a race, if that was asked for."""
        if self.export_times is not None:
            from edge_convnext.measure.times_file import write_times

            write_times(self.export_times, result)
