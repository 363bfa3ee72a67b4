"""What float16 can hold, and whether a graph is fit to be written in it."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_convnext.core.errors import ExportError
from edge_convnext.graph.file import element_types, read_opset
from edge_convnext.graph.float16_numbers import HALF_OPSET, LARGEST

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from onnx import ModelProto, NodeProto

__all__ = [
    "find_floats",
    "float32_inputs",
    "is_beyond",
    "makes_float32",
    "round_to_float16",
    "saturates",
]

# They compare with a constant, or put it in: its nearest number in float16 does the same.
_SATURATING = frozenset({"Clip", "Max", "Min", "Pad", "Where"})


def round_to_float16(name: str, value: NDArray[Any]) -> NDArray[np.float16]:
    """Round a constant.

    Raises:
        ExportError: It is outside of float16's range.
    """
    largest = float(np.abs(value).max(initial=0.0))
    if largest > LARGEST:
        raise ExportError(
            f"{name} reaches {largest:.4g}, and float16 ends at {LARGEST:.0f}; "
            "keep the body of this model in float32"
        )
    return value.astype(np.float16)


def is_beyond(value: NDArray[Any] | None) -> bool:
    """Whether a constant is outside of float16's range somewhere, or infinite."""
    return value is not None and value.dtype == np.float32 and bool((np.abs(value) > LARGEST).any())


def saturates(node: NodeProto) -> bool:
    """Whether an operation takes the nearest number in float16 for a constant that is beyond it.

    A mask in front of a softmax is such a constant, and so is the bound of a Clip that has none.
    """
    return node.op_type in _SATURATING


def float32_inputs(node: NodeProto) -> frozenset[int]:
    """Positions of the inputs that ONNX wants in float32, such as the scales of a Resize."""
    halved, inputs, _ = _types_of(node.op_type)
    last = len(inputs) - 1
    return frozenset(at for at in range(len(node.input)) if inputs[min(at, last)] not in halved)


def makes_float32(node: NodeProto) -> bool:
    """Whether an operation's output is float32 whatever it reads, as that of ConstantOfShape."""
    halved, inputs, output = _types_of(node.op_type)
    return output not in halved or output not in inputs


@cache
def _types_of(kind: str) -> tuple[frozenset[str], tuple[str, ...], str]:
    """ONNX's names for the types that may be float16; those of the inputs, and of the output."""
    from onnx import defs

    schema = defs.get_schema(kind, HALF_OPSET)
    halved = frozenset(
        one.type_param_str
        for one in schema.type_constraints
        if "tensor(float16)" in one.allowed_type_strs
    )
    return halved, tuple(one.type_str for one in schema.inputs), schema.outputs[0].type_str


def find_floats(proto: ModelProto) -> frozenset[str]:
    """Names of the float32 values of a graph, constants included.

    Raises:
        ExportError: Another opset than `HALF_OPSET`, other floats than float32, operations that
            ONNX does not know, or a constant that is not finite.
    """
    from onnx import TensorProto, numpy_helper

    if (opset := read_opset(proto)) != HALF_OPSET:
        raise ExportError(
            f"has opset {opset}, and a float16 body is written in {HALF_OPSET}; "
            f"export with --opset {HALF_OPSET}"
        )
    types = element_types(proto)
    for name, kind in types.items():
        if kind in (TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.DOUBLE):
            found = TensorProto.DataType.Name(kind).lower()
            raise ExportError(f"{name} is {found}; pass a graph that is float32 throughout")
    for node in proto.graph.node:
        if any(name not in types for name in node.output):
            raise ExportError(
                f"{node.name} is a {node.op_type}, whose type ONNX can't infer; "
                "pass the portable graph, not the one made for one runtime"
            )
    masks = _find_masks(proto)
    for tensor in proto.graph.initializer:
        if tensor.data_type != TensorProto.FLOAT:
            continue
        value = numpy_helper.to_array(tensor)
        if np.isnan(value).any() or (tensor.name not in masks and np.isinf(value).any()):
            raise ExportError(
                f"{tensor.name} has NaN or infinite values; build again from a sound checkpoint"
            )
    return frozenset(name for name, kind in types.items() if kind == TensorProto.FLOAT)


def _find_masks(proto: ModelProto) -> frozenset[str]:
    """What may be infinite: bounds, and what is added or put in where a softmax shall be zero."""
    readers: dict[str, list[NodeProto]] = {}
    for node in proto.graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)

    def masks(node: NodeProto) -> bool:
        behind = readers.get(node.output[0], [])
        return saturates(node) or (
            node.op_type == "Add" and any(one.op_type == "Softmax" for one in behind)
        )

    return frozenset(name for name, nodes in readers.items() if all(map(masks, nodes)))
