"""The graphs of a build in two lanes: a child process makes some of them, this one the others.

Export, simplification and the search for ranges keep one core busy, or two badly. Both lanes fill
the same cache. Then the build goes through all of its graphs and finds them there. What the child
did not make, for whatever reason, is made or refused by that pass, as if there had been no lanes.
"""

from __future__ import annotations

import contextlib
import logging
import pickle
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, cast

from edge_convnext.build.float_chain import fold_weights, is_exported, weights_of
from edge_convnext.build.float_forms import list_work
from edge_convnext.build.runner import Runner
from edge_convnext.core.artifacts import LITERT_FORMAT
from edge_convnext.core.cache import Cache
from edge_convnext.core.contention import other_load_pct, read_cpu_clock
from edge_convnext.core.errors import EdgeConvNextError
from edge_convnext.core.heap import keep_heap
from edge_convnext.core.isolate import Child, IsolatedFailure, start_child
from edge_convnext.core.progress import untracked
from edge_convnext.core.quotas import free_memory_bytes, sharing_cores, usable_cores
from edge_convnext.core.step import Skipped
from edge_convnext.networks.family import family_of_model
from edge_convnext.networks.own_modules.code import consented
from edge_convnext.networks.plans import float_plan, list_gpu_plans
from edge_convnext.runtimes.tensorrt.rtx_builder import why_no_rtx
from edge_convnext.stages import recover

if TYPE_CHECKING:
    from edge_convnext.build.inputs import Inputs
    from edge_convnext.build.lineage import Lineage
    from edge_convnext.build.runner import Logits
    from edge_convnext.core.artifacts import CpuRuntimeName, FormName, Weights
    from edge_convnext.core.recipe import Recipe, TargetName
    from edge_convnext.core.step import Images, Step
    from edge_convnext.data.images import Sample
    from edge_convnext.networks.plans import Plan

__all__ = ["Part", "SecondLane", "Work", "split_work"]

_log = logging.getLogger(__name__)

# Costs in units of one float form (3 to 5 s for atto), from the times of a build.
_FORM = 1.0
_STATIC_PLAN = 2.9  # equalizing and choosing the ranges
_DYNAMIC_PLAN = 0.8  # no ranges are searched
_START = 0.8  # of the child, even where its imports are done
_LEAST_GAIN = 1.5
_FEWEST_CORES = 1.75  # that other programs leave
_FREE_BYTES = 3 << 30  # torch and its exporter a second time
_COPIES = 12  # of the weights that a lane may hold
# Until the child is given up, as its stages have limits of their own: this lane may have found
# all of its part in the cache.
_PATIENCE_S, _PATIENCE_S_PER_MB = 600.0, 5.0


@dataclass(frozen=True)
class Work:
    """Everything that the graphs of a build are made from; another process can be given it."""

    recipe: Recipe
    inputs: Inputs
    targets: tuple[TargetName, ...]
    runtimes: tuple[CpuRuntimeName, ...]
    shown: tuple[Sample, ...]  # of the parity checks
    samples: Images  # the same
    calibration: Images | None
    training: Images | Skipped
    begun: tuple[Lineage, ...] = ()
    without: tuple[FormName, ...] = ()  # forms that are known to be slow here
    for_arm: bool = False


@dataclass(frozen=True)
class Part:
    """What one lane makes."""

    forms: frozenset[FormName] = frozenset()  # with the CPU plans in them
    gpu: bool = False  # every graph for TensorRT
    cost: float = 0.0


_TRAINED_LATER = Skipped(recover.STAGE, "graphs are fine-tuned when both lanes are done")
Make: TypeAlias = Callable[[Runner, Work, Part | None], object]  # fills the runner's cache


class SecondLane:
    """The child process of a build. It gets ready while the images are read."""

    def __init__(self) -> None:
        self._held = ExitStack()
        self._child: Child | None = None
        self._begun = read_cpu_clock()
        self._has_core: bool | None = None  # None: nobody has looked yet

    def __enter__(self) -> SecondLane:
        return self

    def __exit__(self, *error: object) -> None:
        self._held.close()

    def get_ready(self, recipe: Recipe, weights: Step[Weights]) -> None:
        """Start the child, if it is likely to be needed: these weights are new.

        Args:
            recipe: Recipe of the build.
            weights: Weights as they were read.
        """
        # A quick race of others is timed first, beside which no child may work.
        planned = family_of_model(recipe.model).placer != "roles"
        wanted = weights.status == "done" and recipe.precision == "int8" and planned
        if wanted and self._has_room(weights.value):
            self._child = self._held.enter_context(start_child(_warm_up))

    def fill_cache(self, runner: Runner, work: Work, make: Make) -> None:
        """Make the graphs of a build in two lanes, where that is worth a second process.

        Args:
            runner: Runner of this build; its cache has the graphs afterwards.
            work: Everything that they are made from.
            make: Makes the part that it is given; a function that another process can import.

        Raises:
            EdgeConvNextError: This lane failed: the build would have, too.
        """
        parts = split_work(work)
        if parts is None or not self._has_room(work.inputs.weights.value):
            return
        own, other = parts
        before, theirs = set(runner.cache.made), _Made({}, {})
        try:
            if not _is_made(runner, work, own.forms | other.forms):
                theirs = self._make_both(runner, work, make, own, other)
        finally:
            ours = {one: why for one, why in runner.cache.made.items() if one not in before}
            runner.cache.count_as_made(ours | theirs.folders)
        runner.known |= theirs.logits

    def _make_both(self, runner: Runner, work: Work, make: Make, own: Part, other: Part) -> _Made:
        """Make both parts; return what the child made."""
        # Training takes all cores, and comes when all graphs are there.
        untrained = isinstance(work.training, Skipped)
        lane = work if untrained else replace(work, training=_TRAINED_LATER)
        try:
            pickle.dumps(lane)
        except Exception as error:  # what a network of others has may be anything
            _log.info("a network that can't be sent to another process: %s", error)
            return _Made({}, {})
        child = self._child or self._held.enter_context(start_child())
        child.call(_make_there, make, lane, other, runner.cache.root, dict(runner.versions))
        with _half_of_the_cores():
            make(runner, lane, own)
        size_mb = work.inputs.weights.value.path.stat().st_size / 1e6
        what = "waiting for the graphs of the other process"
        (found,) = [
            child.result(_PATIENCE_S + _PATIENCE_S_PER_MB * size_mb)
            for _ in runner.track((None,), what, 1)
        ]
        if isinstance(found, IsolatedFailure):
            _log.info("a process that makes graphs ahead failed: %s", found.reason)
            return _Made({}, {})
        return cast("_Made", found)

    def _has_room(self, weights: Weights) -> bool:
        """Whether a second process has a core that other programs leave, and the memory for it.

        Others are looked at once, before the child is one of them. Code of the user's own runs in
        this process alone.
        """
        if self._has_core is None:
            load_pct = other_load_pct(self._begun, read_cpu_clock()) or 0.0
            self._has_core = (1 - load_pct / 100) * usable_cores() >= _FEWEST_CORES
        needed = _FREE_BYTES + _COPIES * weights.path.stat().st_size
        free = free_memory_bytes()
        enough = free is not None and free >= needed
        return self._has_core and enough and not consented() and _can_share()


def _can_share() -> bool:
    """Whether the packages are installed that threads are shared with."""
    return all(find_spec(name) is not None for name in ("torch", "threadpoolctl"))


def _warm_up() -> None:
    """Import what exporting and quantizing need: some seconds. A first export imports the most."""
    import torch

    from edge_convnext.core.sections import ExportConfig
    from edge_convnext.stages.export import run_exporter
    from edge_convnext.stages.quantize_nncf import import_nncf

    torch.set_num_threads(1)
    import_nncf()
    run_exporter(torch.nn.Linear(1, 1).eval(), torch.zeros(2, 1), ExportConfig())


@dataclass(frozen=True)
class _Made:
    """What the child made."""

    folders: dict[Path, str | None]  # of cache entries: see `Cache.made`
    logits: dict[tuple[str, str, str], Logits]  # see `Runner.known`


def _make_there(
    make: Make,
    work: Work,
    part: Part,
    root: Path,
    versions: Mapping[str, str],
) -> _Made:
    """The child's lane: what it can't make, the build itself will refuse."""
    keep_heap()
    runner = Runner(Cache(root), work.recipe, versions, untracked)
    with _half_of_the_cores(), contextlib.suppress(EdgeConvNextError):
        make(runner, work, part)
    return _Made(runner.cache.made, runner.known)


@contextmanager
def _half_of_the_cores() -> Iterator[None]:
    """Give the runtimes, torch and NumPy's matrix products half of the threads in the block."""
    import torch
    from threadpoolctl import threadpool_limits

    before = torch.get_num_threads()
    with sharing_cores(2), threadpool_limits(usable_cores()):
        torch.set_num_threads(usable_cores())
        try:
            yield
        finally:
            torch.set_num_threads(before)


def split_work(work: Work) -> tuple[Part, Part] | None:
    """Share the graphs between this process and a child, so that both end at about the same time.

    The plans of one form stay together: they begin with the same steps.

    Returns:
        This process's part and the child's; None where a child would save too little.
    """
    jobs = sorted(_jobs(work), key=lambda job: -job.cost)
    own, other = Part(), Part(cost=_START)
    for job in jobs:
        if own.cost <= other.cost:
            own = _joined(own, job)
        else:
            other = _joined(other, job)
    gain = sum(job.cost for job in jobs) - max(own.cost, other.cost)
    return (own, other) if gain >= _LEAST_GAIN else None


def _joined(one: Part, other: Part) -> Part:
    return Part(one.forms | other.forms, one.gpu or other.gpu, one.cost + other.cost)


def _jobs(work: Work) -> list[Part]:
    """The smallest parts, with their costs."""
    recipe = work.recipe
    forms, plans = list_work(recipe, work.runtimes, work.without, for_arm=work.for_arm)
    made = {lineage.plan for lineage in work.begun}
    jobs = []
    for form in forms:
        own = {plan for plan in plans if plan.form == form} if work.calibration else set()
        float_cost = 0.0 if float_plan(form, "fp32") in made else _FORM
        cost = float_cost + _cost_of(own)
        jobs.append(Part(frozenset({form}), cost=cost))
    for_gpu = list_gpu_plans(recipe, work.targets)
    if for_gpu and not (recipe.targets == "auto" and why_no_rtx()):  # else none is made
        starts = {(plan.form, plan.batch) for plan in for_gpu}
        static = sum(plan.precision == "int8" for plan in for_gpu)
        jobs.append(Part(gpu=True, cost=len(starts) * _FORM + static * (_STATIC_PLAN / 2)))
    return jobs


def _cost_of(plans: Collection[Plan]) -> float:
    return sum(_DYNAMIC_PLAN if one.format == LITERT_FORMAT else _STATIC_PLAN for one in plans)


def _is_made(runner: Runner, work: Work, forms: Collection[FormName]) -> bool:
    """Whether an earlier build exported these forms: the rest is not worth another process."""
    inputs, samples = work.inputs, work.samples
    folded = fold_weights(runner, inputs.weights, samples)
    own = None if isinstance(folded, Skipped) else folded
    return all(
        is_exported(runner, weights_of(form, inputs, own), form, "fp32", samples, inputs.weights)
        for form in forms
    )
