"""Windows of convolutions and pooling: their padding, and zeros that are written beforehand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from edge_convnext.graph.tflite.writing import refuse

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from onnx import NodeProto

    from edge_convnext.graph.tflite.values import Value
    from edge_convnext.graph.tflite.writing import Writing

__all__ = ["FIRST_LAST", "pad", "window"]

FIRST_LAST = (0, 3, 1, 2)  # [N, C, H, W] as LiteRT's convolutions have it: [N, H, W, C]


def pad(writing: Writing, node: NodeProto, value: Value, both: Any, ending: str) -> Value:
    """Write zeros around a value.

    Args:
        writing: The translation.
        node: Node that it is for.
        value: The value that is padded.
        both: Numbers of zeros before and behind each of ONNX's axes, int[2, axes].
        ending: Added to the names.
    """
    laid = np.zeros((len(value.shape), 2), np.int32)
    for axis, place in enumerate(value.order):
        laid[place] = both[0][axis], both[1][axis]
    shape = [size + int(both[0][at] + both[1][at]) for at, size in enumerate(value.shape)]
    tensor = writing.program.constant(f"{node.name}{ending}/pads", laid)
    return writing.emit(node, "PAD", (value.tensor, tensor), value, shape=shape, ending=ending)


def window(
    node: NodeProto, given: Mapping[str, Any], sides: Sequence[int], sizes: Sequence[int]
) -> tuple[str, Any]:
    """The padding of a window in LiteRT's words, and the zeros that have to be written before it.

    Args:
        node: Convolution or pooling.
        given: Its attributes.
        sides: Height and width of its input.
        sizes: Height and width of its window.

    Returns:
        `SAME` or `VALID`; and None, or the zeros before and behind each axis, int[2, 4].
    """
    strides, gaps = given.get("strides", [1, 1]), given.get("dilations", [1, 1])
    if given.get("ceil_mode", 0) or given.get("auto_pad", b"NOTSET") not in (b"NOTSET", b"VALID"):
        raise refuse(node, "it rounds sizes up, or pads by itself")
    pads = list(given.get("pads", [0, 0, 0, 0]))
    if not any(pads):
        return "VALID", None
    wanted = []
    for side, size, stride, gap in zip(sides, sizes, strides, gaps, strict=True):
        reach = (size - 1) * gap + 1
        total = max(0, (-(-side // stride) - 1) * stride + reach - side)
        wanted.append((total // 2, total - total // 2))
    if wanted == [(pads[0], pads[2]), (pads[1], pads[3])]:
        return "SAME", None
    both = np.array([[0, 0, *pads[:2]], [0, 0, *pads[2:]]])
    return "VALID", both
