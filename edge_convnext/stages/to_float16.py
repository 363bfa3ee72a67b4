"""Halve: give a graph a float16 body, for TensorRT 10 and later and for TensorRT for RTX.

Both build strongly typed networks: every tensor has the type that the file states, and no builder
flag changes it. So the file itself must state which tensors are float16. Norms stay in float32
(`graph.float16_overflow`), and so do quantized operations whose scale float16 can't represent.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from edge_convnext.core.errors import ExportError
from edge_convnext.core.files import AnyPath
from edge_convnext.graph.file import read_proto, set_facts, write_proto
from edge_convnext.graph.float16 import (
    find_floats,
    float32_inputs,
    is_beyond,
    makes_float32,
    round_to_float16,
    saturates,
)
from edge_convnext.graph.float16_numbers import LARGEST, SMALLEST_NORMAL
from edge_convnext.graph.structure import PRODUCTS

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto, ValueInfoProto

    from edge_convnext.core.artifacts import OnnxModel, Precision
    from edge_convnext.graph.qdq import Wiring

__all__ = ["FloatName", "halve_body"]

FloatName = Literal["float32", "float16"]

_PAIR = ("QuantizeLinear", "DequantizeLinear")


def halve_body(model: OnnxModel, output: AnyPath, border: FloatName = "float32") -> OnnxModel:
    """Give a float32 graph a float16 body, with explicit casts and typed Q/DQ.

    A value is cast at most once to each type. It is transposed as float16 if it is float16 on
    either side. A QuantizeLinear reads the existing type, such as float32 after a norm, and its
    DequantizeLinear writes the type that the reader needs. So no cast is between an INT8 operation
    and its operands.

    A scale below 6.1e-5, float16's smallest normal number, would lose most or all of its bits. Its
    operation stays in float32 with both operands; the kernel is still INT8, only the result is
    wider. Every other scale is rounded to float16 in both halves of its pair; otherwise the pair
    would change the magnitude of the values.

    Args:
        model: An FP32 graph, or an INT8 graph with explicit Q/DQ and a float32 body, at opset 20.
            Its images are float32[N, C, H, W], or uint8 (`to_uint8_images`) and stay so.
        output: The file to write the graph to.
        border: Type of the logits[N, num_classes], and of float images.

    Returns:
        The graph; its precision is `fp16`, or still `int8`.

    Raises:
        ExportError: The graph has another opset or float16 in it, or a constant is not finite or
            exceeds float16's range.
        ArtifactError: The file is missing, or not ONNX.

    Source:
        TensorRT, "Working with Quantized Types" and "Strongly Typed Networks"; ONNX operators,
        QuantizeLinear 19; facebookresearch/ConvNeXt#80, facebookresearch/ConvNeXt-V2#66.
    """
    output = Path(output)
    import onnx

    proto = read_proto(model.path)
    try:
        _Halving(proto, border).rewrite()
    except ExportError as error:
        raise ExportError(f"{model.path}: {error}") from None
    precision: Precision = "fp16" if model.precision == "fp32" else model.precision
    set_facts(proto, precision=precision, body="float16")
    onnx.checker.check_model(proto, full_check=True)
    write_proto(proto, output)
    return replace(model, path=output, precision=precision)


class _Halving:
    """The state of rewriting one graph."""

    def __init__(self, proto: ModelProto, border: FloatName) -> None:
        from edge_convnext.graph.float16_overflow import find_wide
        from edge_convnext.graph.qdq import Wiring

        self.proto, self.border = proto, border
        self.wiring = Wiring(proto)
        self.floats = find_floats(proto)
        self.scales = {
            node.output[0]: node.input[1] for node in proto.graph.node if node.op_type in _PAIR
        }
        _raise_idle_scales(proto, self.wiring)
        others = [node for node in proto.graph.node if self._is_wide_here(node)]
        self.wide = find_wide(proto, self.wiring, {node.output[0] for node in others})
        self.types: dict[str, FloatName] = {}  # type of each float value made so far
        self.nodes: list[NodeProto] = []
        self.constants: dict[tuple[str, FloatName], Any] = {}

    def rewrite(self) -> None:
        graph = self.proto.graph
        for value in graph.input:
            if value.name in self.floats:
                self.types[value.name] = self.border
                _set_type(value, self.border)
        for node in graph.node:
            self._retype(node)
            self.nodes.append(node)
        for value in graph.output:
            self._end_with(value)
        del graph.node[:]
        graph.node.extend(self.nodes)
        kept = [tensor for tensor in graph.initializer if tensor.name not in self.floats]
        del graph.initializer[:]
        graph.initializer.extend([*kept, *self.constants.values()])
        graph.ClearField("value_info")

    def _retype(self, node: NodeProto) -> None:
        """Choose the type that a node computes in, and give it its inputs in that type."""
        from onnx import helper

        kind: FloatName = "float32" if self._is_wide(node) else "float16"
        fixed = float32_inputs(node)
        for position, name in enumerate(node.input):
            if name in self.floats:
                wanted = "float32" if position in fixed else kind
                if name in self.wiring.constants:
                    near = saturates(node)
                    node.input[position] = self._constant(name, wanted, saturate=near)
                else:
                    node.input[position] = self._cast(name, wanted)
        for output in self.floats.intersection(node.output):
            self.types[output] = kind
            if node.op_type == "Cast":
                (to,) = (item for item in node.attribute if item.name == "to")
                to.CopyFrom(helper.make_attribute("to", _number(kind)))

    def _is_wide(self, node: NodeProto) -> bool:
        from edge_convnext.graph.float16_overflow import MOVEMENTS

        read = [name for name in node.input if name in self.types]
        comes_wide = all(self.types[name] == "float32" for name in read)
        if node.op_type == "QuantizeLinear":
            return comes_wide or self._is_tiny(self.scales[node.output[0]])
        if node.op_type == "DequantizeLinear":
            tiny = self._is_tiny(self.scales[node.output[0]])
            return tiny or self._wanted_wide(node.output[0])
        if node.op_type in MOVEMENTS or node.op_type == "Cast":
            return comes_wide and all(map(self._wanted_wide, node.output))
        return node.output[0] in self.wide or makes_float32(node)

    def _wanted_wide(self, name: str) -> bool:
        """True if every reader of a value needs float32; a quantizer takes either type."""
        from edge_convnext.graph.float16_overflow import MOVEMENTS

        return all(
            reader.op_type == "QuantizeLinear"
            or reader.output[0] in self.wide
            or (reader.op_type in MOVEMENTS and self._wanted_wide(reader.output[0]))
            for reader in self.wiring.readers.get(name, ())
        )

    def _is_wide_here(self, node: NodeProto) -> bool:
        """True if a node has a tiny scale, casts pixels, or adds numbers beyond float16."""
        if node.op_type == "Cast":
            return node.input[0] not in self.floats
        if node.op_type in ("Add", "Sub"):  # a mask of attention
            return any(is_beyond(self.wiring.value(name)) for name in node.input)
        if node.op_type not in PRODUCTS:
            return False
        pairs = [self.wiring.quantizer(name) for name in node.input]
        return any(pair is not None and self._is_tiny(pair.input[1]) for pair in pairs)

    def _is_tiny(self, scale: str) -> bool:
        value = self.wiring.value(scale)
        return value is not None and bool((value < SMALLEST_NORMAL).any())

    def _constant(self, name: str, kind: FloatName, *, saturate: bool = False) -> str:
        """Return a constant in one type; it is stored twice if both types are needed."""
        from onnx import numpy_helper

        other: FloatName = "float16" if kind == "float32" else "float32"
        fresh = f"{name}.{kind}" if (name, other) in self.constants else name
        if (name, kind) not in self.constants:
            value = np.asarray(self.wiring.value(name))
            is_scale = name in self.scales.values() and not self._is_tiny(name)
            if kind == "float16" and saturate:
                value = np.where(np.isinf(value), value, np.clip(value, -LARGEST, LARGEST))
            elif kind == "float16" or is_scale:
                value = round_to_float16(name, value)
            self.constants[name, kind] = numpy_helper.from_array(value.astype(kind), fresh)
        return str(self.constants[name, kind].name)

    def _cast(self, name: str, kind: FloatName) -> str:
        from onnx import helper

        if self.types[name] == kind:
            return name
        fresh = f"{name}.{kind}"
        if fresh not in self.types:
            self.types[fresh] = kind
            scale = self.scales.get(name)
            if scale is None or self._is_tiny(scale):
                node = helper.make_node("Cast", [name], [fresh], name=fresh, to=_number(kind))
            else:  # a second DequantizeLinear, because a cast would prevent its fusion
                node = helper.make_node("Identity", [], [])
                node.CopyFrom(self.wiring.producer[name])
                node.name, node.output[0] = fresh, fresh
                node.input[1] = self._constant(scale, kind)
            self.nodes.append(node)
        return fresh

    def _end_with(self, value: ValueInfoProto) -> None:
        """Give an output its original name and the type of the border."""
        from onnx import helper

        made = self.types[value.name]
        _set_type(value, self.border)
        if made == self.border:
            return
        inner = f"{value.name}.{made}"
        for node in self.nodes:
            for names in (node.input, node.output):
                names[:] = [inner if name == value.name else name for name in names]
        cast = helper.make_node(
            "Cast", [inner], [value.name], name=f"{value.name}/Cast", to=_number(self.border)
        )
        self.nodes.append(cast)


def _raise_idle_scales(proto: ModelProto, wiring: Wiring) -> None:
    """Replace tiny scales that multiply only zeros, such as those of pruned channels."""
    from onnx import numpy_helper

    for node in proto.graph.node:
        if node.op_type != "DequantizeLinear" or node.input[0] not in wiring.constants:
            continue
        values, scale = (np.asarray(wiring.value(name)) for name in node.input[:2])
        axis = next((item.i for item in node.attribute if item.name == "axis"), 1)
        kept = axis % max(values.ndim, 1) if scale.ndim else None
        others = tuple(one for one in range(values.ndim) if one != kept)
        idle = (scale < SMALLEST_NORMAL) & ~values.any(axis=others)
        if idle.any() and wiring.is_private(node.input[1]):
            raised = np.where(idle, scale.dtype.type(SMALLEST_NORMAL), scale)
            tensor = wiring.constants[node.input[1]]
            tensor.CopyFrom(numpy_helper.from_array(raised, tensor.name))


def _number(kind: FloatName) -> int:
    from onnx import helper

    return helper.np_dtype_to_tensor_dtype(np.dtype(kind))


def _set_type(value: ValueInfoProto, kind: FloatName) -> None:
    value.type.tensor_type.elem_type = _number(kind)
