"""Exact ways around what a runtime computes wrongly: the same function, written otherwise.

`concat_pairs`, `pooled_scale` and `square_attention` say what is wrong, and where that was tried.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from edge_convnext.graph.concat_pairs import find_signed_concats
from edge_convnext.graph.pooled_scale import find_pooled_scales
from edge_convnext.graph.qdq import Wiring
from edge_convnext.graph.square_attention import find_square_attention

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

__all__ = ["keep_pooled_axes", "move_heads_in_five_axes", "unsign_concats"]

_OFFSET = 128  # int8 q with zero point z is uint8 q + 128 with zero point z + 128


def unsign_concats(proto: ModelProto) -> tuple[str, ...]:
    """Turn every pair that `find_signed_concats` finds into uint8; the function stays, exactly.

    Args:
        proto: Graph with explicit Q/DQ; changed in place.

    Returns:
        Names of the convolutions that were found.
    """
    convs: dict[str, None] = {}
    # One that is turned may uncover another Concat further up.
    while found := list(find_signed_concats(proto, Wiring(proto))):
        convs |= dict.fromkeys(one.conv.name for one in found)
        pairs = {pair.output[0]: pair for one in found for pair in one.pairs}
        _unsign(proto, list(pairs.values()))
    return tuple(convs)


def _unsign(proto: ModelProto, pairs: list[NodeProto]) -> None:
    """Make pairs unsigned; other readers of their zero points go on reading the old ones."""
    wiring = Wiring(proto)
    typed = {info.name: info.type.tensor_type for info in proto.graph.value_info}
    for dequantize in pairs:
        quantize = wiring.producer[dequantize.input[0]]
        fresh = f"{quantize.output[0]}.unsigned_zero_point"
        old = wiring.value(dequantize.input[2])
        assert old is not None  # of a signed one
        moved = (old.astype(np.int16) + _OFFSET).astype(np.uint8)
        proto.graph.initializer.append(numpy_helper.from_array(moved, fresh))
        readers = wiring.readers[quantize.output[0]]  # each dequantizes the same numbers
        for node in (quantize, *readers):
            del node.input[2:]
            node.input.append(fresh)
        if quantize.output[0] in typed:
            typed[quantize.output[0]].elem_type = TensorProto.UINT8
        kept = [item for item in quantize.attribute if item.name != "output_dtype"]
        del quantize.attribute[:]
        quantize.attribute.extend(kept)


def keep_pooled_axes(proto: ModelProto) -> tuple[str, ...]:
    """Let every reduction that is found keep its axes, and squeeze them behind it; exact.

    Args:
        proto: Graph with explicit Q/DQ; changed in place.

    Returns:
        Names of the reductions.
    """
    wiring = Wiring(proto)
    found = [one.reduction for one in find_pooled_scales(proto, wiring)]
    for node in found:
        axes = node.input[1]
        kept = [item for item in node.attribute if item.name != "keepdims"]
        del node.attribute[:]
        node.attribute.extend([*kept, helper.make_attribute("keepdims", 1)])
        (dropped,) = node.output
        node.output[0] = f"{dropped}.kept"
        squeeze = helper.make_node(
            "Squeeze", [node.output[0], axes], [dropped], name=f"{node.name}.squeeze"
        )
        place = next(at for at, one in enumerate(proto.graph.node) if one.name == node.name)
        proto.graph.node.insert(place + 1, squeeze)
    return tuple(node.name for node in found)


def move_heads_in_five_axes(proto: ModelProto) -> tuple[str, ...]:
    """Write each Transpose beside an attention that is found with an axis of 1 more; exact.

    Args:
        proto: Graph, float or with explicit Q/DQ; changed in place.

    Returns:
        Names of the attentions' Softmax nodes.
    """
    found = list(find_square_attention(proto, Wiring(proto)))
    for node in (move for one in found for move in one.transposes):
        (whole,), (moved,) = node.input, node.output
        axis = numpy_helper.from_array(np.array([1], np.int64), f"{moved}.axis")
        proto.graph.initializer.append(axis)
        node.input[0], node.output[0] = f"{moved}.whole", f"{moved}.moved"
        del node.attribute[:]
        node.attribute.append(helper.make_attribute("perm", [0, 1, 3, 2, 4]))
        wider = helper.make_node(
            "Unsqueeze", [whole, axis.name], [node.input[0]], name=f"{node.name}.unsqueeze"
        )
        narrower = helper.make_node(
            "Squeeze", [node.output[0], axis.name], [moved], name=f"{node.name}.squeeze"
        )
        place = next(at for at, one in enumerate(proto.graph.node) if one.name == node.name)
        proto.graph.node.insert(place, wider)
        proto.graph.node.insert(place + 2, narrower)
    return tuple(one.softmax.name for one in found)
