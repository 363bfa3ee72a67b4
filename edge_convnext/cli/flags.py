"""Flags that state a field of the recipe, and groups of them as one value of a command."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from edge_convnext.cli.signature import option

__all__ = ["Flag", "FlagGroup", "Overrides"]


class Overrides(dict[str, Any]):
    """Values that the command line states, by dotted field of the recipe."""

    told: tuple[str, ...] = ()  # sentences on values that stand for others


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
    parser: Callable[[str], Any] | None = None  # reads the text, in the place of `kind`
    to_recipe: Callable[[str, Any], Any] | None = None  # makes the field's value of flag and value
    also: tuple[str, ...] = ()  # further fields that get the same value
    aliases: tuple[str, ...] = ()  # further names, which `--help` does not show
    complete: Callable[[str], list[str]] | None = None  # words that begin so, for the shell
    tell: Callable[[Any], str | None] | None = None  # what a stated value stands for

    @property
    def flag(self) -> str:
        """The flag for a message, such as `--fold`."""
        return self.name.partition("/")[0]

    @property
    def parameter(self) -> str:
        """The name of the parameter that typer passes, such as `image_size`."""
        return _parameter_of(self.name)

    @property
    def names(self) -> Mapping[str, str]:
        """Every name by its parameter, the flag's own first."""
        return {_parameter_of(name): name for name in (self.name, *self.aliases)}

    def option(self, panel: bool = False, limits: bool = True, alias: str | None = None) -> Any:
        """The flag as an option of typer; under an alias it is hidden."""
        return typer.Option(
            alias or self.name,
            hidden=alias is not None,
            autocompletion=self.complete,
            help=self.help,
            rich_help_panel=self.panel if panel else None,
            min=self.least if limits else None,
            max=self.most if limits else None,
            metavar=self.metavar,
            callback=self.callback,
            parser=self.parser,
        )


@dataclass(frozen=True)
class FlagGroup:
    """Flags of one command, which receives them as overrides of the recipe."""

    rows: Sequence[Flag]
    panels: Collection[str] = ()  # headings that `--help` shows; other flags are plain options
    limits: bool = True  # False: only the recipe checks numbers
    required: bool = False

    def parameters(self) -> Sequence[inspect.Parameter]:
        """One parameter for each name of a flag, as typer reads them."""
        return [
            self._parameter(row, name, None if name == row.parameter else alias)
            for row in self.rows
            for name, alias in row.names.items()
        ]

    def gather(self, values: Mapping[str, Any]) -> Overrides:
        """The fields that the command line states, with values as the recipe has them.

        Raises:
            RecipeError: A text can't be read as the field's value.
            BadParameter: A flag is stated under two of its names.
        """
        stated, told = Overrides(), []
        for row in self.rows:
            found = {name: values.get(at) for at, name in row.names.items()}
            given = {name: value for name, value in found.items() if value not in (None, [])}
            if len(given) > 1:
                raise typer.BadParameter(f"{' and '.join(given)} are one flag; pass one of them")
            for value in given.values():
                read = row.to_recipe(row.flag, value) if row.to_recipe else value
                stated |= dict.fromkeys((row.field, *row.also), read)
                told.append(row.tell(value) if row.tell else None)
        stated.told = tuple(filter(None, told))
        return stated

    def _parameter(self, row: Flag, name: str, alias: str | None) -> inspect.Parameter:
        described = row.option(row.panel in self.panels, self.limits, alias)
        if self.required and alias is None:
            return option(name, Annotated[row.kind, described])
        return option(name, Annotated[row.kind | None, described], None)


def _parameter_of(name: str) -> str:
    return name.partition("/")[0].removeprefix("--").replace("-", "_")
