"""What a build would do, what of it is cached, and how long the last one took; nothing is written.

The stages are asked for in their order over a cache that makes nothing: the first one that is not
there ends a chain. All behind it is made anew, since its key hangs on what that stage makes.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from edge_convnext.build.check import check_inputs
from edge_convnext.build.float_forms import list_work
from edge_convnext.build.graphs import make_graphs
from edge_convnext.build.inputs import Inputs, is_demo, prepare_inputs
from edge_convnext.build.runner import Runner
from edge_convnext.build.settle import choose_shown, settle_recipe
from edge_convnext.core.cache import Cache
from edge_convnext.core.cache_entries import ENTRY_NAME, Entry, read_entry
from edge_convnext.core.errors import DataError
from edge_convnext.core.origins import Fact
from edge_convnext.core.progress import Track, untracked
from edge_convnext.core.recipe import Recipe
from edge_convnext.core.step import Skipped
from edge_convnext.devices.doctor import environment
from edge_convnext.networks.arm_plans import needs_arm_plan
from edge_convnext.networks.family import family_of_model
from edge_convnext.networks.plans import list_gpu_plans
from edge_convnext.stages import recover

__all__ = ["Chain", "Outlook", "look_ahead"]

T = TypeVar("T")

_RACED = "ways to quantize it are raced here first, unless an earlier build has done that"


@dataclass(frozen=True)
class Chain:
    """One chain of stages: what is cached of it, and where new work begins."""

    name: str
    cached: tuple[str, ...]  # stages, in their order
    first_made: str | None  # the first stage that is not cached; None: all are


@dataclass(frozen=True)
class Outlook:
    """What a build would do."""

    settings: tuple[Fact, ...]
    notes: tuple[str, ...]
    targets: tuple[str, ...]
    runtimes: tuple[str, ...]
    chains: tuple[Chain, ...]
    further: tuple[str, ...]  # sentences on what no cache tells

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "schema": "edge-convnext/dry-run/1",
            "settings": [one.to_json() for one in self.settings],
            "notes": list(self.notes),
            "targets": list(self.targets),
            "runtimes": list(self.runtimes),
            "chains": [
                {"name": one.name, "cached": list(one.cached), "first_made": one.first_made}
                for one in self.chains
            ],
            "further": list(self.further),
        }


class _NotMadeError(Exception):
    """A stage has no entry in the cache; the message names it."""


class _Looking(Cache):
    """A cache that is only looked at: what is not there is told, and not made."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.found: list[str] = []

    def run(self, stage: str, key: str, make: Callable[[Path], dict[str, Any]]) -> Entry:
        """The entry; its time of use stays as it was.

        Raises:
            _NotMadeError: It is not there, or damaged.
        """
        folder = self.root / stage / key
        try:
            used = (folder / ENTRY_NAME).stat()
        except OSError:
            raise _NotMadeError(stage) from None
        entry, _ = read_entry(folder, key)
        os.utime(folder / ENTRY_NAME, ns=(used.st_atime_ns, used.st_mtime_ns))
        if entry is None:
            raise _NotMadeError(stage)
        self.found.append(stage)
        return entry

    def unfinished(self, key: str) -> Path:
        """A place that is not made."""
        return self.root / "unfinished" / key / "state"

    def forget(self, stage: str, key: str) -> None:
        """Nothing is removed."""

    def chain(self, name: str, ask: Callable[[], object]) -> Chain:
        """Ask for the stages of one chain."""
        self.found = []
        missing = None
        try:
            ask()
        except _NotMadeError as error:
            missing = str(error)
        return Chain(name, tuple(dict.fromkeys(self.found)), missing)


def look_ahead(recipe: Recipe, root: Path, track: Track = untracked) -> Outlook:
    """Read weights and data as a build would, and look which stages its cache has.

    Args:
        recipe: Recipe of the build.
        root: Folder of the cache; nothing is written there.
        track: Shows the files that are read.

    Raises:
        EdgeConvNextError: A build would be refused, with the same line.
    """
    settled, targets, runtimes = settle_recipe(recipe)
    cache, facts = _Looking(root), environment()
    versions: dict[str, str] = facts["versions"]
    read: list[Inputs] = []
    reading = cache.chain(
        "weights and images",
        lambda: prepare_inputs(
            settled, cache, versions, track, machine=facts["fingerprint"], on_read=read.append
        ),
    )
    if read:
        inputs = read[-1]
        settings, notes = inputs.settings, inputs.notes
        chains = (reading, *_look_at_graphs(settled, inputs, cache, versions, runtimes, targets))
    else:
        settings, notes = _check(settled, track)
        chains = (reading,)
    return Outlook(settings, notes, targets, runtimes, chains, _further(settled, targets, chains))


def _check(recipe: Recipe, track: Track) -> tuple[tuple[Fact, ...], tuple[str, ...]]:
    """What `check` reads, where a build would have to make something to read it."""
    if is_demo(recipe):
        return (), ("The demo's model is trained first, on scikit-learn's digits.",)
    with tempfile.TemporaryDirectory() as scratch:  # where `check` remembers hashes
        checked = check_inputs(recipe, Cache(Path(scratch)), track)
    if checked.refused is not None:
        raise DataError(checked.refused)
    return checked.settings, checked.notes


def _look_at_graphs(
    recipe: Recipe,
    inputs: Inputs,
    cache: _Looking,
    versions: Mapping[str, str],
    runtimes: Any,
    targets: Any,
) -> list[Chain]:
    """The chain of each form of the float, with the INT8 graphs that are made from it."""
    own, shown, calibration = choose_shown(recipe, inputs)
    runner = Runner(cache, own, versions, untracked)
    for_arm = needs_arm_plan(own, targets, runtimes)
    forms, plans = list_work(own, runtimes, for_arm=for_arm)
    planned = family_of_model(own.model).placer != "roles" or bool(own.plans)
    untrained = Skipped(recover.STAGE, "graphs are fine-tuned when all are made")
    chains = []
    for form in forms:
        labels = [plan.label for plan in plans if plan.form == form] if planned else []
        name = f"{form} form: float{''.join(f', INT8 {label}' for label in labels)}"

        def ask(form: Any = form) -> object:
            return make_graphs(
                runner, inputs, runtimes, shown, calibration if planned else None, untrained,
                for_arm=for_arm, only=[form],
            )  # fmt: skip

        chains.append(cache.chain(name, ask))
    return chains


def _further(recipe: Recipe, targets: Any, chains: tuple[Chain, ...]) -> tuple[str, ...]:
    """What the cache of graphs does not tell."""
    told = []
    if len(chains) == 1:
        told.append("every graph is made: what they are made from is new")
    elif recipe.precision == "int8" and family_of_model(recipe.model).placer == "roles":
        told += [] if recipe.plans else [_RACED]
    if gpu := list_gpu_plans(recipe, targets):
        told.append(f"{len(gpu)} graphs for a GPU")
    if recipe.recover.enabled:
        told.append("INT8 graphs are fine-tuned, some minutes, unless that is cached")
    race = recipe.benchmark
    sizes = race.batches[:1] if race.scope == "decision" else race.batches
    told.append(
        f"a race of {race.rounds} rounds at batch {', '.join(map(str, sizes))}, which no cache "
        "has; graphs that were evaluated before are not evaluated again"
    )
    return tuple(told)
