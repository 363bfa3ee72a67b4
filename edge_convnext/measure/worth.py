"""What nearness to FP32 is worth, in latency.

The fastest way to quantize a network is often no further ahead than a few percent, and answers
more images otherwise. A budget of top-1 does not show that: answers that turn wrong and answers
that turn right cancel out.
"""

from __future__ import annotations

import math

__all__ = ["NEAR_DB", "accepted_slowdown"]

# Beyond that hardly an image is answered otherwise, and nearness is worth nothing.
NEAR_DB = 30.0
# EfficientNet-Lite0's placements at 24.3 and 27.2 dB answered 97.5 and 98.5 % of 200 images as FP32
# does (benchmarks/results/2026-12-01-lite0-nearness.md): 0.3 pp for a decibel.
_WORTH_PER_DB, _MOST_WORTH = 0.02, 0.08


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
