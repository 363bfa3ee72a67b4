"""What float16 can hold, and whether a graph is fit to be written in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from edge_convnext.core.errors import ExportError
from edge_convnext.graph.file import element_types, read_opset
from edge_convnext.graph.float16_numbers import HALF_OPSET, LARGEST

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from onnx import ModelProto

__all__ = ["find_floats", "round_to_float16"]


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
    for tensor in proto.graph.initializer:
        floating = tensor.data_type == TensorProto.FLOAT
        if floating and not np.isfinite(numpy_helper.to_array(tensor)).all():
            raise ExportError(
                f"{tensor.name} has NaN or infinite values; build again from a sound checkpoint"
            )
    return frozenset(name for name, kind in types.items() if kind == TensorProto.FLOAT)
