"""`bench --export-times`: every single time of a race in a file."""

from __future__ import annotations

from collections.abc import Sequence
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

    def refuse_without_race(self, other: str | Literal[False], models: Sequence[Path] = ()) -> None:
        """Refuse the flag where no single calls are timed, or the file can't be written.

        Args:
            other: Flag that asks for something else than a race; False without one.
            models: Models that are timed.

        Raises:
            RecipeError: No race is asked for.
            ArtifactError: It would take the place of a model or of a build's file, or
                can't be written.
        """
        from edge_convnext.build.apart import require_apart
        from edge_convnext.core.errors import RecipeError

        path = self.export_times
        if path is None:
            return
        if other:
            raise RecipeError(f"--export-times has the calls of a race: leave out {other}")
        require_apart([path], models)

    def write(self, result: BenchmarkResult) -> None:
        """Write all times of a race, if that was asked for."""
        if self.export_times is not None:
            from edge_convnext.measure.times_file import write_times

            write_times(self.export_times, result)
