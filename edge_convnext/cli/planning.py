"""`build --dry-run` and `--save-recipe`: what a command line stands for, before any work."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Annotated

import typer

from edge_convnext.cli.build_progress import kind_of, show_time
from edge_convnext.cli.console import Terminal, print_json, progress
from edge_convnext.core.text import printable

if TYPE_CHECKING:
    from edge_convnext.build.dry_run import Chain, Outlook
    from edge_convnext.core.recipe import Recipe

__all__ = ["Planning"]

_COLUMNS = 100


@dataclass(frozen=True)
class Planning:
    """The flags that plan a build."""

    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Show what would be read and done, what of it is cached, and how long the last "
            "build took. Writes nothing.",
        ),
    ] = False
    save_recipe: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Write the settings of this command line as a recipe, too."
        ),
    ] = None

    def save(self, recipe: Recipe, stated: str | None, out: Path | None) -> None:
        """Write the recipe, if that was asked for.

        Args:
            recipe: Recipe of the command line.
            stated: Its own recipe, by name or file; None without one.
            out: Folder of the build; None is the usual one.

        Raises:
            RecipeError: There is a file of that name already, or the build writes that one.
            ArtifactError: It, or the build, can't be written.
        """
        path = self.save_recipe
        if path is None:
            return
        from edge_convnext.build.apart import require_apart
        from edge_convnext.build.pipeline import build_folder
        from edge_convnext.core.errors import RecipeError
        from edge_convnext.core.files import write_text_atomic
        from edge_convnext.report.folder import is_build_file
        from edge_convnext.report.recipe_file import recipe_text

        if os.path.lexists(path):
            raise RecipeError(f"--save-recipe {path}: is there already; choose another name")
        folder = build_folder(recipe, out)
        if is_build_file(path, folder):
            raise RecipeError(
                f"--save-recipe {path}: the build writes its own {path.name} into {folder}; "
                "choose another name or place"
            )
        require_apart([path], [])
        fields = recipe.model_dump(mode="json", exclude_unset=True)
        named = {} if stated else {"name": "custom"}  # not the demo's
        write_text_atomic(path, recipe_text({**fields, "model": recipe.model, **named}))

    def show(
        self,
        recipe: Recipe,
        out: Path | None,
        tune: str,
        terminal: Terminal,
        hosts: Sequence[str] = (),
    ) -> None:
        """Print what a build would do, on stdout.

        Args:
            recipe: Recipe of the command line.
            out: Folder of the build; None is the usual one.
            tune: Search before the build.
            terminal: Flags of the output.
            hosts: Machines of `--host`; they are told, and not asked for anything.
        """
        from edge_convnext.build.dry_run import look_ahead
        from edge_convnext.build.pipeline import build_folder
        from edge_convnext.core.build_times import BuildTimes
        from edge_convnext.core.cache import default_cache_folder

        folder = build_folder(recipe, out)
        root = default_cache_folder(os.environ)
        pieces = BuildTimes(root).last(kind_of(recipe, tune))
        seconds = sum(one.seconds for one in pieces) if pieces else None
        with progress(terminal.silent) as track:
            found = look_ahead(recipe, root, track)
        if terminal.json:
            told = {"out": str(folder), "hosts": list(hosts), "last_seconds": seconds}
            print_json({**found.to_json(), **told})
            return
        found = replace(found, further=(*found.further, *map(_measured_on, hosts)))
        for line in _lines(found, recipe, folder, tune, seconds):
            typer.echo(printable(line))
        but = f" but {self.save_recipe}" if self.save_recipe else ""
        typer.echo(printable(f"nothing{but} was written"))


def _lines(
    found: Outlook, recipe: Recipe, folder: Path, tune: str, seconds: float | None
) -> list[str]:
    from edge_convnext.cli.views.read import read_lines

    where = f" in {', '.join(found.runtimes)}" if found.runtimes else ""
    searched = [] if tune == "off" else [f"a search for plans first (--tune {tune})"]
    took = "no build of this kind has been timed here yet"
    if seconds is not None:
        took = (
            f"about {show_time(seconds)} by the last builds of this kind here; what is cached is "
            "not made again"
        )
    return [
        f"would build {recipe.model}, {recipe.precision}, for {', '.join(found.targets)}{where}, "
        f"into {folder}",
        *read_lines(found.settings, found.notes, "what would be read"),
        "what would be done",
        *_bullets(
            [*searched, *(f"{one.name}: {_state(one)}" for one in found.chains), *found.further]
        ),
        took,
    ]


def _measured_on(host: str) -> str:
    return f"the build is copied to {host} over SSH and measured there; it was not asked now"


def _bullets(texts: Iterable[str]) -> Iterator[str]:
    for text in texts:
        yield from wrap(text, _COLUMNS, initial_indent="  - ", subsequent_indent="    ")


def _state(chain: Chain) -> str:
    if chain.first_made is None:
        return "all cached"
    begun = f"cached: {', '.join(chain.cached)}; " if chain.cached else ""
    return f"{begun}to make: {chain.first_made} and what follows"
