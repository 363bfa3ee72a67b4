"""How far two arrays differ."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["relative_error"]


def relative_error(expected: NDArray[Any], found: NDArray[Any]) -> float:
    """The largest difference over the largest value; infinite where shapes or numbers are odd."""
    if expected.shape != found.shape or not expected.size:
        return float("inf")
    if not (np.isfinite(expected).all() and np.isfinite(found).all()):
        return float("inf")
    largest = max(float(np.abs(expected).max()), float(np.finfo(np.float32).tiny))
    return float(np.abs(expected.astype(np.float64) - found).max()) / largest
