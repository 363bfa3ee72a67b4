"""`edge-convnext predict`: classify images or a video with a built model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edge_convnext.cli.console import Terminal, note, print_json, progress
from edge_convnext.cli.options import ModelArgument, RuntimeOption, ThreadsOption
from edge_convnext.cli.signature import command
from edge_convnext.core.text import printable, spreadsheet_cell

if TYPE_CHECKING:
    from edge_convnext.data.found_images import NoImage
    from edge_convnext.data.video import Frame
    from edge_convnext.measure.model import Model, Prediction, Unanswered

__all__ = ["predict"]

_COLUMNS = ("path", "label", "probability", "error")


@command
def predict(
    *,
    model: ModelArgument,
    images: Annotated[
        list[Path] | None,
        typer.Argument(help="Image files, folders of them, or patterns such as 'photos/*.jpg'."),
    ] = None,
    csv: Annotated[
        Path | None,
        typer.Option(help="Write the answers to this CSV file, in the place of the terminal."),
    ] = None,
    video: Annotated[
        str | None,
        typer.Option(
            metavar="FILE|NUMBER",
            help="Classify the frames of a video file, or of a camera by its number. Needs the "
            "extra `video`.",
        ),
    ] = None,
    every: Annotated[
        int, typer.Option(min=1, help="Frames of --video from one answer to the next.")
    ] = 1,
    runtime: RuntimeOption = None,
    threads: ThreadsOption = None,
    terminal: Terminal,
) -> None:
    """Classify images, or the frames of a video, with a built model.

    A file that can't be classified is named on stderr. The others are classified, and the exit code
    is 3.
    """
    _refuse(images, csv, video, every, terminal.json)
    from edge_convnext.data.found_images import find_images
    from edge_convnext.measure.model import Prediction, Unanswered, load_model
    from edge_convnext.measure.of_build import tell_changed

    listed = list(find_images(images or []))
    _require_apart(csv, model, images or [], listed)
    if changed := tell_changed(model):
        note(f"warning: {changed}")
    loaded = load_model(model, runtime, threads)
    if video is not None:
        _show_video(loaded, video, every)
        return
    found = _answer(loaded, listed, terminal.silent)
    failed = [one for one in found if isinstance(one, Unanswered)]
    if csv is not None:
        _write_csv(csv, found)
        done = len(found) - len(failed)
        note(f"{csv}: the answers to {done} of {len(found)} images", terminal.quiet)
    elif terminal.json:
        print_json([_to_json(one) for one in found])
    else:
        for one in found:
            if isinstance(one, Prediction):
                typer.echo(f"{printable(str(one.path))}\t{_words(one)}")
    for bad in failed:
        note(f"error: {bad.error}")
    if failed:
        raise typer.Exit(3)


def _refuse(
    images: Sequence[Path] | None, csv: Path | None, video: str | None, every: int, json: bool
) -> None:
    """Refuse flags that say nothing together.

    Raises:
        BadParameter: There is nothing to classify, or two kinds of it.
    """
    if video is None and not images:
        raise typer.BadParameter("nothing to classify: pass images, or --video FILE")
    if video is not None and images:
        raise typer.BadParameter("images and --video FILE: pass one of them, not both")
    if video is not None and (csv or json):
        raise typer.BadParameter("--video prints a line for each frame: leave out --csv and --json")
    if video is None and every != 1:
        raise typer.BadParameter("--every counts the frames of a video: add --video FILE")
    if csv and json:
        raise typer.BadParameter("--csv and --json are two forms of the answers: pass one of them")


def _require_apart(
    csv: Path | None, model: Path, images: Sequence[Path], listed: Sequence[Path | NoImage]
) -> None:
    """Refuse a CSV in the place of the model or of an image, however that was named.

    Raises:
        ArtifactError: It is; or it is a build's file, or can't be written.
    """
    if csv is not None:
        from edge_convnext.build.apart import require_apart

        found = (one for one in listed if isinstance(one, Path))
        require_apart([csv], (model, model.with_name(f"{model.name}.json"), *images, *found))


def _answer(
    model: Model, listed: Sequence[Path | NoImage], silent: bool
) -> list[Prediction | Unanswered]:
    """Answers in the order of what was passed; an error where a place has no image."""
    from edge_convnext.data.found_images import NoImage
    from edge_convnext.measure.model import Unanswered

    paths = [one for one in listed if isinstance(one, Path)]
    with progress(silent) as track:
        answers = iter(list(model.answer(paths, track=track)))
    return [
        Unanswered(one.place, one.error) if isinstance(one, NoImage) else next(answers)
        for one in listed
    ]


def _show_video(model: Model, source: str, every: int) -> None:
    """Print a line for each frame as it comes."""
    from edge_convnext.data.preprocess import image_mode
    from edge_convnext.data.video import read_frames
    from edge_convnext.measure.model import Unanswered

    for frame in read_frames(source, image_mode(model.info.in_channels), every):
        answer = model.answer_frame(frame, Path(source))
        if isinstance(answer, Unanswered):
            raise answer.error
        typer.echo(f"{_place(frame)}\t{_words(answer)}")


def _place(frame: Frame) -> str:
    return f"{frame.number}" if frame.seconds is None else f"{frame.number}\t{frame.seconds:.3f} s"


def _words(one: Prediction) -> str:
    return f"{printable(one.label)}\t{100 * one.probability:.1f} %"


def _write_csv(path: Path, found: Sequence[Prediction | Unanswered]) -> None:
    import csv
    import io

    from edge_convnext.core.files import write_text_atomic

    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    writer.writerows(map(_row, found))
    # A name on disk need not be UTF-8.
    write_text_atomic(path, text.getvalue().encode("utf-8", "backslashreplace").decode())


def _row(one: Prediction | Unanswered) -> tuple[str, ...]:
    from edge_convnext.measure.model import Unanswered

    path = spreadsheet_cell(str(one.path))
    if isinstance(one, Unanswered):
        return path, "", "", spreadsheet_cell(str(one.error))
    return path, spreadsheet_cell(one.label), f"{one.probability:.6f}", ""


def _to_json(one: Prediction | Unanswered) -> dict[str, Any]:
    """One image's answer, or the reason why it has none."""
    from edge_convnext.measure.model import Unanswered

    path = str(one.path)
    if isinstance(one, Unanswered):
        return {"path": path, "error": str(one.error)}
    return {"path": path, "label": one.label, "top": [list(pair) for pair in one.top]}
