"""The progress of a build: a line for each piece of work, and a bar for the whole.

What is left is told from the last builds on this machine (`core.build_times`). Where stderr is no
terminal, each piece is one plain line; with `--quiet` there is none.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from textwrap import shorten
from typing import TYPE_CHECKING, Any, TypeVar

from edge_convnext.core.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.progress import Progress, TaskID

    from edge_convnext.core.build_times import Watch
    from edge_convnext.core.progress import Track
    from edge_convnext.core.recipe import Recipe

__all__ = ["build_progress", "kind_of", "show_time"]

T = TypeVar("T")

_KEPT = 5  # finished pieces that stay on the terminal
_WIDEST = 45  # characters beside a bar
_WHOLE = "build"


def kind_of(recipe: Recipe, tune: str = "off") -> str:
    """What builds of about the same length share.

    Args:
        recipe: Recipe of the build.
        tune: Search before the build: `off`, `quick` or `full`.
    """
    targets = recipe.targets if recipe.targets == "auto" else "+".join(recipe.targets)
    size = recipe.preprocess.image_size or "own"
    race = recipe.benchmark
    words = (recipe.model, recipe.precision, race.scope, targets, recipe.runtime, size)
    more = [
        f"{race.rounds} rounds",
        *(["recover"] if recipe.recover.enabled else []),
        *(["throughput"] if race.throughput else []),
        *(["tune", tune] if tune != "off" else []),
    ]
    return " ".join(map(str, (*words, *more)))


def show_time(seconds: float) -> str:
    """Such as `0:07` or `1:02:30`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


@contextmanager
def build_progress(quiet: bool, kind: str) -> Iterator[Track]:
    """Yield a `Track` of one build; where it succeeds, its times are remembered for the next one.

    Args:
        quiet: True shows nothing.
        kind: Text from `kind_of`.
    """
    from edge_convnext.core.build_times import BuildTimes, Watch
    from edge_convnext.core.cache import default_cache_folder

    times = BuildTimes(default_cache_folder(os.environ))
    watch = Watch(times.last(kind))
    if quiet:
        yield _watched(watch, lambda items, what, total: items)
    elif not sys.stderr.isatty():
        yield _watched(watch, _plain(watch))
    else:
        with _bars(watch) as bars:
            yield _watched(watch, _drawn(bars))
    times.keep(kind, watch.pieces())


def _watched(
    watch: Watch, show: Callable[[Iterable[Any], str, int | None], Iterable[Any]]
) -> Track:
    """A track that tells a watch when work begins and ends, and shows it."""

    def track(items: Iterable[T], what: str, total: int | None = None) -> Iterable[T]:
        def told() -> Iterator[T]:
            watch.begin(what)
            try:
                yield from show(items, what, total)
            finally:
                watch.end()

        return told()

    return track


def _plain(watch: Watch) -> Callable[[Iterable[Any], str, int | None], Iterable[Any]]:
    def show(items: Iterable[T], what: str, total: int | None) -> Iterable[T]:
        left = watch.left_s
        rest = "" if left is None else f" ({_times(watch)})"
        sys.stderr.write(f"{printable(what)}{rest}\n")
        return items

    return show


def _times(watch: Watch) -> str:
    left = watch.left_s
    told = f"{show_time(watch.elapsed_s)} elapsed"
    return told if left is None else f"{told}, about {show_time(left)} left"


def _drawn(bars: Progress) -> Callable[[Iterable[Any], str, int | None], Iterable[Any]]:
    finished: list[TaskID] = []

    def show(items: Iterable[T], what: str, total: int | None) -> Iterable[T]:
        if len(what) > _WIDEST:  # a sentence, which is to be read after the bars are gone
            bars.console.print(printable(what), highlight=False, markup=False)
        own = bars.add_task(shorten(printable(what), _WIDEST, placeholder=" …"), total=total)
        yield from bars.track(items, total=total, task_id=own)
        finished.append(own)
        while len(finished) > _KEPT:
            bars.remove_task(finished.pop(0))

    return show


def _bars(watch: Watch) -> Progress:
    """Bars of the pieces, below that of the whole build."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn
    from rich.progress_bar import ProgressBar
    from rich.text import Text

    class Bar(BarColumn):
        def render(self, task: Task) -> ProgressBar:
            if task.description != _WHOLE:
                return super().render(task)
            left, done = watch.left_s, watch.elapsed_s
            share = None if left is None else done / max(done + left, 1e-9)
            return ProgressBar(total=None if share is None else 1, completed=share or 0, width=30)

    class Count(ProgressColumn):
        def render(self, task: Task) -> Text:
            if task.description == _WHOLE:
                return Text(_times(watch))
            if task.total is None or task.total <= 1:
                return Text(show_time(task.elapsed or 0))
            rest = task.time_remaining
            left = f", about {show_time(rest)} left" if rest else ""
            return Text(
                f"{task.completed:.0f}/{task.total:.0f}  {show_time(task.elapsed or 0)}{left}"
            )

    columns = (TextColumn("{task.description}", markup=False), Bar(bar_width=30), Count())
    bars = Progress(*columns, console=Console(stderr=True), transient=True)
    bars.add_task(_WHOLE, total=None)
    return bars
