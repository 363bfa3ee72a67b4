"""`edge-convnext compare`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge_convnext.cli.console import VerboseFlag, as_json_text
from edge_convnext.cli.written import write_files

if TYPE_CHECKING:
    from edge_convnext.report.compare.compare import Comparison

__all__ = ["compare"]


def compare(
    reports: Annotated[
        list[Path],
        typer.Argument(
            help="Builds, boards' reports (folders or report.json) or files of gate "
            "--save-baseline; each is compared with the first."
        ),
    ],
    html: Annotated[
        Path | None, typer.Option(help="Write one HTML page that needs no other file.")
    ] = None,
    markdown: Annotated[
        Path | None, typer.Option(help="Write Markdown to this file, for a comment.")
    ] = None,
    json: Annotated[Path | None, typer.Option(help="Write JSON to this file.")] = None,
    verbose: VerboseFlag = False,
) -> None:
    """Compare builds, boards' reports or baselines: what is better or worse, and what changed.

    The counts come first. Accuracy is compared image by image where the images are the same, speed
    where the machine is. Nothing is decided: the exit code is 0.
    """
    from rich.console import Console

    from edge_convnext.build.apart import require_apart
    from edge_convnext.cli.views.comparison import print_comparison
    from edge_convnext.report.compare.compare import compare as compare_all

    require_apart((html, markdown, json), reports)
    found = compare_all(*reports)
    print_comparison(found, Console())
    write_files(_texts(found, html, markdown, json))


def _texts(
    found: Comparison, html: Path | None, markdown: Path | None, json: Path | None
) -> dict[Path, str]:
    from edge_convnext.report.compare.outputs import to_html, to_json, to_markdown

    texts = {}
    if html is not None:
        texts[html] = to_html(found)
    if markdown is not None:
        texts[markdown] = to_markdown(found)
    if json is not None:
        texts[json] = as_json_text(to_json(found))
    return texts
