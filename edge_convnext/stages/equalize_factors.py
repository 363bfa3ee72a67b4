"""Factors: what to divide each channel of an activation by, and its weights to multiply with.

One scale serves a whole tensor, so channels are brought to a common range. A symmetric grid
has room for [-t, t]. An unsigned one can spend all of its steps on one side, but GRN makes
tensors with two: gamma * n + 1 is below zero in some channels, so that what GELU left positive
comes out negative there. A factor below zero turns such a channel over, as exactly and freely
as any other, and the common range becomes [-balance * t, t].
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from edge_convnext.graph.affine import make_grid, round_weight

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edge_convnext.core.artifacts import ActivationType
    from edge_convnext.graph.activations import Activations
    from edge_convnext.graph.affine import GridType

__all__ = ["choose_factors", "even_out", "grid_type"]

_ALPHAS = tuple(step / 10 for step in range(1, 10))
_BALANCES = (1.0, 0.25)  # of an unsigned range: its lower end over its upper
_ROOM = (1.0, 1.25, 1.5, 2.0)  # of the range seen: other images go beyond it
_SMALLEST = 1e-5  # of a channel's largest value: silent channels are left alone


def grid_type(seen: Activations, kind: ActivationType) -> GridType:
    """What a tensor will be quantized to: `mixed` is unsigned where nothing is negative."""
    if kind == "mixed":
        return "int8" if np.any(seen.low < 0) else "uint8"
    return kind


def even_out(seen: Activations) -> NDArray[np.float32] | None:
    """Factors that give every channel the same range, for readers that add up no two channels.

    Each of their outputs has a scale of its own, so their weights round the same way whatever they
    are multiplied by.

    Returns:
        float32[C], whose geometric mean is 1; None where nothing would change.
    """
    reach = np.maximum(np.abs(seen.low), np.abs(seen.high))
    live = reach > _SMALLEST * reach.max(initial=0.0)
    factors = np.ones(len(reach), np.float32)
    if not live.any():
        return None
    factors[live] = reach[live] / np.exp(np.mean(np.log(reach[live])))
    return factors


def choose_factors(
    weight: NDArray[np.float32],
    repeats: int,
    seen: Activations,
    alpha: float | str,
    kind: ActivationType,
    *,
    turn: bool,
) -> NDArray[np.float32] | None:
    """Choose the factors whose quantized layer is nearest to the float one.

    Args:
        weight: Of the operation that reads the tensor, [C, everything else].
        repeats: Rows of its weight per channel, where patches were flattened.
        seen: The tensor's channels on calibration images.
        alpha: Strength, 0 to 1, or "auto" for the best, no equalization among them.
        kind: What the tensor will be quantized to; factors are positive for int8. A norm's output
            has either sign: `mixed` makes it int8.
        turn: Whether factors may be negative.

    Returns:
        float32[C]; None where dividing by nothing is best.
    """
    unsigned = kind == "uint8"
    signs = np.where(unsigned & turn & (-seen.low > seen.high), -1, 1).astype(np.float32)
    if not (np.any(seen.low) or np.any(seen.high)):
        return None
    strengths = _ALPHAS if isinstance(alpha, str) else (alpha,)
    candidates = [
        signs * _share_out(weight, *_turn_over(seen, signs), strength, balance)
        for strength, balance in product(strengths, _BALANCES if unsigned else (1.0,))
    ]
    if isinstance(alpha, str):
        candidates.insert(0, signs)
    expected = seen.rows @ weight
    errors = [_error(weight, repeats, seen, expected, factors, kind) for factors in candidates]
    best = candidates[int(np.argmin(errors))]
    return None if np.all(best == 1.0) else best


def _turn_over(
    seen: Activations, signs: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Each channel's smallest and largest value after multiplication with its sign."""
    ends = signs * seen.low, signs * seen.high
    return np.minimum(*ends), np.maximum(*ends)


def _share_out(
    weight: NDArray[np.float32],
    low: NDArray[np.float32],
    high: NDArray[np.float32],
    strength: float,
    balance: float,
) -> NDArray[np.float32]:
    """SmoothQuant's factors, for a common range [-balance * t, t]; their geometric mean is 1."""
    reach = np.maximum(high, -low / np.float32(balance))
    weight_reach = np.abs(weight).max(axis=1)
    # A channel without values or weights has no error to share: it keeps its scale.
    live = (reach > _SMALLEST * reach.max()) & (weight_reach > _SMALLEST * weight_reach.max())
    shares = np.ones(len(reach), np.float32)
    shares[live] = reach[live] ** strength / weight_reach[live] ** (1 - strength)
    shares[live] /= np.exp(np.mean(np.log(shares[live])))
    return shares


def _error(
    weight: NDArray[np.float32],
    repeats: int,
    seen: Activations,
    expected: NDArray[np.float32],
    factors: NDArray[np.float32],
    kind: ActivationType,
) -> float:
    """Of the layer's output on the sampled rows, activations and weights quantized."""
    grid: GridType = "uint8" if kind == "uint8" else "int8"
    ends = seen.low / factors, seen.high / factors
    low, high = float(np.minimum(*ends).min()), float(np.maximum(*ends).max())
    scaled_rows = seen.rows / factors
    # One scale per output of the reader; patches, if any, share theirs.
    scaled_weight = (weight * factors[:, None]).reshape(len(factors) * repeats, -1)
    rounded_weight = round_weight(scaled_weight).reshape(weight.shape)
    errors = [
        np.square(
            make_grid(room * low, room * high, grid).round(scaled_rows) @ rounded_weight - expected,
            dtype=np.float64,
        ).mean()
        for room in _ROOM
    ]
    return float(min(errors))
