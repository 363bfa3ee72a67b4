"""The terminal: a stderr console, progress bars, and what `--quiet` and `--json` silence."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

import typer

from edge_convnext.core.progress import Track, untracked
from edge_convnext.core.text import printable

if TYPE_CHECKING:
    from edge_convnext.build.inputs import Inputs
    from edge_convnext.core.origins import Fact
    from edge_convnext.core.recipe import Recipe

__all__ = [
    "AllowBadModelFlag",
    "AllowDuplicatesFlag",
    "CropPctOption",
    "DataOption",
    "ImageSizeOption",
    "InterpolationOption",
    "JsonFlag",
    "LabelsOption",
    "MeanOption",
    "QuietFlag",
    "ResizeOption",
    "RuntimeOption",
    "SkipBadFlag",
    "StdOption",
    "ThreadsOption",
    "VerboseFlag",
    "data_source",
    "note",
    "preprocess_fields",
    "print_json",
    "print_read",
    "progress",
    "require_one",
    "resolve",
    "show_read",
]

T = TypeVar("T")

# Flags whose name is not that of the recipe's field.
_FLAGS = {
    "load.weights": "--weights",
    "data.source": "--data",
    "engine.batches": "--engine-batch",
    "engine.compute_capabilities": "--compute-capability",
    "export.batch": "--export-batch",
    "quantize.subset_size": "--calibration-size",
    "evaluate.max_drop_pp": "--max-drop",
    "evaluate.max_class_drop_pp": "--max-class-drop",
    "benchmark.wait_quiet_min": "--wait-quiet",
    "benchmark.batches": "--batch",
    "targets": "--target",
    "fold.enabled": "--fold",
    "simplify.enabled": "--simplify",
    "recover.enabled": "--recover",
    "train.image_size": "--image-size",
    "evaluate.allow_bad_model": "--allow-bad-model",
}

JsonFlag = Annotated[
    bool, typer.Option("--json", help="Print one JSON document on stdout, nothing else.")
]
QuietFlag = Annotated[bool, typer.Option("--quiet", "-q", help="No progress bars and no notes.")]
VerboseFlag = Annotated[
    bool, typer.Option("--verbose", help="On an error, print the traceback too.")
]
DataOption = Annotated[Path, typer.Option(help="Class-per-folder directory, or CSV.")]
LabelsOption = Annotated[Path | None, typer.Option(help="One class name a line, in logit order.")]
SkipBadFlag = Annotated[
    bool | None,
    typer.Option("--skip-bad-images", help="Leave unreadable images out and count them."),
]
AllowBadModelFlag = Annotated[
    bool | None,
    typer.Option(
        "--allow-bad-model", help="Go on with a float model that is no better than guessing."
    ),
]
AllowDuplicatesFlag = Annotated[
    bool | None,
    typer.Option(
        "--allow-duplicates",
        help="Go on where over 1 % of the evaluation images are training images too; "
        "the training copies are left out in any case.",
    ),
]


def check_runtime(name: str | None) -> str | None:
    """Refuse a runtime that there is not, before any work; `auto` and `both` name several."""
    if name not in (None, "auto", "both"):
        from edge_convnext.runtimes.load import runtime_names

        known = runtime_names("graphs")
        if name not in known:
            raise typer.BadParameter(f"'{name}' is none of {', '.join(known)}.")
    return name


RuntimeOption = Annotated[
    str | None,
    typer.Option(
        callback=check_runtime,
        metavar="NAME",
        help="Such as onnxruntime or openvino. Default: what report.json beside the model chose.",
    ),
]
ThreadsOption = Annotated[
    int | None, typer.Option(min=1, max=1024, help="CPU threads. Default: all.")
]

_PREPARED = "Preprocessing"
ImageSizeOption = Annotated[
    int | None, typer.Option(help="Height and width in pixels.", rich_help_panel=_PREPARED)
]
ResizeOption = Annotated[
    Literal["squash", "shortest"] | None,
    typer.Option(
        help="To a square, or the short side and a centre crop.", rich_help_panel=_PREPARED
    ),
]
CropPctOption = Annotated[
    float | None,
    typer.Option(help="Part kept by the centre crop, 0..1.", rich_help_panel=_PREPARED),
]
InterpolationOption = Annotated[
    Literal["nearest", "bilinear", "bicubic", "lanczos"] | None,
    typer.Option(help="Of the resize.", rich_help_panel=_PREPARED),
]
MeanOption = Annotated[
    str | None,
    typer.Option(
        help="Of pixels in 0..1: one number, or red,green,blue.", rich_help_panel=_PREPARED
    ),
]
StdOption = Annotated[
    str | None,
    typer.Option(help="As --mean; pixels are divided by it.", rich_help_panel=_PREPARED),
]


def preprocess_fields(
    image_size: int | None,
    resize: str | None,
    crop_pct: float | None,
    interpolation: str | None,
    mean: str | None,
    std: str | None,
) -> dict[str, Any]:
    """The flags of the preprocessing as overrides of a recipe; None where one is not given.

    Raises:
        RecipeError: `mean` or `std` is no number and no three.
    """
    return {
        "preprocess.image_size": image_size,
        "preprocess.resize": resize,
        "preprocess.crop_pct": crop_pct,
        "preprocess.interpolation": interpolation,
        "preprocess.mean": _three_numbers("--mean", mean),
        "preprocess.std": _three_numbers("--std", std),
    }


def _three_numbers(flag: str, text: str | None) -> tuple[float, ...] | None:
    if text is None:
        return None
    from edge_convnext.core.errors import RecipeError, shorten

    try:
        numbers = tuple(float(word) for word in text.strip("[]() ").replace(",", " ").split())
    except ValueError:
        numbers = ()
    if len(numbers) not in (1, 3):
        raise RecipeError(
            f"{flag} '{shorten(text, 60)}': one number, or three with commas, such as "
            f"{flag} {'0.485,0.456,0.406' if flag == '--mean' else '0.229,0.224,0.225'}"
        )
    return numbers * 3 if len(numbers) == 1 else numbers


def print_read(settings: Sequence[Fact], notes: Sequence[str], silent: bool) -> None:
    """The *what I read* block, on stderr."""
    if not silent:
        from edge_convnext.cli.views.read import read_lines

        note("\n".join(read_lines(settings, notes)))


def show_read(silent: bool) -> Callable[[Inputs], None]:
    """Print what was read, once: a search and the build after it read the same."""
    shown: list[Inputs] = []

    def show(inputs: Inputs) -> None:
        print_read(inputs.settings, inputs.notes, silent or bool(shown))
        shown.append(inputs)

    return show


def resolve(recipe: str | None, stated: Mapping[str, Any]) -> Recipe:
    """The recipe that a command line means; an error of a flag's value names the flag.

    Raises:
        RecipeError: See `recipe.load_recipe`.
    """
    from edge_convnext.networks.recipe_file import resolve_recipe

    usual = {field: f"--{field.rpartition('.')[2].replace('_', '-')}" for field in stated}
    return resolve_recipe(recipe, stated, {**usual, **_FLAGS})


def require_one(shown: str | None, likely: str | None) -> None:
    """Refuse two requirements: which of them decides would be anybody's guess."""
    if shown is not None and likely is not None:
        raise typer.BadParameter("--require asks for more than --require-likely; pass one of them")


def data_source(data: Path) -> str:
    """`--data` as a recipe's `data.source`: a folder called `digits` is the user's own."""
    from edge_convnext.core.recipe import DIGITS

    return str(data.absolute()) if str(data) == DIGITS and data.exists() else str(data)


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
    """Without a terminal: one line per piece of work, no bars in a log file."""
    sys.stderr.write(f"{what}\n")
    return items


def note(text: str, quiet: bool = False) -> None:
    """One line on stderr, or a text of several."""
    if not quiet:
        shown = "\n".join(printable(line) for line in text.split("\n"))
        sys.stderr.write(f"{shown}\n")


def print_json(value: object) -> None:
    """One JSON document on stdout."""
    import json

    typer.echo(json.dumps(value, indent=2, allow_nan=False))
