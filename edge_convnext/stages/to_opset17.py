"""Opset 17: rewrite a graph in the newest opset that TensorRT 8.6 reads; torch writes later ones.

JetPack 6.0 comes with TensorRT 8.6. Its parser has no Gelu. It takes the axes of a reduction only
as an attribute: it ignores axes that are an input, and silently reduces over all axes
(NVIDIA/TensorRT#3467). It has LayerNormalization; TensorRT 8.5 does not. It quantizes weights
itself, from floats with Q/DQ. On INT8 constants its builder failed on an H200
(`convertMyelinWeightsToFp32`: `params.weights.type() != DataType::kINT8`).
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edge_convnext.core.errors import ExportError
from edge_convnext.core.files import AnyPath
from edge_convnext.graph.file import element_types, read_opset, read_proto, set_facts, write_proto
from edge_convnext.graph.opset17_forms import WRITTEN_ANEW, Surroundings, drop_attribute

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

    from edge_convnext.core.artifacts import OnnxModel
    from edge_convnext.graph.qdq import Wiring

__all__ = ["OPSET", "use_opset_17"]

OPSET = 17
_NEWEST = 20  # the newest opset whose changes since 17 are known here
_IR_VERSION = 8  # IR version of the ONNX release with opset 17

# Only new types since 17.
_MORE_TYPES = frozenset(
    {"Constant", "ConstantOfShape", "Equal", "Identity", "Reshape", "Shape", "Size"}
)
_SATURATES = frozenset({"Cast", "DequantizeLinear", "QuantizeLinear"})  # new: float8's `saturate`
_REDUCTIONS = frozenset(
    {"ReduceL1", "ReduceL2", "ReduceLogSumExp", "ReduceMax", "ReduceMean", "ReduceMin"}
    | {"ReduceProd", "ReduceSumSquare"}
)


def use_opset_17(model: OnnxModel, output: AnyPath) -> OnnxModel:
    """Write a graph in the operations of opset 17, for TensorRT 8.6.

    Axes of reductions become attributes. Pad and Resize state all axes in order, and a Split its
    sizes. GELU is written out as x (1 + erf(x / sqrt 2)) / 2, in the order of operators that
    TensorRT and ONNX Runtime recognise; a GELU approximated by tanh stays that. INT8 constants
    become floats with a QuantizeLinear, which gives the same integers. Every other operator is the
    same in its older version.

    Args:
        model: An FP32 graph, or an INT8 graph with explicit Q/DQ and a float32 body; opset 18
            to 20.
        output: The file to write the graph to.

    Returns:
        The graph: the same function, up to the rounding of GELU.

    Raises:
        ExportError: The graph has another opset, float16, or an unknown operator.
        ArtifactError: The file is missing, or not ONNX.

    Source:
        ONNX operators, ReduceMean 13 and 18, QuantizeLinear 13 and 19, Gelu 20; onnx-tensorrt,
        docs/operators.md ("TensorRT 8.6 supports operators up to Opset 17");
        NVIDIA/TensorRT#3467.
    """
    output = Path(output)
    import onnx

    proto = read_proto(model.path)
    try:
        _convert(proto)
    except ExportError as error:
        raise ExportError(f"{model.path}: {error}") from None
    onnx.checker.check_model(proto, full_check=True)
    write_proto(proto, output)
    return replace(model, path=output)


def _convert(proto: ModelProto) -> None:
    from onnx import TensorProto

    from edge_convnext.graph.qdq import Wiring, drop_unread_constants

    opset = read_opset(proto)
    if not OPSET < opset <= _NEWEST:
        raise ExportError(f"has opset {opset}, but only 18 to 20 can be rewritten; export again")
    if TensorProto.FLOAT16 in element_types(proto).values():
        raise ExportError("has float16 in it, which TensorRT 8.6 chooses itself; pass float32")
    wiring = Wiring(proto)
    graph = Surroundings(proto, wiring)
    nodes = [fresh for node in proto.graph.node for fresh in _rewrite(node, graph, opset)]
    nodes = [fresh for node in nodes for fresh in _quantize_constant(node, proto, wiring)]
    del proto.graph.node[:]
    proto.graph.node.extend(nodes)
    proto.graph.ClearField("value_info")
    drop_unread_constants(proto)
    for entry in proto.opset_import:
        entry.version = OPSET  # there is no other domain: `_rewrite` refuses its operators
    proto.ir_version = _IR_VERSION
    set_facts(proto, opset=OPSET)


def _rewrite(node: NodeProto, graph: Surroundings, opset: int) -> list[NodeProto]:
    """Return the nodes of opset 17 that replace one node."""
    if not node.domain:  # ONNX's own domain; its checker does not accept the long name `ai.onnx`
        if node.op_type in WRITTEN_ANEW:
            return WRITTEN_ANEW[node.op_type](node, graph)
        if node.op_type in _REDUCTIONS:
            _make_axes_an_attribute(node, graph.wiring)
            return [node]
        if node.op_type in _SATURATES:
            drop_attribute(node, "saturate")
            return [node]
        if node.op_type in _MORE_TYPES or _is_unchanged(node.op_type, opset):
            return [node]
    raise ExportError(
        f"{node.name} is a {node.op_type}, which has no known form in opset {OPSET}; "
        "pass a portable graph of this package"
    )


def _quantize_constant(node: NodeProto, proto: ModelProto, wiring: Wiring) -> list[NodeProto]:
    """Replace a DequantizeLinear's INT8 constant by floats with a QuantizeLinear."""
    from onnx import helper, numpy_helper

    integers = wiring.value(node.input[0]) if node.op_type == "DequantizeLinear" else None
    scale = wiring.value(node.input[1]) if integers is not None else None
    if integers is None or scale is None or integers.dtype != np.int8:
        return [node]
    axis = next((item.i for item in node.attribute if item.name == "axis"), 1)
    shape = [1] * integers.ndim
    if scale.size > 1:
        shape[axis] = scale.size
    # The rounding errors of this product and of its quotient are far below half a step.
    zero = wiring.value(node.input[2]) if len(node.input) > 2 else None
    if zero is not None and zero.any():
        raise ExportError(f"{node.name} has a zero point, but TensorRT has only symmetric INT8")
    floats = integers.astype(np.float32) * scale.reshape(shape if integers.ndim else ())
    # Several nodes may read one constant, so these are named after the reader.
    constant, quantized = f"{node.output[0]}/float", f"{node.output[0]}/Quantize"
    proto.graph.initializer.append(numpy_helper.from_array(floats, constant))
    quantize = helper.make_node(
        "QuantizeLinear", [constant, *node.input[1:]], [quantized], name=quantized
    )
    quantize.attribute.extend(node.attribute)
    node.input[0] = quantized
    return [quantize, node]


def _is_unchanged(kind: str, opset: int) -> bool:
    from onnx import defs

    try:
        old, new = (defs.get_schema(kind, version).since_version for version in (OPSET, opset))
    except defs.SchemaError:
        return False
    return old == new


def _make_axes_an_attribute(node: NodeProto, wiring: Wiring) -> None:
    from onnx import helper

    axes = wiring.value(node.input[1]) if len(node.input) > 1 else np.zeros(0, np.int64)
    keeps_all = any(item.name == "noop_with_empty_axes" and item.i for item in node.attribute)
    if axes is None or (keeps_all and not axes.size):
        raise ExportError(
            f"{node.name} computes its axes or reduces none, which opset {OPSET} can't express; "
            "simplify the graph first"
        )
    drop_attribute(node, "noop_with_empty_axes")
    if axes.size:
        node.attribute.append(helper.make_attribute("axes", axes.tolist()))
    del node.input[1:]
