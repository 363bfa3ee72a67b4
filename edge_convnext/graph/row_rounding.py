"""Rows of weights, rounded one column after the other so that later ones make up for the error.

Source: GPTQ, arXiv 2210.17323, in the form of LDLQ, arXiv 2307.13304, section 3.
"""

from __future__ import annotations

import contextlib

import numpy as np
from numpy.typing import NDArray

__all__ = ["Floats", "round_rows"]

Floats = NDArray[np.float64]
_NOTHING = 1e-30  # a mean square of inputs that are never seen
_DAMPING = 0.01  # of the mean second moment; GPTQ's own
_TRIES = 64  # each adds four times as much: more are of no use to finite moments
_BLOCK = 64  # columns whose errors reach the later ones in one product


def round_rows(weight: Floats, scale: Floats, moments: Floats, largest: int) -> Floats:
    """Round rows of weights, each error made up for by the columns that are still to come.

    Args:
        weight: float64[groups, rows, columns].
        scale: Step of each row, float64[groups, rows].
        moments: Second moments of the inputs, float64[groups, columns, columns].
        largest: Largest integer.

    Returns:
        Integers, float64[groups, rows, columns].
    """
    columns = weight.shape[2]
    diagonal = np.diagonal(moments, axis1=1, axis2=2)
    order = np.argsort(-diagonal, axis=1, kind="stable")  # what matters most is rounded first
    sorted_moments = np.take_along_axis(
        np.take_along_axis(moments, order[:, :, None], 1), order[:, None, :], 2
    )
    factor = _unit_factor(sorted_moments)
    floats = np.take_along_axis(weight, order[:, None, :], 2)
    wanted, steps = floats.copy(), np.empty_like(floats)
    for first in range(0, columns, _BLOCK):
        end = min(columns, first + _BLOCK)
        errors = np.empty((*floats.shape[:2], end - first))
        for at in range(first, end):
            steps[:, :, at] = np.clip(np.rint(wanted[:, :, at] / scale), -largest, largest)
            error = floats[:, :, at] - steps[:, :, at] * scale
            wanted[:, :, at + 1 : end] += error[:, :, None] * factor[:, at, None, at + 1 : end]
            errors[:, :, at - first] = error
        wanted[:, :, end:] += np.matmul(errors, factor[:, first:end, end:])
    return np.take_along_axis(steps, np.argsort(order, axis=1)[:, None, :], 2)


def _unit_factor(moments: Floats) -> Floats:
    """U of the damped moments U D U'; U is upper triangular with ones on its diagonal.

    What a column takes over of an earlier one's error is U's. That rounds as GPTQ does, which
    inverts the moments (arXiv 2307.13304, theorem 6), in a third of its time.
    """
    damped = moments.copy()
    columns = np.arange(moments.shape[1])
    mean = np.diagonal(moments, axis1=1, axis2=2).mean(axis=1, keepdims=True)
    damped[:, columns, columns] += np.where(mean > _NOTHING, _DAMPING * mean, 1.0)
    try:
        upper = _factorise(damped)
    except np.linalg.LinAlgError:
        each = zip(damped, mean[:, 0], strict=True)
        upper = np.stack([_factorise_surely(one, float(size)) for one, size in each])
    unit: Floats = np.divide(upper, np.diagonal(upper, axis1=1, axis2=2)[:, None, :])
    return unit


def _factorise_surely(moments: Floats, mean: float) -> Floats:
    """`_factorise` of one matrix, damped further until it has no negative eigenvalue.

    Inputs that hardly change from image to image have as their covariance what float32 rounded off
    their squares, which has some. To find these takes three times as long as the tries do.
    """
    more = max(_DAMPING * abs(mean), _NOTHING)
    diagonal = np.arange(len(moments))
    damped = moments.copy()
    for _ in range(_TRIES):
        with contextlib.suppress(np.linalg.LinAlgError):
            factor: Floats = _factorise(damped[None])[0]
            return factor
        damped[diagonal, diagonal] += more
        more *= 4.0
    raise np.linalg.LinAlgError("moments that are not finite")


def _factorise(moments: Floats) -> Floats:
    """R with R R' the moments; R is upper triangular."""
    lower: Floats = np.asarray(np.linalg.cholesky(moments[:, ::-1, ::-1]), np.float64)
    return lower[:, ::-1, ::-1]
