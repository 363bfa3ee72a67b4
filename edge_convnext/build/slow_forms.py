"""Forms of the float that a race on this machine showed to be slower: they are left out later.

A verdict compares INT8 with the fastest float, so every form that may be the fastest is raced. One
that is slower than the planned form, in the same runtime and float type and beyond the interval, is
so for all weights of that network: they don't change what is computed. So it is remembered by
network, size, machine and versions. The next build neither makes nor races that form, and says so.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from edge_convnext.core.contention import why_skewed
from edge_convnext.core.step import Stage
from edge_convnext.measure.speed import LOAD_NOISE, speedup
from edge_convnext.networks.family import family_of_model
from edge_convnext.networks.plans import plan_for
from edge_convnext.runtimes.load import has_bf16, hints_here, package_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from edge_convnext.build.runner import Runner
    from edge_convnext.core.artifacts import CpuRuntimeName, FormName, ModelInfo
    from edge_convnext.measure.candidates import Candidate
    from edge_convnext.measure.timings import BenchmarkResult
    from edge_convnext.runtimes import PrecisionHint

__all__ = ["SlowForm", "list_slow_forms", "remember_slow_forms", "tell_slow_forms"]

_STAGE = Stage("slow-forms", 2, folder="tune")
_SURELY_SLOWER = 1.0 + LOAD_NOISE  # two loads of one graph differ by as much


@dataclass(frozen=True)
class SlowForm:
    """A form, and how much slower than the planned one it was: the nearest of all its races."""

    form: FormName
    slowdown_lo: float  # times as slow: the lower end of the 95 % interval
    date: str


def remember_slow_forms(
    runner: Runner,
    info: ModelInfo,
    candidates: Iterable[Candidate],
    timings: BenchmarkResult,
    machine: str,
) -> None:
    """Remember the forms of the float that a race showed to be slower than the planned one.

    Nothing is remembered of a machine that was busy, nor of a family whose networks are known by
    their weights alone: its name may stand for another network next time.

    Args:
        runner: Runner whose cache remembers.
        info: The network that was raced.
        candidates: Candidates of the race.
        timings: Times of the race.
        machine: Fingerprint of this machine.
    """
    if why_skewed(timings.other_load_pct, timings.throttled_periods):
        return
    if not family_of_model(runner.recipe.model).folds:
        return
    floats = [one for one in candidates if one.model.precision == "fp32" and not one.settings]
    batch = min(runner.recipe.benchmark.batches)
    found = {(one.model.form, one.runtime, one.hint): one for one in floats}
    for (form, runtime, hint), one in found.items():
        usual = found.get((plan_for(runner.recipe, runtime).form, runtime, hint))
        if usual is None or usual is one:
            continue
        ratio = speedup(timings, usual.name, one.name, batch)
        if ratio.ci95_lo is None or ratio.ci95_lo <= _SURELY_SLOWER:
            continue
        stage, key = _entry(runner, info, form, runtime, hint, machine)
        runner.run(stage, partial(_write, ratio.ci95_lo), key=key)


def list_slow_forms(
    runner: Runner,
    info: ModelInfo,
    forms: Sequence[FormName],
    runtimes: Sequence[CpuRuntimeName],
    machine: str,
) -> tuple[SlowForm, ...]:
    """The forms that were slower in every runtime and float type of this build.

    Args:
        runner: Runner whose cache remembers.
        info: The network to build.
        forms: Forms that may be left out.
        runtimes: Runtimes of the build.
        machine: Fingerprint of this machine.
    """
    bf16, slow = has_bf16(runtimes), []
    for form in forms:
        raced = [
            _entry(runner, info, form, runtime, hint, machine)
            for runtime in runtimes
            for hint in hints_here(runtime, bf16=bf16)
        ]
        results = [found for one in raced if (found := _recall(runner, *one)) is not None]
        if raced and len(results) == len(raced):
            nearest = min(results, key=lambda one: float(one["slowdown_lo"]))
            slow.append(SlowForm(form, nearest["slowdown_lo"], nearest["date"]))
    return tuple(slow)


def tell_slow_forms(slow: Sequence[SlowForm]) -> str:
    """A sentence for the report."""
    each = ", ".join(
        f"{one.form} ({one.date}, at least {one.slowdown_lo:.2f} times as slow)" for one in slow
    )
    return (
        "Forms of the float that were not raced, as a race on this machine showed them slower than "
        f"the planned form: {each}."
    )


def _entry(
    runner: Runner,
    info: ModelInfo,
    form: FormName,
    runtime: CpuRuntimeName,
    hint: PrecisionHint | None,
    machine: str,
) -> tuple[Stage, dict[str, Any]]:
    """Where the result of one race of two forms is remembered: all that its times depend on."""
    recipe = runner.recipe
    key = {
        "form": form,
        "planned": plan_for(recipe, runtime).form,
        "runtime": runtime,
        "hint": hint,
        "model": info.model,
        "num_classes": info.num_classes,
        "in_channels": info.in_channels,
        "image_size": info.preprocess.image_size,
        "export": recipe.export.model_dump(mode="json", include={"opset", "batch"}),
        "simplify": recipe.simplify.enabled,
        "batch": min(recipe.benchmark.batches),
        "threads": recipe.benchmark.threads,
        "machine": machine,
    }
    return _STAGE.on(package_of(runtime)), key


def _write(slowdown_lo: float, _folder: Path) -> dict[str, Any]:
    return {"slowdown_lo": slowdown_lo, "date": dt.date.today().isoformat()}


class _ForgottenError(Exception):
    """The cache has no such race, or lost it between two looks."""


def _recall(runner: Runner, stage: Stage, key: dict[str, Any]) -> dict[str, Any] | None:
    """The result of an earlier race; None: there is none."""

    def make(_folder: Path) -> dict[str, Any]:
        raise _ForgottenError

    if not runner.holds(stage, key):
        return None
    try:
        return runner.run(stage, make, key=key).result
    except _ForgottenError:
        return None
