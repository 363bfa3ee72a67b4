"""Find operations that TensorRT can't parse, or builds into something else.

The rules of TensorRT for RTX come from the parser and the kernel list of 1.7, which
tests/runtimes/tensorrt/test_lint.py checks. TensorRT 10 and 11 share its parser, so the same rules
apply. The rules of 8.5 and 8.6 come from onnx-tensorrt's docs/operators.md and docs/Changelog.md,
and NVIDIA/TensorRT#3467. Only that 8.6 fails on INT8 constants was tried, on an H200.

Source: TensorRT, "Working with Quantized Types" and "Strongly Typed Networks".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from edge_convnext.graph.file import element_types, read_opset
from edge_convnext.graph.findings import Finding, weight_only
from edge_convnext.graph.float16_numbers import SMALLEST_NORMAL

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

    from edge_convnext.graph.qdq import Wiring

__all__ = ["TensorRTName", "lint_tensorrt"]

# JetPack 5 has 8.5, JetPack 6.0 has 8.6; 10 stands for all later ones.
TensorRTName = Literal["rtx", "tensorrt10", "tensorrt8.6", "tensorrt8.5"]


@dataclass(frozen=True)
class _Version:
    typed: bool  # every value keeps the type that the graph gives it
    newest_opset: int | None = None
    missing: frozenset[str] = frozenset()
    careful: frozenset[str] = frozenset({"LayerNormalization"})  # compute float16 input in float32


_VERSIONS: Mapping[TensorRTName, _Version] = {
    "rtx": _Version(typed=True, careful=frozenset({"LayerNormalization", "ReduceL2"})),
    "tensorrt10": _Version(typed=True),
    "tensorrt8.6": _Version(False, 17, frozenset({"Gelu"})),
    "tensorrt8.5": _Version(
        False, 17, frozenset({"Gelu", "GroupNormalization", "LayerNormalization"})
    ),
}
_PAIR = ("QuantizeLinear", "DequantizeLinear")


def lint_tensorrt(proto: ModelProto, wiring: Wiring, target: TensorRTName) -> Iterator[Finding]:
    """Check a graph against one TensorRT.

    Args:
        proto: The graph, float or with explicit Q/DQ.
        wiring: The wiring of that graph.
        target: The TensorRT to check for.

    Yields:
        The findings.
    """
    version = _VERSIONS[target]
    types = element_types(proto)
    opset = read_opset(proto)
    if version.newest_opset is not None and opset > version.newest_opset:
        yield Finding(
            "opset",
            "error",
            "graph",
            f"this TensorRT reads opsets up to {version.newest_opset}, and this is {opset}",
            "rewrite it with opset17.use_opset_17",
        )
    yield from _check_images(proto, wiring)
    for node in proto.graph.node:
        yield from _check_operation(node, wiring, version)
        if node.op_type in _PAIR:
            yield from _check_pair(node, wiring)
            yield from _check_scale(node, wiring)
            if not version.typed:
                yield from _check_constant(node, wiring)
            continue
        if version.typed:
            yield from _check_types(node, wiring, types, opset, version)
        if wiring.has_quantized_weight(node):
            yield from _check_product(node, wiring)


def _check_constant(node: NodeProto, wiring: Wiring) -> Iterator[Finding]:
    """Refuse INT8 constants in TensorRT 8, which quantizes weights itself."""
    constant = wiring.value(node.input[0])
    if node.op_type == "DequantizeLinear" and constant is not None:
        yield Finding(
            "int8-constant",
            "error",
            node.name,
            "the builder of this TensorRT fails on weights that are stored as INT8",
            "store floats with Q/DQ: stages.to_opset17.use_opset_17 does",
        )


def _check_images(proto: ModelProto, wiring: Wiring) -> Iterator[Finding]:
    from onnx import TensorProto

    for value in proto.graph.input:
        if value.type.tensor_type.elem_type == TensorProto.UINT8:
            for reader in wiring.readers.get(value.name, ()):
                if reader.op_type != "Cast":
                    yield Finding(
                        "uint8-images",
                        "error",
                        reader.name,
                        "TensorRT's only operation on uint8 is the cast to another type",
                        "cast the images first (stages.to_uint8_images.use_uint8_images)",
                    )


def _check_operation(node: NodeProto, wiring: Wiring, version: _Version) -> Iterator[Finding]:
    """Find operations that the parser can't import."""
    if node.op_type in version.missing:
        yield Finding(
            "missing-operation",
            "error",
            node.name,
            f"this TensorRT has no {node.op_type}",
            "write GELU out with stages.to_opset17.use_opset_17, and norms with the form conv",
        )
    if not node.op_type.startswith("Reduce") or len(node.input) < 2:
        return
    if version.newest_opset is not None and node.op_type != "ReduceSum":
        yield Finding(
            "axes-input",
            "error",
            node.name,
            "this TensorRT ignores axes that are an input, and reduces over all of them",
            "rewrite it with stages.to_opset17.use_opset_17",
        )
    elif node.input[1] not in wiring.constants:
        yield Finding(
            "axes-input",
            "error",
            node.name,
            "TensorRT needs constant axes",
            "simplify the graph, or export static shapes",
        )


def _check_pair(node: NodeProto, wiring: Wiring) -> Iterator[Finding]:
    """Check the requirements of the parser and the kernels for one Q or DQ node."""

    def error(rule: str, message: str, remedy: str) -> Finding:
        return Finding(rule, "error", node.name, message, remedy)

    source = wiring.producer.get(node.input[0])
    if source is not None and source.op_type == "QuantizeLinear":
        return  # the second half of a pair that is checked at its first half
    value = wiring.value(node.input[0])
    zero_point = wiring.value(node.input[2]) if len(node.input) > 2 else None
    quantized = zero_point if node.op_type == "QuantizeLinear" else value
    kind = np.dtype(np.uint8) if quantized is None else quantized.dtype  # ONNX's default
    if kind == np.int32:
        yield error("int32-bias", "TensorRT can't parse quantized biases", "keep the bias in float")
        return
    if zero_point is not None and zero_point.any():
        yield error("zero-point", "TensorRT needs zero point 0", "quantize symmetrically")
    if kind == np.uint8:
        yield error("unsigned", "TensorRT's quantized type is int8, this is uint8", "use int8")
    scale = wiring.value(node.input[1])
    if node.op_type == "QuantizeLinear" and value is None and scale is not None and scale.size > 1:
        yield error(
            "per-channel-activation",
            "TensorRT needs one scale for an activation, or runs float",
            "quantize activations per tensor",
        )


def _check_scale(node: NodeProto, wiring: Wiring) -> Iterator[Finding]:
    scale = wiring.value(node.input[1])
    if scale is None:
        return
    if not (scale > 0).all():
        yield Finding(
            "scale",
            "error",
            node.name,
            f"TensorRT needs scales above 0, and the smallest is {scale.min():.3g}",
            "keep the operation in float, or use stages.to_float16.halve_body on the float32 graph",
        )
    elif scale.dtype == np.float16 and (scale < SMALLEST_NORMAL).any():
        yield Finding(
            "tiny-scale",
            "warning",
            node.name,
            f"float16 has few bits for a scale of {scale.min():.3g}",
            "use stages.to_float16.halve_body on the float32 graph: it keeps this scale in float32",
        )


def _check_product(node: NodeProto, wiring: Wiring) -> Iterator[Finding]:
    """Check what a convolution or matrix product with quantized weights becomes."""
    if not wiring.is_quantized(node):
        yield weight_only(node, "TensorRT computes it in float")
    elif any(item.name == "group" and item.i > 1 for item in node.attribute):
        yield Finding(
            "depthwise",
            "warning",
            node.name,
            "TensorRT pads each INT8 group to 4 channels, which costs more than it saves",
            "use the placement 'pointwise'",
        )


def _check_types(
    node: NodeProto, wiring: Wiring, types: Mapping[str, int], opset: int, version: _Version
) -> Iterator[Finding]:
    """Check the types of one node against the rules of strongly typed networks."""
    from onnx import TensorProto

    from edge_convnext.graph.float16_overflow import leaves_range

    names: dict[int, str] = {
        number: TensorProto.DataType.Name(number).lower()
        for number in (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BFLOAT16)
    }
    for positions in _same_type(node, opset):
        found = {types.get(node.input[position]) for position in positions} & names.keys()
        if len(found) > 1:
            listed = " and ".join(sorted(names[number] for number in found if number is not None))
            yield Finding(
                "mixed-types",
                "error",
                node.name,
                f"it reads {listed}, and TensorRT casts nothing by itself",
                "use stages.to_float16.halve_body on the float32 graph",
            )
            return
    squares = node.op_type not in version.careful and leaves_range(node, wiring)
    if squares and types.get(node.input[0]) == TensorProto.FLOAT16:
        yield Finding(
            "float16-range",
            "warning",
            node.name,
            f"this {node.op_type} computes in float16, whose largest value is 65504",
            "use stages.to_float16.halve_body on the float32 graph: it keeps norms in float32",
        )


def _same_type(node: NodeProto, opset: int) -> list[list[int]]:
    """Return the groups of input positions that ONNX requires to have one type."""
    from onnx import defs

    try:
        formal = defs.get_schema(node.op_type, opset, node.domain).inputs
    except defs.SchemaError:
        return []
    kinds: dict[str, list[int]] = {}
    for position in range(len(node.input)):
        kind = formal[min(position, len(formal) - 1)].type_str
        kinds.setdefault(kind, []).append(position)
    return list(kinds.values())
