"""Per cents and percentage points: as people state them, and as messages show them."""

from __future__ import annotations

__all__ = ["meant_per_cent", "show_pp"]

_SMALLEST_PP = 0.05  # below, a budget is rather a fraction: it is one image of 2,000


def show_pp(value: float) -> str:
    """Two decimals, and as many more as were stated: `1.00`, `0.125`."""
    short = f"{value:.2f}"
    return short if abs(float(short) - value) < 1e-9 else f"{value:g}"


def meant_per_cent(value: float) -> str | None:
    """What a budget in percentage points was most likely meant to be; None where it is usual."""
    if not 0.0 < value < _SMALLEST_PP:
        return None
    return f"percentage points, not a fraction: did you mean {100.0 * value:g}? (0 allows no drop)"
