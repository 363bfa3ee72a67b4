"""Words that several flags take, and conversion of a flag's text to a value of the recipe."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import typer

__all__ = [
    "PRECISIONS",
    "Precision",
    "as_batch",
    "as_folder",
    "as_source",
    "as_text",
    "as_three_numbers",
    "check_image_size",
    "check_runtime",
    "one_of",
]

Precision = Literal["fp32", "fp16", "int8"]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)

_EXAMPLES = {"--mean": "0.485,0.456,0.406", "--std": "0.229,0.224,0.225"}


def as_folder(path: Path | None) -> Path | None:
    """The folder of a build, of which the `report.json` in it may be passed too.

    Raises:
        ArtifactError: It is another file.
    """
    from edge_convnext.core.errors import ArtifactError
    from edge_convnext.report.file_names import REPORT

    if path is None or not path.is_file():
        return path
    if path.name == REPORT:
        return path.parent
    raise ArtifactError(f"{path}: is a file; pass the folder of a build, or the {REPORT} in it")


def as_text(_flag: str, value: Path) -> str:
    """A path as the text that a recipe has."""
    return str(value)


def as_source(_flag: str, data: Path) -> str:
    """`--data` as a recipe's `data.source`; `digits` is a folder of the user, not the demo."""
    from edge_convnext.core.recipe import DIGITS

    return str(data.absolute()) if str(data) == DIGITS and data.exists() else str(data)


def as_batch(_flag: str, text: str) -> int | str:
    """A batch size, or a word such as `dynamic`."""
    return int(text) if text.isdigit() else text


def as_three_numbers(flag: str, text: str) -> tuple[float, ...]:
    """One number for all channels, or red,green,blue.

    Raises:
        RecipeError: `text` is neither.
    """
    from edge_convnext.core.errors import RecipeError, shorten

    try:
        numbers = tuple(float(word) for word in text.strip("[]() ").replace(",", " ").split())
    except ValueError:
        numbers = ()
    if len(numbers) not in (1, 3):
        raise RecipeError(
            f"{flag} '{shorten(text, 60)}': one number, or three with commas, such as "
            f"{flag} {_EXAMPLES[flag]}"
        )
    return numbers * 3 if len(numbers) == 1 else numbers


def check_image_size(text: Any) -> Any:
    """Read an image size: one number, or height and width; the recipe checks their limits.

    Raises:
        typer.BadParameter: `text` is a word.
        RecipeError: `text` has numbers, and is neither.
    """
    from edge_convnext.core.errors import RecipeError, shorten
    from edge_convnext.core.image_size import parse_size

    if not isinstance(text, str):  # not stated, or a default
        return text
    try:
        return parse_size(text)
    except ValueError as error:
        told = f"'{shorten(text, 60)}' is not {error}"
        if any(one.isdigit() for one in text):
            raise RecipeError(f"--image-size {told}") from None
        raise typer.BadParameter(f"{told}.") from None


def check_runtime(name: str | None) -> str | None:
    """Refuse an unknown runtime before any work; `auto` and `both` stand for several.

    Raises:
        typer.BadParameter: No runtime of graphs has this name.
    """
    if name not in (None, "auto", "both"):
        from edge_convnext.runtimes.load import runtime_names

        known = runtime_names("graphs")
        if name not in known:
            raise typer.BadParameter(f"'{name}' is none of {', '.join(known)}.")
    return name


def one_of(choices: Sequence[str]) -> Callable[[list[str] | None], list[str] | None]:
    """Make a check of every item of a list, because typer takes no list of a `Literal`.

    Returns:
        A callback for `typer.Option`; it raises `typer.BadParameter` for another word.
    """

    def check(values: list[str] | None) -> list[str] | None:
        for one in values or ():
            if one not in choices:
                raise typer.BadParameter(f"{one!r} is not one of {', '.join(map(repr, choices))}.")
        return values

    return check
