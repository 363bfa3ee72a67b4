"""Convolutions of [N, C, H, W], with float weights or INT8 ones (`weights`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from edge_convnext.graph.tflite.operations.weights import (
    as_filters,
    as_float,
    as_matrix,
    as_rows,
    bias_of,
    version_of,
)
from edge_convnext.graph.tflite.operations.windows import FIRST_LAST, pad, window
from edge_convnext.graph.tflite.writing import attributes, refuse

if TYPE_CHECKING:
    from onnx import NodeProto

    from edge_convnext.graph.tflite.values import Value
    from edge_convnext.graph.tflite.writing import Writing

__all__ = ["split_rows", "write_conv"]

_MOST_TAPS = 25  # values of the largest window that XNNPACK has a depthwise kernel for


def write_conv(writing: Writing, node: NodeProto) -> None:
    """Write a convolution of [N, C, H, W]; a 1x1 one as FULLY_CONNECTED."""
    value, weights, given = writing.value(node), writing.constant(node.input[1]), attributes(node)
    if weights is None or weights.array.ndim != 4:
        raise refuse(node, "its weights are computed, or it is not of height and width")
    if writing.shapes.get(node.output[0]) is None:
        raise refuse(node, "the size of its result is not known")
    constant = writing.constant(node.input[2]) if len(node.input) > 2 and node.input[2] else None
    outputs, inside, *sizes = weights.array.shape
    bias = np.zeros(outputs, np.float32) if constant is None else np.ravel(constant.array)
    groups, strides = given.get("group", 1), list(given.get("strides", [1, 1]))
    laid = writing.laid(value, FIRST_LAST, node.name)
    padding, before = window(node, given, value.shape[2:], sizes)
    if before is not None:
        laid = pad(writing, node, laid, before, "/padded")
    gaps = given.get("dilations", [1, 1])
    options: dict[str, Any] = {
        "padding": writing.program.choice("Padding", padding),
        "strideH": strides[0], "strideW": strides[1],
        "dilationHFactor": gaps[0], "dilationWFactor": gaps[1],
    }  # fmt: skip
    if groups == 1 and sizes == [1, 1] and strides == [1, 1]:
        matrix, dynamic = as_rows(writing, node, as_matrix(weights), 0, 2)
        options = {"keepNumDims": True, "asymmetricQuantizeInputs": dynamic}
        made = _write_window(writing, node, "FULLY_CONNECTED", laid, matrix, bias, options, dynamic)
    elif groups == 1:
        matrix, dynamic = as_filters(writing, node, weights)
        made = _write_window(writing, node, "CONV_2D", laid, matrix, bias, options, dynamic)
    elif inside == 1 and groups == value.shape[1]:
        options["depthMultiplier"] = outputs // groups
        whole = padding == "SAME" and [*strides, *gaps] == [1, 1, 1, 1]
        made = _write_depthwise(writing, node, laid, weights.array, bias, options, whole=whole)
    else:
        raise refuse(node, f"it has {groups} groups")
    writing.store(node, made)


def _write_window(
    writing: Writing,
    node: NodeProto,
    operator: str,
    value: Value,
    matrix: int,
    bias: Any,
    options: dict[str, Any],
    dynamic: bool,
) -> Value:
    version = version_of(operator, dynamic=dynamic)
    tensors = (value.tensor, matrix, bias_of(writing, node, bias))
    shape = writing.shapes[node.output[0]]
    return writing.emit(node, operator, tensors, value, options, shape=shape, version=version)


def _write_depthwise(
    writing: Writing,
    node: NodeProto,
    value: Value,
    array: Any,
    bias: Any,
    options: dict[str, Any],
    *,
    whole: bool,
) -> Value:
    """Write a depthwise convolution; a large one as a sum of several with fewer rows.

    XNNPACK has kernels for windows of up to 25 values. A larger one took eight times as long as the
    sum of three parts does: 1.78 ms for 0.21 of [56, 56, 40] and a 7x7 window, on two threads. The
    rows of each part lie evenly about the middle, so that dilation and SAME padding say it all.

    Args:
        writing: The translation.
        node: The convolution.
        value: Its input, with the channels last.
        array: Weights as ONNX has them, [outputs, 1, height, width].
        bias: float[outputs].
        options: Options of the operator.
        whole: True if it keeps the size and has neither strides nor dilations.
    """
    filters, shape = array.transpose(1, 2, 3, 0), writing.shapes[node.output[0]]
    parts = split_rows(*array.shape[2:]) if whole else [tuple(range(array.shape[2]))]
    made = []
    for at, rows in enumerate(parts):
        gap = rows[1] - rows[0] if len(rows) > 1 and len(parts) > 1 else options["dilationHFactor"]
        ending = "" if len(parts) == 1 else f"/part{at}"
        matrix = writing.program.constant(
            f"{node.name}{ending}/weight", as_float(filters[:, list(rows)])
        )
        own = bias if at == 0 else np.zeros_like(bias)
        tensors = (value.tensor, matrix, bias_of(writing, node, own))
        made.append(
            writing.emit(
                node, "DEPTHWISE_CONV_2D", tensors, value, {**options, "dilationHFactor": gap},
                shape=shape, ending=ending, version=2 if gap > 1 else 1,
            )
        )  # fmt: skip
    total = made[0]
    for at, part in enumerate(made[1:], 1):
        ending = "" if at == len(made) - 1 else f"/sum{at}"
        total = writing.emit(node, "ADD", (total.tensor, part.tensor), total, ending=ending)
    return total


def split_rows(height: int, width: int) -> list[tuple[int, ...]]:
    """Rows of a window in parts of at most 25 values, each evenly about the middle.

    Args:
        height: Rows of the window.
        width: Columns of the window.

    Returns:
        One part where the window is small, or its rows have no middle or too many columns.
    """
    whole = [tuple(range(height))]
    most = _MOST_TAPS // width
    if height * width <= _MOST_TAPS or height % 2 == 0 or most < 2:
        return whole
    middle = height // 2
    pairs = [(at, height - 1 - at) for at in range(middle)]
    if most < 3:
        return [(middle,), *pairs]
    # The middle goes to the pair two rows away: of a 7x7 window the fastest of three ways.
    at = max(0, middle - 2)
    return [(at, middle, height - 1 - at), *(pair for pair in pairs if pair[0] != at)]
