"""Choose from a race: what ships, what it has to beat, and which finalists are judged.

Choices read the rounds that choose (`selecting_ms`), never those that judge.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING

from edge_convnext.measure.speed import in_the_running, speedup
from edge_convnext.measure.worth import nearest_of_fastest
from edge_convnext.networks.plans import plan_for

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edge_convnext.core.artifacts import Precision
    from edge_convnext.core.recipe import Recipe
    from edge_convnext.measure.accuracy import Comparison
    from edge_convnext.measure.candidates import Candidate
    from edge_convnext.measure.evaluation import Evaluation
    from edge_convnext.measure.timings import BenchmarkResult

__all__ = [
    "choose_each",
    "choose_float",
    "choose_option",
    "list_contested",
    "list_finalists",
    "list_left",
    "list_rivals",
    "within_budget",
]

_LEFT = 1.3  # slower than that by the rounds that choose, a candidate is not looked at further


def choose_option(
    options: Sequence[Candidate],
    precision: Precision,
    timings: BenchmarkResult | None,
    evaluation: Evaluation | None,
    max_drop_pp: float,
    batch: int,
) -> Candidate | None:
    """Choose the fastest candidate of a precision that keeps the accuracy budget.

    It is chosen by the rounds that choose. Of INT8 candidates that are as fast, or slower by less
    than their nearness to FP32 is worth, the nearest is chosen. If none keeps the budget, they are
    chosen of all; if nothing was timed, it is the first.
    """
    own = _of_precision(options, precision, evaluation, max_drop_pp)
    if timings is None or not own:
        return own[0] if own else None
    if precision == "fp32" or evaluation is None:
        return min(own, key=lambda option: timings.selecting_ms(option.name, batch))
    floats = _of_precision(options, "fp32", evaluation, max_drop_pp)
    to_beat_ms = min((timings.selecting_ms(one.name, batch) for one in floats), default=None)
    return nearest_of_fastest(
        own, timings, batch, lambda one: _nearness(one, evaluation), evaluation.comparisons,
        to_beat_ms,
    )[0]  # fmt: skip


def _nearness(option: Candidate, evaluation: Evaluation) -> float:
    """Its logits' SQNR to FP32 in dB, infinite where they are equal."""
    found = evaluation.comparisons.get(option.name)
    if found is None:
        return -math.inf
    return math.inf if found.sqnr_db is None else found.sqnr_db


def list_rivals(
    recipe: Recipe,
    options: Sequence[Candidate],
    timings: BenchmarkResult,
    evaluation: Evaluation | None,
    batch: int,
) -> list[Candidate]:
    """List the floats that may be the fastest, and so have to be beaten; the fastest comes first.

    A candidate in bfloat16 that was measured to be past the accuracy budget does not count.
    """
    budget = recipe.evaluate.max_drop_pp
    floats = {one.name: one for one in _of_precision(options, "fp32", evaluation, budget)}
    return [floats[name] for name in in_the_running(timings, list(floats), batch)]


def choose_float(
    recipe: Recipe,
    options: Sequence[Candidate],
    timings: BenchmarkResult | None,
    evaluation: Evaluation | None,
    batch: int,
) -> Candidate | None:
    """Choose the float that ships: the plan's form, unless another is faster for sure.

    Which of several equally fast forms wins a race is noise, and the file should not depend on
    it. So another form takes the place of the plan's only if it was faster beyond the interval. A
    candidate in bfloat16 that was measured to be past the accuracy budget does not count.
    """
    budget = recipe.evaluate.max_drop_pp
    fastest = choose_option(options, "fp32", timings, evaluation, budget, batch)
    if fastest is None:
        return None
    usual = _planned_float(recipe, options, fastest, evaluation)
    if timings is None or usual is fastest:
        return usual
    ratio = speedup(timings, fastest.name, usual.name, batch)
    return fastest if ratio.ci95_lo is not None and ratio.ci95_lo > 1.0 else usual


def choose_each(
    recipe: Recipe,
    options: Sequence[Candidate],
    timings: BenchmarkResult,
    evaluation: Evaluation | None,
    batch: int,
) -> list[Candidate]:
    """Choose for each runtime by itself: the float, and the fastest of the requested precision."""
    found: list[Candidate | None] = []
    budget, precision = recipe.evaluate.max_drop_pp, recipe.precision
    for runtime in dict.fromkeys(option.runtime for option in options):
        own = [option for option in options if option.runtime == runtime]
        found.append(choose_float(recipe, own, timings, evaluation, batch))
        if precision != "fp32":  # a float is chosen by `choose_float` above
            found.append(choose_option(own, precision, timings, evaluation, budget, batch))
    return [option for option in found if option is not None]


def list_finalists(
    recipe: Recipe,
    options: Sequence[Candidate],
    timings: BenchmarkResult,
    evaluation: Evaluation | None,
    batch: int,
) -> list[Candidate]:
    """List the candidates to judge: those that may ship, and the floats that may be faster.

    Returns:
        The chosen candidate of the requested precision, then `list_rivals`, then the float in the
        form of the plan, each once.
    """
    budget = recipe.evaluate.max_drop_pp
    chosen = choose_option(options, recipe.precision, timings, evaluation, budget, batch)
    rivals = list_rivals(recipe, options, timings, evaluation, batch)
    usual = [_planned_float(recipe, options, one, evaluation) for one in rivals[:1]]
    found = [*([chosen] if chosen else []), *rivals, *usual]
    return list({option.name: option for option in found}.values())


def list_left(
    recipe: Recipe, options: Sequence[Candidate], timings: BenchmarkResult, batch: int
) -> list[Candidate]:
    """List the candidates that the race at one batch size leaves for the others.

    Returns:
        Floats up to 1.3 times as slow as the fastest float, and candidates of the requested
        precision up to 1.3 times as slow as the fastest of their runtime.
    """
    timed = {row.artifact for row in timings.rows if row.batch == batch}
    groups: dict[str, list[Candidate]] = {}
    for one in options:
        if one.name in timed:
            built = one.model.precision == recipe.precision != "fp32"
            groups.setdefault(one.runtime if built else "float", []).append(one)
    left = []
    for group in groups.values():
        times = [timings.selecting_ms(one.name, batch) for one in group]
        most_ms = _LEFT * min(times)
        left += [one for one, ms in zip(group, times, strict=True) if ms <= most_ms]
    return left


def list_contested(
    recipe: Recipe, left: Sequence[Candidate], timings: BenchmarkResult, batch: int
) -> list[Candidate]:
    """List the candidates that further rounds may choose or pass over, of those that are left.

    Args:
        recipe: Recipe of the build.
        left: Candidates from `list_left`.
        timings: Times of the first rounds.
        batch: Images per inference.

    Returns:
        Floats, if there are several; those of the requested precision of a runtime that has
        several left, or up to 1.3 times as slow as the fastest of all runtimes.
    """
    built = [one for one in left if one.model.precision == recipe.precision != "fp32"]
    floats = [one for one in left if one not in built]
    times = {one.name: timings.selecting_ms(one.name, batch) for one in built}
    most_ms = _LEFT * min(times.values(), default=0.0)
    runtimes = Counter(one.runtime for one in built)
    close = [one for one in built if runtimes[one.runtime] > 1 or times[one.name] <= most_ms]
    return [*(floats if len(floats) > 1 else ()), *(close if len(close) > 1 else ())]


def _planned_float(
    recipe: Recipe, options: Sequence[Candidate], fastest: Candidate, evaluation: Evaluation | None
) -> Candidate:
    """The float of the plan's form, in the runtime and float type of the fastest one."""
    form = plan_for(recipe, fastest.runtime).form  # a build times nothing on a GPU
    wanted = ("fp32", form, fastest.runtime, fastest.hint)
    planned = (
        option
        for option in _of_precision(options, "fp32", evaluation, recipe.evaluate.max_drop_pp)
        if (option.model.precision, option.model.form, option.runtime, option.hint) == wanted
    )
    return next(planned, fastest)  # an engine has only one float, in the engine's own form


def _of_precision(
    options: Sequence[Candidate],
    precision: Precision,
    evaluation: Evaluation | None,
    max_drop_pp: float,
) -> list[Candidate]:
    """Candidates of a precision that keep the budget or were not evaluated; all, if none does."""
    own = [option for option in options if option.model.precision == precision]
    return within_budget(own, evaluation.comparisons if evaluation else {}, max_drop_pp)


def within_budget(
    candidates: Sequence[Candidate], comparisons: Mapping[str, Comparison], max_drop_pp: float
) -> list[Candidate]:
    """Candidates that keep the accuracy budget or were not evaluated; all, if none does.

    Args:
        candidates: Candidates of a build or a board.
        comparisons: Comparisons with FP32, by name of the candidate.
        max_drop_pp: Largest accepted drop of top-1, in percentage points.
    """
    kept = [
        one
        for one in candidates
        if one.name not in comparisons or comparisons[one.name].top1_drop_pp <= max_drop_pp
    ]
    return kept or list(candidates)
