"""Make some graphs ahead, in a second process, while this one makes the others.

Most of what makes a graph is Python on one core. Where a build needs several graphs and the machine
has a second core, a child makes some of them into the cache, by the same stages and keys, and this
process takes them from there. What the child did not make, for whatever reason, is made here.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from edge_convnext.build.runner import Runner
from edge_convnext.core.cache import Cache
from edge_convnext.core.errors import EdgeConvNextError
from edge_convnext.core.isolate import IsolatedFailure, end_children, run_isolated
from edge_convnext.core.progress import untracked
from edge_convnext.core.quotas import usable_cores

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from edge_convnext.core.recipe import Recipe

__all__ = ["Ahead", "has_room", "share_out"]

T = TypeVar("T")
_PROCESSES = "EDGE_CONVNEXT_PROCESSES"
_TIMEOUT_S = 3600.0
_FREE_BYTES = 4 << 30  # that a second Python with torch and the calibration images may need
_STATUS = Path("/proc/meminfo")


@dataclass
class Ahead:
    """Work for a child, which begins with the first work in the block and is done at its end.

    Its failures are nobody's: this process makes what is missing, and meets the same error.
    """

    make: Callable[[Runner], None]  # has to be picklable, else no child is started
    runner: Runner
    _thread: threading.Thread | None = field(default=None, repr=False)

    def __enter__(self) -> None:
        self.runner.on_work = self._start

    def __exit__(self, failed: type[BaseException] | None, *_: object) -> None:
        self.runner.on_work = None
        if self._thread is None:
            return
        if failed is not None:
            end_children()
        self._thread.join()

    def _start(self) -> None:
        runner = self.runner
        call = (self.make, runner.cache.root, runner.recipe, dict(runner.versions))
        try:
            pickle.dumps(call)
        except (AttributeError, TypeError, pickle.PicklingError):  # a function of the user's own
            return

        def run() -> None:
            made = run_isolated(_make, call, _TIMEOUT_S)
            if not isinstance(made, IsolatedFailure):
                runner.made_ahead |= made  # by this build, so nothing that it found there

        self._thread = threading.Thread(target=run, daemon=True)
        self._thread.start()


def _make(
    make: Callable[[Runner], None], root: Path, recipe: Recipe, versions: Mapping[str, str]
) -> frozenset[str]:
    """The child's side: make, and return the keys of what was not there before."""
    runner = Runner(Cache(root), recipe, versions, untracked)
    with contextlib.suppress(EdgeConvNextError):  # what was made until then is of use
        make(runner)
    return frozenset(runner.fresh)


def has_room(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether a second process may run, and has a core and the memory that it needs.

    Args:
        environment: `EDGE_CONVNEXT_PROCESSES` is 1 where a build may have one process alone.
    """
    if environment.get(_PROCESSES) == "1":
        return False
    return usable_cores() > 1 and _free_bytes() >= _FREE_BYTES


def _free_bytes() -> int:
    """Free memory; 0 where the system does not tell."""
    try:
        lines = _STATUS.read_text().splitlines()
    except OSError:
        return 0
    found = (line.split()[1] for line in lines if line.startswith("MemAvailable:"))
    return 1024 * int(next(found, 0))


def share_out(costs: Mapping[T, float], first: T, head_start: float) -> frozenset[T]:
    """Divide work between this process and a child, so that both end at about the same time.

    Args:
        costs: Cost of each piece, in any unit.
        first: Piece of this process.
        head_start: Cost of starting the child.

    Returns:
        The child's pieces.
    """
    ours, theirs = costs[first], head_start
    given = set()
    for piece in sorted((one for one in costs if one != first), key=lambda one: -costs[one]):
        if theirs < ours:
            given.add(piece)
            theirs += costs[piece]
        else:
            ours += costs[piece]
    return frozenset(given)
