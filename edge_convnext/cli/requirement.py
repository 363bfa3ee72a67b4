"""`--require` and `--require-likely`: which verdict makes the exit code 1."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from edge_convnext.cli.completion import complete_words
from edge_convnext.cli.habits import PRECISION_METAVAR, read_precision
from edge_convnext.cli.values import PRECISIONS, Precision

if TYPE_CHECKING:
    from edge_convnext.report.verdict import Requirement

__all__ = ["Required"]


@dataclass(frozen=True)
class Required:
    """The precision that a verdict has to ship; None without a requirement."""

    require: Annotated[
        Precision | None,
        typer.Option(
            parser=read_precision,
            metavar=PRECISION_METAVAR,
            autocompletion=complete_words(*PRECISIONS),
            help="Exit 1 unless the verdict is to ship this precision and it is `shown` (proven by "
            "the intervals).",
        ),
    ] = None
    require_likely: Annotated[
        Precision | None,
        typer.Option(
            parser=read_precision,
            metavar=PRECISION_METAVAR,
            autocompletion=complete_words(*PRECISIONS),
            help="Exit 1 unless the verdict is to ship this precision and it is `shown` or "
            "`likely`.",
        ),
    ] = None

    def refuse_both(self) -> None:
        """Refuse two requirements, because it would be unclear which of them decides.

        Raises:
            BadParameter: Both are stated.
        """
        if self.require is not None and self.require_likely is not None:
            raise typer.BadParameter(
                "--require asks for more than --require-likely; pass one of them"
            )

    def requirement(self) -> Requirement | None:
        """The requirement as the library's value."""
        from edge_convnext.report.verdict import Requirement

        return Requirement.of(self.require, self.require_likely)

    def words(self) -> list[str]:
        """The flags as words of a command line, for another machine."""
        stated = (("--require", self.require), ("--require-likely", self.require_likely))
        return [word for flag, value in stated if value for word in (flag, value)]
