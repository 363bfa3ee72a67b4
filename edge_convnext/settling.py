"""How much more would have to be measured for a verdict to be shown, from what was measured."""

from __future__ import annotations

import math
import statistics
from typing import TYPE_CHECKING

from edge_convnext.intervals import images_to_settle, paired_difference_interval

if TYPE_CHECKING:
    from edge_convnext.report import AccuracyReport, BenchmarkReport, BenchmarkRow

__all__ = ["images_to_show", "rounds_to_show"]

_MEDIAN = math.pi / 2
_MOST_ROUNDS = 1000  # beyond, "more rounds" is no advice


def images_to_show(accuracy: AccuracyReport, max_drop_pp: float) -> int | None:
    """How many images would settle the drop, if as many of them are lost and won.

    Returns:
        All in all, rounded up to two digits; None where no number would, or counts are missing.
    """
    lost, won, n = accuracy.lost, accuracy.won, accuracy.n_images
    if lost is None or won is None:
        return None

    def settles(images: int) -> bool:
        low, high = paired_difference_interval(
            round(lost * images / n), round(won * images / n), images
        )
        return 100.0 * high <= max_drop_pp or 100.0 * low > max_drop_pp

    return images_to_settle(settles, n)


def rounds_to_show(benchmark: BenchmarkReport, batch: int) -> int | None:
    """How many rounds would settle the speed, if their spread stays.

    More rounds make each load's median surer. What differs between loads they do not narrow: where
    that alone is too much, no number of rounds helps.

    Returns:
        For `--rounds`, rounded up to two digits; None where no such number would settle it.
    """
    ratio, interval = benchmark.speedup_vs_best_float, benchmark.speedup_vs_best_float_ci95
    row = benchmark.row(benchmark.chosen, batch)
    if ratio is None or interval is None or row is None or ratio == 1.0:
        return None
    end = interval[0] if ratio > 1.0 else interval[1]
    narrower = ((ratio - 1.0) / (ratio - end)) ** 2  # of the variance of what was observed
    loads, rounds = benchmark.judge_loads, benchmark.judge_rounds
    if loads is None or rounds is None:  # each round is an observation
        return _rounded(row.rounds / narrower)
    within, between = _variances(_ratios(benchmark, row, batch), loads, rounds)
    left = narrower * (_of_median(within, rounds // loads) + between) - between
    return _rounded((_MEDIAN * within / left + 1 - _MEDIAN) * loads) if left > 0.0 else None


def _ratios(benchmark: BenchmarkReport, row: BenchmarkRow, batch: int) -> list[float]:
    """The rival's latency over the chosen model's, of each round that both were timed in."""
    rival = benchmark.row(benchmark.rival_float or benchmark.best_float, batch)
    fast, slow = row.round_latency_ms_p50, rival.round_latency_ms_p50 if rival else ()
    if rival and row.round_gpu_ms_p50 and rival.round_gpu_ms_p50:
        fast, slow = row.round_gpu_ms_p50, rival.round_gpu_ms_p50
    last = min(len(fast), len(slow))
    pairs = zip(slow[len(slow) - last :], fast[len(fast) - last :], strict=True)
    return [before / after for before, after in pairs if after > 0.0]


def _variances(ratios: list[float], loads: int, rounds: int) -> tuple[float, float]:
    """Of the rounds within a load, and of what differs between loads; the last rounds judged.

    Without two rounds a load nothing tells them apart, and all of it counts as the loads'.
    """
    each = rounds // loads
    judged = ratios[-rounds:]
    if len(judged) < rounds or loads < 2:
        return 0.0, 1.0
    groups = [judged[start : start + each] for start in range(0, rounds, each)]
    medians = statistics.variance(map(statistics.median, groups))
    if each < 2:
        return 0.0, medians
    within = statistics.mean(map(statistics.variance, groups))
    return within, max(0.0, medians - _of_median(within, each))


def _of_median(variance: float, n: int) -> float:
    """Of the median of `n` values: of one as theirs, of many that of the mean times pi / 2."""
    return _MEDIAN * variance / (n + _MEDIAN - 1)


def _rounded(rounds: float) -> int | None:
    needed = math.ceil(rounds + 1)
    if needed > _MOST_ROUNDS:
        return None
    step = int(10 ** max(0, len(str(needed)) - 2))
    return -(-needed // step) * step
