"""Operations that only move values, or take some of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edge_convnext.graph.tflite.operations.windows import pad
from edge_convnext.graph.tflite.values import Constant, Value, identity
from edge_convnext.graph.tflite.writing import attributes, refuse

if TYPE_CHECKING:
    from onnx import NodeProto

    from edge_convnext.graph.tflite.writing import Writing

__all__ = [
    "write_concat", "write_constant", "write_pad", "write_passed", "write_reshape", "write_slice",
    "write_split", "write_transpose",
]  # fmt: skip


def write_constant(writing: Writing, node: NodeProto) -> None:
    """Keep a constant that is written as a node."""
    from onnx import numpy_helper

    found = attributes(node)
    if "value" in found:
        array = numpy_helper.to_array(found["value"])
    else:
        array = np.asarray(next(iter(found.values())))
    writing.store(node, Constant(array))


def write_passed(writing: Writing, node: NodeProto) -> None:
    """Keep what a node passes on as it is: Identity, Dropout in evaluation, Cast to float32."""
    if node.op_type == "Cast" and attributes(node).get("to") != 1:
        raise refuse(node, "it casts to another type than float32")
    writing.store(node, writing.values[node.input[0]])


def write_transpose(writing: Writing, node: NodeProto) -> None:
    """Remember where the axes lie; what needs them elsewhere moves them."""
    source = writing.values[node.input[0]]
    rank = source.array.ndim if isinstance(source, Constant) else len(source.shape)
    moves = tuple(attributes(node).get("perm", range(rank)[::-1]))
    if isinstance(source, Constant):
        if source.grid is not None:
            raise refuse(node, "it moves quantized weights")
        writing.store(node, Constant(source.array.transpose(moves)))
        return
    shape = tuple(source.shape[axis] for axis in moves)
    order = tuple(source.order[axis] for axis in moves)
    writing.store(node, Value(source.tensor, shape, order))


def write_reshape(writing: Writing, node: NodeProto) -> None:
    """Write Reshape, Flatten, Squeeze or Unsqueeze: their result has a known shape."""
    shape = writing.shapes.get(node.output[0])
    if shape is None:
        raise refuse(node, "the size of its result is not known")
    source = writing.values[node.input[0]]
    if isinstance(source, Constant):
        writing.store(node, Constant(source.array.reshape(shape)))
        return
    value = writing.laid(source, identity(len(source.shape)), node.name)
    tensor = writing.reshape(value.tensor, value.shape, shape, node.name or node.op_type)
    writing.store(node, Value(tensor, tuple(shape), identity(len(shape))))


def write_concat(writing: Writing, node: NodeProto) -> None:
    """Write Concat, laid as its first input lies."""
    values = [writing.value(node, at) for at in range(len(node.input))]
    first = values[0]
    laid = [writing.laid(one, first.order, f"{node.name}/{at}") for at, one in enumerate(values)]
    axis = attributes(node)["axis"] % len(first.shape)
    shape = list(first.shape)
    shape[axis] = sum(one.shape[axis] for one in values)
    options = {"axis": first.order[axis]}
    tensors = [one.tensor for one in laid]
    writing.store(node, writing.emit(node, "CONCATENATION", tensors, first, options, shape=shape))


def write_pad(writing: Writing, node: NodeProto) -> None:
    """Write Pad with zeros."""
    given = attributes(node)
    pads = writing.constant(node.input[1])
    filled = writing.constant(node.input[2]) if len(node.input) > 2 and node.input[2] else None
    usual = given.get("mode", b"constant") == b"constant" and len(node.input) < 4
    if pads is None or not usual or (filled is not None and filled.array.any()):
        raise refuse(node, "it pads with something else than zeros")
    value = writing.value(node)
    both = np.asarray(pads.array, np.int64).reshape(2, -1)
    writing.store(node, pad(writing, node, value, both, ""))


def write_slice(writing: Writing, node: NodeProto) -> None:
    """Write Slice with known bounds and steps of one."""
    value = writing.value(node)
    given = [writing.constant(name) if name else None for name in node.input[1:]]
    if None in given[:2]:
        raise refuse(node, "its bounds are computed")
    starts, ends = (np.ravel(one.array).tolist() for one in given[:2] if one is not None)
    rank = len(value.shape)
    axes = list(range(len(starts)))
    if len(given) > 2 and given[2] is not None:
        axes = np.ravel(given[2].array).tolist()
    if len(given) > 3 and given[3] is not None and (np.ravel(given[3].array) != 1).any():
        raise refuse(node, "its steps are not 1")
    bounds = {}
    for axis, start, end in zip(axes, starts, ends, strict=True):
        size = value.shape[axis % rank]
        low, high, _ = slice(int(start), int(end)).indices(size)
        bounds[axis % rank] = (low, max(low, high))
    writing.store(node, _cut(writing, node, value, bounds, ""))


def write_split(writing: Writing, node: NodeProto) -> None:
    """Write Split as one SLICE for each part."""
    value, given = writing.value(node), attributes(node)
    axis = given.get("axis", 0) % len(value.shape)
    sizes = [writing.shapes[name][axis] for name in node.output]
    start = 0
    for at, (name, size) in enumerate(zip(node.output, sizes, strict=True)):
        bounds = {axis: (start, start + size)}
        writing.values[name] = _cut(writing, node, value, bounds, f"/part{at}")
        start += size


def _cut(
    writing: Writing, node: NodeProto, value: Value, bounds: dict[int, tuple[int, int]], ending: str
) -> Value:
    # SLICE keeps the size that it was written with where the batch changes; this one does not.
    rank = len(value.shape)
    begin, end, shape = [0] * rank, list(value.lies), list(value.shape)
    whole = set(range(rank)) - {value.order[axis] for axis in bounds}
    for axis, (low, high) in bounds.items():
        begin[value.order[axis]], end[value.order[axis]] = low, high
        shape[axis] = high - low
    mask = sum(1 << place for place in whole)
    parts = {"begin": begin, "end": end, "strides": [1] * rank}
    numbers = [writing.numbers(f"{node.name}{ending}/{name}", one) for name, one in parts.items()]
    options = {"beginMask": mask, "endMask": mask}
    tensors = (value.tensor, *numbers)
    return writing.emit(node, "STRIDED_SLICE", tensors, value, options, shape=shape, ending=ending)
