"""What nearness to FP32 is worth, in latency.

The fastest way to quantize a network is often no further ahead than a few percent, and answers
more images otherwise. A budget of top-1 does not show that: answers that turn wrong and answers
that turn right cancel out.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from edge_convnext.measure.speed import in_the_running

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from edge_convnext.measure.accuracy import Comparison
    from edge_convnext.measure.candidates import Candidate
    from edge_convnext.measure.timings import BenchmarkResult

__all__ = ["NEAR_DB", "accepted_slowdown", "nearest_of_fastest"]

# Beyond that hardly an image is answered otherwise, and nearness is worth nothing.
NEAR_DB = 30.0
# EfficientNet-Lite0's placements at 24.3 and 27.2 dB answered 97.5 and 98.5 % of 200 images as FP32
# does (benchmarks/results/2026-12-01-lite0-nearness.md): 0.3 pp for a decibel.
_WORTH_PER_DB, _MOST_WORTH = 0.02, 0.08
_TIE = 1.05  # latencies that near, whose interval reaches 1 besides, are ties
_FEWER_IMAGES = 2  # a difference of one is chance


def accepted_slowdown(own_db: float, other_db: float) -> float:
    """How many times as slow a candidate may be as another one, for being nearer to FP32.

    Two percent for a decibel, up to eight, and nothing beyond 30 dB.

    Args:
        own_db: SQNR of its logits to FP32's, in dB: infinite where they are equal, and minus
            infinity where it is not known.
        other_db: The same of the other, faster one.

    Returns:
        A factor of at least 1.
    """
    if -math.inf in (own_db, other_db):
        return 1.0
    gain_db = min(own_db, NEAR_DB) - min(other_db, NEAR_DB)
    return 1.0 + max(0.0, min(_WORTH_PER_DB * gain_db, _MOST_WORTH))


def nearest_of_fastest(
    options: Sequence[Candidate],
    timings: BenchmarkResult,
    batch: int,
    nearness: Callable[[Candidate], float],
    comparisons: Mapping[str, Comparison],
    to_beat_ms: float | None,
    *,
    in_db: bool = True,
) -> list[Candidate]:
    """Order the candidates that are as fast as the fastest by how near they are to FP32.

    Which of them wins a race is noise, and its nearness is not. As fast is what is within 5 %, and
    not slower beyond the interval and what a load can explain, by the rounds that choose. What is
    slower by less than its nearness is worth counts too, if it clearly beats the float: INT8 that
    does not is not shipped at all. What answers two images fewer as FP32 does than the fastest
    never takes its place, however near its logits are.

    Args:
        options: Timed candidates, at least one.
        timings: Times of a race with all of them.
        batch: Images per inference.
        nearness: Nearness of a candidate to FP32; more is nearer.
        comparisons: Comparisons with FP32, by name, of those that were evaluated.
        to_beat_ms: Latency of the fastest float that may ship; None if there is none.
        in_db: True if nearness is an SQNR in dB. The worth of another measure is not known.

    Returns:
        The best first: by latency over what its nearness is worth, where what is as fast has the
        same latency; then the nearest, then the fastest.
    """
    times = {option.name: timings.selecting_ms(option.name, batch) for option in options}
    running = in_the_running(timings, list(times), batch)
    fastest = min(options, key=lambda option: times[option.name])
    least_ms = times[fastest.name]
    # Of a difference this small a load of the machine, or the float's next form, makes nothing.
    most_ms = math.inf if to_beat_ms is None else to_beat_ms / _TIE

    def worth(option: Candidate) -> float:
        return accepted_slowdown(nearness(option), nearness(fastest)) if in_db else 1.0

    def is_tied(option: Candidate) -> bool:
        return option.name in running and times[option.name] <= _TIE * least_ms

    def is_eligible(option: Candidate) -> bool:
        if _answers_fewer(comparisons.get(option.name), comparisons.get(fastest.name)):
            return False
        return is_tied(option) or times[option.name] <= min(worth(option) * least_ms, most_ms)

    def rank(option: Candidate) -> tuple[float, float, float]:
        own_ms = least_ms if is_tied(option) else times[option.name]
        return own_ms / worth(option), -nearness(option), times[option.name]

    return sorted((one for one in options if one is fastest or is_eligible(one)), key=rank)


def _answers_fewer(one: Comparison | None, other: Comparison | None) -> bool:
    """Whether it answers fewer images as FP32 does."""
    if one is None or other is None:
        return False
    fewer = (other.agreement_pct - one.agreement_pct) / 100.0 * one.n_images
    return round(fewer) >= _FEWER_IMAGES
