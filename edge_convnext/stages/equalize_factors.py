"""Choose factors: each channel of an activation is divided by one, and its weights multiplied.

One scale serves a whole tensor, so the factors bring channels to a common range. A symmetric grid
covers [-t, t]. An unsigned grid can spend all of its steps on one side, but GRN makes tensors with
both signs: where gamma * n + 1 is negative, GELU's positive values become negative. A negative
factor turns the sign of such a channel, exactly and at no cost. The common range is then
[-balance * t, t].
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from edge_convnext.graph.affine import make_grid, round_weight
from edge_convnext.graph.products import multiply

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edge_convnext.core.artifacts import ActivationType
    from edge_convnext.graph.activations import Activations
    from edge_convnext.graph.affine import GridType

__all__ = ["choose_factors", "even_out", "grid_type"]

_ALPHAS = tuple(step / 10 for step in range(1, 10))
_BALANCES = (1.0, 0.25)  # lower end over upper end of an unsigned range
_ROOM = (1.0, 1.25, 1.5, 2.0)  # multiples of the observed range: other images exceed it
_SMALLEST = 1e-5  # of the largest channel's reach; a channel below it keeps its scale


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
        weight: Weight of the operation that reads the tensor, float32[C, everything else].
        repeats: Rows of the weight per channel; above 1 if patches were flattened.
        seen: The tensor's activations on calibration images, by channel.
        alpha: Strength, 0 to 1; "auto" chooses the best one, or no equalization.
        kind: The type that the tensor will be quantized to; for int8 all factors are positive. A
            norm's output has either sign: `mixed` makes it int8.
        turn: True if factors may be negative.

    Returns:
        The factors, float32[C]; None if no equalization is best.
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
    expected = multiply(seen.rows, weight)
    errors = [_error(weight, repeats, seen, expected, factors, kind) for factors in candidates]
    best = candidates[int(np.argmin(errors))]
    return None if np.all(best == 1.0) else best


def _turn_over(
    seen: Activations, signs: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return each channel's smallest and largest value after multiplication by its sign."""
    ends = signs * seen.low, signs * seen.high
    return np.minimum(*ends), np.maximum(*ends)


def _share_out(
    weight: NDArray[np.float32],
    low: NDArray[np.float32],
    high: NDArray[np.float32],
    strength: float,
    balance: float,
) -> NDArray[np.float32]:
    """Compute SmoothQuant's factors for a range [-balance * t, t]; their geometric mean is 1."""
    reach = np.maximum(high, -low / np.float32(balance))
    weight_reach = np.abs(weight).max(axis=1)
    # A channel without values or weights causes no error, so it keeps its scale.
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
    """Error of the layer's output on the sampled rows with activations and weights quantized."""
    grid: GridType = "uint8" if kind == "uint8" else "int8"
    ends = seen.low / factors, seen.high / factors
    low, high = float(np.minimum(*ends).min()), float(np.maximum(*ends).max())
    scaled_rows = seen.rows / factors
    # One scale per output of the reader; all rows of a patch share it.
    scaled_weight = (weight * factors[:, None]).reshape(len(factors) * repeats, -1)
    rounded_weight = round_weight(scaled_weight).reshape(weight.shape)
    errors = []
    for room in _ROOM:
        rounded_rows = make_grid(room * low, room * high, grid).round(scaled_rows)
        product = multiply(rounded_rows, rounded_weight)
        product -= expected
        errors.append(np.einsum("ij,ij->i", product, product).sum(dtype=np.float64))
    return float(min(errors)) / expected.size
