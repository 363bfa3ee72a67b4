"""How much more would have to be measured for a verdict to be shown, from what was measured."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from edge_convnext.core.intervals import images_to_settle, paired_difference_interval

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_convnext.report.class_drops import ClassCount
    from edge_convnext.report.measured import AccuracyReport, BenchmarkReport

__all__ = ["images_to_show", "images_to_show_classes", "rounds_to_show"]

_MOST_ROUNDS = 1000  # beyond, "more rounds" is no advice


def images_to_show(accuracy: AccuracyReport, max_drop_pp: float) -> int | None:
    """How many images would settle the drop, if as many of them are lost and won.

    Returns:
        All in all, rounded up to two digits; None where no number would, or counts are missing.
    """
    lost, won = accuracy.lost, accuracy.won
    if lost is None or won is None:
        return None
    return _images(lost, won, accuracy.n_images, max_drop_pp, 0.95)


def images_to_show_classes(
    counts: Sequence[ClassCount], n_images: int, limit_pp: float
) -> int | None:
    """How many images would settle every class, if there are as many more of each.

    Returns:
        See `images_to_show`: of all classes together.
    """
    needed = 0.0
    for one in counts:
        confidence = 1 - 0.05 / len(counts)
        images = _images(one.lost, one.won, one.n, limit_pp, confidence)
        if images is None:
            return None
        needed = max(needed, images / one.n)
    return _up(math.ceil(n_images * needed))


def _images(lost: int, won: int, n: int, limit_pp: float, confidence: float) -> int | None:
    def settles(images: int) -> bool:
        low, high = paired_difference_interval(
            round(lost * images / n), round(won * images / n), images, confidence
        )
        return 100.0 * high <= limit_pp or 100.0 * low > limit_pp

    return n if settles(n) else images_to_settle(settles, n)


def rounds_to_show(benchmark: BenchmarkReport, batch: int) -> int | None:
    """How many rounds would settle the speed, if what was observed goes on to differ as much.

    The interval narrows with the root of the number of observations: fresh loads, which come with
    more rounds, or rounds where nothing was loaded afresh.

    Returns:
        For `--rounds`, rounded up to two digits; None where no such number would settle it.
    """
    ratio, interval = benchmark.speedup_vs_best_float, benchmark.speedup_vs_best_float_ci95
    row = benchmark.row(benchmark.chosen, batch)
    if ratio is None or interval is None or row is None or ratio == 1.0:
        return None
    end = interval[0] if ratio > 1.0 else interval[1]
    more = ((ratio - end) / (ratio - 1.0)) ** 2
    loads, rounds = benchmark.judge_loads, benchmark.judge_rounds
    if loads is None or rounds is None:
        loads = rounds = row.rounds
    needed = (math.floor(loads * more) + 1) * math.ceil(rounds / loads)
    return None if needed > _MOST_ROUNDS else _up(needed)


def _up(number: int) -> int:
    """Rounded up to two digits."""
    step = int(10 ** max(0, len(str(number)) - 2))
    return -(-number // step) * step
