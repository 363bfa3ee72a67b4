"""`edge-convnext report`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edge_convnext.cli.console import JsonFlag, VerboseFlag, print_json, progress, show_page
from edge_convnext.core.text import printable

__all__ = ["report"]


def report(
    reports: Annotated[
        list[Path],
        typer.Argument(help="Folders of builds or boards, or the report.json in them."),
    ],
    html: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Page to write; nothing else is touched."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="DIR", help="Folder for one page of several reports."),
    ] = None,
    public: Annotated[
        bool,
        typer.Option(
            "--public",
            help="Leave out paths, hosts, the machine's identity and names of images; needs "
            "--html or --out.",
        ),
    ] = False,
    with_images: Annotated[
        bool,
        typer.Option(
            "--with-images", help="Show up to 40 images whose answer changed, as thumbnails."
        ),
    ] = False,
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH",
            help="Folder or CSV with these images. Default: where the report says they were.",
        ),
    ] = None,
    show: Annotated[bool, typer.Option("--open", help="Show the page in the browser.")] = False,
    json: JsonFlag = False,
    verbose: VerboseFlag = False,
) -> None:
    """Make the page of a finished build again: report.html, from its folder.

    The folder's manifest has the new page. A report.md that is missing or changed is made again
    too; of the other files nothing changes. The page needs no other file and loads nothing.
    """
    from edge_convnext.build.pages import Shown, write_page
    from edge_convnext.core.errors import RecipeError

    if html is not None and out is not None:
        raise RecipeError("--html and --out both name the page: pass one of them")
    if data is not None and not with_images:
        raise RecipeError("--data names the images of --with-images: pass both")
    with progress(json) as track:
        page = write_page(reports, html, out, Shown(public, with_images, data, track))
    if json:
        print_json({"page": str(page)})
    else:
        typer.echo(printable(str(page)))
    if show:
        show_page(page)
