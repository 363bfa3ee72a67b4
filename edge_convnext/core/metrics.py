"""Figures computed from logits: accuracy, agreement, distance."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from edge_convnext.core.artifacts import Parity

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "agreement_pct",
    "compare_logits",
    "hits",
    "per_class_top1_pct",
    "sqnr_db",
    "top_k_pct",
]


_ROWS = 4096  # of logits at a time


def hits(logits: NDArray[np.float32], labels: NDArray[np.int64], k: int = 1) -> NDArray[np.bool_]:
    """Whether each label is among the k largest logits; of equal ones the first class counts.

    Args:
        logits: float32[N, classes].
        labels: int64[N], each in 0..classes-1.
        k: Number of guesses per image.

    Returns:
        bool[N].
    """
    right = np.empty(len(labels), np.bool_)
    numbers = np.arange(logits.shape[1])[None, :]
    for start in range(0, len(labels), _ROWS):
        part, index = logits[start : start + _ROWS], labels[start : start + _ROWS]
        own = part[np.arange(len(part)), index][:, None]
        ahead = (part > own) | ((part == own) & (numbers < index[:, None]))
        right[start : start + _ROWS] = ahead.sum(axis=1) < k
    return right


def top_k_pct(logits: NDArray[np.float32], labels: NDArray[np.int64], k: int = 1) -> float:
    """Share of images whose label is among the k largest logits, in percent."""
    return _percent(hits(logits, labels, k))


def per_class_top1_pct(
    logits: NDArray[np.float32], labels: NDArray[np.int64]
) -> list[tuple[int, float | None]]:
    """Images and top-1 of each class, in logit order; None for a class without images."""
    right = hits(logits, labels)
    result: list[tuple[int, float | None]] = []
    for label in range(logits.shape[1]):
        own = right[labels == label]
        result.append((len(own), _percent(own) if len(own) else None))
    return result


def agreement_pct(reference: NDArray[np.float32], candidate: NDArray[np.float32]) -> float:
    """Share of images that both give the same top-1 class, in percent."""
    same: NDArray[np.bool_] = reference.argmax(axis=1) == candidate.argmax(axis=1)
    return _percent(same)


def sqnr_db(reference: NDArray[np.float32], candidate: NDArray[np.float32]) -> float | None:
    """Signal to quantization noise ratio over all logits, in decibels.

    10 log10(sum of squares of the reference / sum of squares of the difference).

    Returns:
        None where the ratio is no finite number: the two are equal, or the
        reference is zero throughout.
    """
    signal = noise = 0.0
    for start in range(0, len(reference), _ROWS):  # float64 of all would be twice the logits
        rows = reference[start : start + _ROWS].astype(np.float64)
        signal += float(np.square(rows).sum())
        noise += float(np.square(rows - candidate[start : start + _ROWS]).sum())
    if signal == 0.0 or noise == 0.0:
        return None
    return 10 * math.log10(signal / noise)


def compare_logits(reference: NDArray[np.float32], candidate: NDArray[np.float32]) -> Parity:
    """Compare two graphs' logits on the same images.

    Args:
        reference: float32[N, classes].
        candidate: The same shape.

    Raises:
        ValueError: The shapes differ, or there is no image.
    """
    if reference.shape != candidate.shape or len(reference) == 0:
        raise ValueError(f"can't compare logits {reference.shape} with {candidate.shape}")
    return Parity(
        n_images=len(reference),
        max_abs_err=float(np.abs(reference.astype(np.float64) - candidate).max()),
        sqnr_db=sqnr_db(reference, candidate),
        agreement_pct=agreement_pct(reference, candidate),
    )


def _percent(flags: NDArray[np.bool_]) -> float:
    return 100.0 * int(flags.sum()) / len(flags)
