"""Flags that state a field of the recipe, and groups of them as one value of a command."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from edge_convnext.cli.signature import option

__all__ = ["Flag", "FlagGroup", "Overrides"]

Overrides = dict[str, Any]  # values that the command line states, by dotted field of the recipe


@dataclass(frozen=True)
class Flag:
    """One option of the command line, and the field of the recipe that it states."""

    field: str  # dotted, such as `preprocess.image_size`
    name: str  # as a user writes it: `--image-size`, or `--fold/--no-fold`
    kind: Any  # the type that typer reads: a type, a `Literal` or a list of a type
    help: str
    panel: str | None = None  # heading in `build --help`
    least: float | None = None
    most: float | None = None
    metavar: str | None = None
    callback: Callable[[Any], Any] | None = None
    to_recipe: Callable[[str, Any], Any] | None = None  # makes the field's value of flag and value
    also: tuple[str, ...] = ()  # further fields that get the same value

    @property
    def flag(self) -> str:
        """The flag for a message, such as `--fold`."""
        return self.name.partition("/")[0]

    @property
    def parameter(self) -> str:
        """The name of the parameter that typer passes, such as `image_size`."""
        return self.flag.removeprefix("--").replace("-", "_")

    def option(self, panel: bool = False, limits: bool = True) -> Any:
        """The flag as an option of typer."""
        return typer.Option(
            self.name,
            help=self.help,
            rich_help_panel=self.panel if panel else None,
            min=self.least if limits else None,
            max=self.most if limits else None,
            metavar=self.metavar,
            callback=self.callback,
        )


@dataclass(frozen=True)
class FlagGroup:
    """Flags of one command, which receives them as overrides of the recipe."""

    rows: Sequence[Flag]
    panels: Collection[str] = ()  # headings that `--help` shows; other flags are plain options
    limits: bool = True  # False: only the recipe checks numbers
    required: bool = False

    def parameters(self) -> Sequence[inspect.Parameter]:
        """One parameter for each flag, as typer reads them."""
        return [self._parameter(row) for row in self.rows]

    def gather(self, values: Mapping[str, Any]) -> Overrides:
        """The fields that the command line states, with values as the recipe has them.

        Raises:
            RecipeError: A text can't be read as the field's value.
        """
        stated: Overrides = {}
        for row in self.rows:
            value = values[row.parameter]
            if value is None or value == []:
                continue
            read = row.to_recipe(row.flag, value) if row.to_recipe else value
            stated |= dict.fromkeys((row.field, *row.also), read)
        return stated

    def _parameter(self, row: Flag) -> inspect.Parameter:
        described = row.option(row.panel in self.panels, self.limits)
        if self.required:
            return option(row.parameter, Annotated[row.kind, described])
        return option(row.parameter, Annotated[row.kind | None, described], None)
