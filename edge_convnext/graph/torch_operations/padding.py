"""Padding of convolutions and pools: ONNX states the two ends of an axis apart, torch does not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch.nn import functional

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from edge_convnext.graph.torch_operations.interface import Attributes

__all__ = ["pad_same", "split_pads"]

_SAME = (b"SAME_UPPER", b"SAME_LOWER")


def split_pads(attributes: Attributes) -> tuple[list[int], list[int]]:
    """What torch's convolution can pad by itself, and what has to be padded before it.

    Returns:
        The padding of both ends, an axis each; and `torch.nn.functional.pad`'s list, last axis
        first, which is empty where the ends are equal.
    """
    pads = list(attributes.get("pads", []))
    half = len(pads) // 2
    first, last = pads[:half], pads[half:]
    if first == last:
        return first, []
    return [], [end for pair in zip(reversed(first), reversed(last), strict=True) for end in pair]


def pad_same(
    x: Tensor, attributes: Attributes, kernel: Sequence[int], value: float = 0.0
) -> Tensor:
    """Pad as `auto_pad` asks: the output has the input's size over the stride, rounded up."""
    mode = attributes.get("auto_pad", b"NOTSET")
    if mode not in _SAME:
        return x
    strides = attributes.get("strides", [1] * len(kernel))
    dilations = attributes.get("dilations", [1] * len(kernel))
    ends: list[int] = []
    for at in range(len(kernel) - 1, -1, -1):  # last axis first
        size = x.shape[2 + at]
        reach = (kernel[at] - 1) * dilations[at] + 1
        missing = max((-(-size // strides[at]) - 1) * strides[at] + reach - size, 0)
        small, large = missing // 2, missing - missing // 2
        ends += [small, large] if mode == b"SAME_UPPER" else [large, small]
    return functional.pad(x, ends, value=value)
