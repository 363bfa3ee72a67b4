"""Numbers that change from step to step, as plain functions of the step."""

from __future__ import annotations

import hashlib
import math

__all__ = ["derive_seed", "ema_decay", "learning_rate"]


def learning_rate(step: int, steps: int, warmup_steps: int, peak: float) -> float:
    """Linear warm-up to `peak`, then half a cosine towards 0.

    Args:
        step: Number of the update, 0 for the first.
        steps: Updates of the whole run.
        warmup_steps: Updates until `peak` is reached.
        peak: Highest learning rate.
    """
    if step < warmup_steps:
        return peak * (step + 1) / warmup_steps
    progress = (step - warmup_steps) / max(1, steps - warmup_steps)
    return peak * 0.5 * (1.0 + math.cos(math.pi * progress))


def ema_decay(step: int, decay: float) -> float:
    """Decay of the weight average at one update.

    It starts low and rises to `decay`, so that short runs forget the random initial weights too.
    The ramp is that of TensorFlow's ExponentialMovingAverage.
    """
    return min(decay, (1.0 + step) / (10.0 + step))


def derive_seed(seed: int, *parts: int | str) -> int:
    """Derive a seed for one purpose, such as (seed, "shuffle", epoch).

    Each epoch has a seed of its own. So a resumed run equals an uninterrupted one, and no state
    of a random generator has to be saved.
    """
    text = ":".join(str(part) for part in (seed, *parts))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6], "big")
