"""An ONNX graph as a torch module: the same operations, with weights that can learn.

Recovery trains the very graph that ships. Pairs of QuantizeLinear and DequantizeLinear become
torch's fake quantization. Its scale learns with the weights (LSQ). After training, the constants go
back into the same graph, node for node.

Source: Learned Step Size Quantization, arXiv 1902.08153; ONNX operators.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from onnx import helper, numpy_helper
from torch import Tensor, nn
from torch.nn import functional

from edge_convnext.core.errors import ArtifactError
from edge_convnext.graph.qdq import WEIGHTED_OPS, Wiring

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

__all__ = ["GraphModule", "write_back"]

_WEIGHT_MAX = 127  # symmetric: -128 is not used
_TINY = 1e-12  # smallest scale
_LIMITS = {np.dtype(np.int8): (-128, 127), np.dtype(np.uint8): (0, 255)}
Run = Callable[..., Tensor]


class GraphModule(nn.Module):
    """A graph of this package's export, float or Q/DQ.

    Images float32[N, C, H, W] to logits float32[N, num_classes]. Parameters are the float
    constants of products, normalizations and scales, and the scale of every quantizer.

    Args:
        proto: The graph.
        reference: Float graph that a Q/DQ graph was made from. Quantized weights start from its
            weights instead of from rounded ones.

    Raises:
        ArtifactError: The graph has an operation that builds do not write.
    """

    def __init__(self, proto: ModelProto, reference: ModelProto | None = None) -> None:
        super().__init__()
        wiring = Wiring(proto)
        self._input = proto.graph.input[0].name
        # 0 where it is dynamic. A fixed batch is part of the shapes, and training has another.
        self._batch = proto.graph.input[0].type.tensor_type.shape.dim[0].dim_value
        self._output = proto.graph.output[0].name
        self._constants: dict[str, Tensor] = {}
        self.slots: dict[str, str] = {}  # parameter by initializer
        self.learned = nn.ParameterDict()
        self.scales: set[str] = set()  # slots of quantizers' scales
        originals = _weights_of(reference) if reference is not None else {}
        self._steps = [
            self._make_step(node, wiring, originals)
            for node in proto.graph.node
            if node.op_type != "QuantizeLinear" or wiring.value(node.input[0]) is None
        ]

    def forward(self, images: Tensor) -> Tensor:
        """Classify a batch of preprocessed images."""
        values: dict[str, Tensor] = {self._input: images}
        for run, names, output in self._steps:
            values[output] = run(*(self._value(name, values) for name in names))
        return values[self._output]

    def parameters_of(self, *, scales: bool) -> list[nn.Parameter]:
        """The scales of quantizers, or everything else that learns."""
        return [
            parameter for slot, parameter in self.learned.items() if (slot in self.scales) == scales
        ]

    def _value(self, name: str, values: dict[str, Tensor]) -> Tensor:
        if name in values:
            return values[name]
        slot = self.slots.get(name)
        return self._constants[name] if slot is None else self.learned[slot]

    def _make_step(
        self, node: NodeProto, wiring: Wiring, originals: dict[str, Tensor]
    ) -> tuple[Run, list[str], str]:
        attributes = {item.name: helper.get_attribute_value(item) for item in node.attribute}
        names = list(node.input)
        if node.op_type == "QuantizeLinear":  # the pair is one step, at its second half
            return (lambda value: value), names[:1], node.output[0]
        if node.op_type == "DequantizeLinear":
            return self._make_quantizer(node, wiring, attributes, originals)
        make = _OPERATIONS.get(node.op_type)
        if make is None:
            raise ArtifactError(
                f"{node.name}: {node.op_type} can't be trained; pass a graph that "
                "`edge-convnext build` wrote"
            )
        for position, name in enumerate(names):
            self._register(name, wiring, learn=_learns(node, position))
        shapes = [wiring.value(name) for name in names]
        sizes = shapes[1] if node.op_type == "Reshape" else None
        if sizes is not None and self._batch and sizes[0] == self._batch:
            shapes[1] = np.array([0, *sizes[1:]])  # 0: as many as there are
        return make(attributes, shapes), names, node.output[0]

    def _make_quantizer(
        self,
        node: NodeProto,
        wiring: Wiring,
        attributes: dict[str, Any],
        originals: dict[str, Tensor],
    ) -> tuple[Run, list[str], str]:
        scale_name, zero_name = node.input[1:3]
        self._add(scale_name, torch.from_numpy(np.array(wiring.value(scale_name))))
        self.scales.add(self.slots[scale_name])
        weight = wiring.value(node.input[0])
        if weight is None:
            zero = wiring.value(zero_name)
            assert zero is not None  # this package always writes it
            low, high = _LIMITS[zero.dtype]
            point = torch.tensor([float(zero)])

            def activation(value: Tensor, scale: Tensor) -> Tensor:
                rounded: Tensor = torch._fake_quantize_learnable_per_tensor_affine(
                    value, scale.reshape(1), point, low, high, _gain(value, high)
                )
                return rounded

            return activation, [node.input[0], scale_name], node.output[0]
        axis = int(attributes.get("axis", 1)) % max(weight.ndim, 1)
        scale = wiring.value(scale_name)
        assert scale is not None  # a constant, like the weight
        start = originals.get(_reader(node, wiring))
        if start is None:
            shape = [-1 if at == axis else 1 for at in range(weight.ndim)]
            start = torch.from_numpy(weight.astype(np.float32) * scale.reshape(shape))
        self._add(node.input[0], start)
        channels = weight.shape[axis]
        zeros = torch.zeros(channels)

        def fake(value: Tensor, factors: Tensor) -> Tensor:
            each = factors.expand(channels)  # of one scale for the whole tensor, too
            rounded: Tensor = torch._fake_quantize_learnable_per_channel_affine(
                value, each, zeros, axis, -_WEIGHT_MAX, _WEIGHT_MAX, _gain(value, _WEIGHT_MAX)
            )
            return rounded

        return fake, [node.input[0], scale_name], node.output[0]

    def _register(self, name: str, wiring: Wiring, *, learn: bool) -> None:
        value = wiring.value(name)
        if value is None or name in self._constants or name in self.slots:
            return
        tensor = torch.from_numpy(np.array(value))
        if learn and tensor.is_floating_point() and tensor.numel() > 1:  # no epsilon
            self._add(name, tensor)
        else:
            self._constants[name] = tensor

    def _add(self, name: str, tensor: Tensor) -> None:
        if name in self.slots:
            return
        slot = str(len(self.slots))  # initializer names have dots, which torch forbids
        self.slots[name] = slot
        self.learned[slot] = nn.Parameter(tensor.clone())


def write_back(module: GraphModule, proto: ModelProto) -> ModelProto:
    """Put trained constants into a copy of the graph that the module was made from."""
    result = type(proto)()
    result.CopyFrom(proto)
    wiring = Wiring(result)
    with torch.no_grad():
        for name, slot in module.slots.items():
            tensor = wiring.constants[name]
            old = numpy_helper.to_array(tensor)
            value = module.learned[slot].detach()
            if slot in module.scales:
                value = value.clamp(min=_TINY)  # a step can make a tiny scale negative
            if old.dtype == np.int8:
                value = _round_weight(module, wiring, name, value)
            fresh = value.numpy().astype(old.dtype).reshape(old.shape)
            tensor.CopyFrom(numpy_helper.from_array(fresh, name))
    return result


def _round_weight(module: GraphModule, wiring: Wiring, name: str, value: Tensor) -> Tensor:
    (node,) = wiring.readers[name]
    axis = next((item.i for item in node.attribute if item.name == "axis"), 1) % value.dim()
    scale = module.learned[module.slots[node.input[1]]].detach().clamp(min=_TINY)
    shape = [-1 if at == axis else 1 for at in range(value.dim())]
    return torch.clamp(torch.round(value / scale.reshape(shape)), -_WEIGHT_MAX, _WEIGHT_MAX)


def _weights_of(reference: ModelProto) -> dict[str, Tensor]:
    wiring = Wiring(reference)
    return {
        node.name: torch.from_numpy(np.array(weight))
        for node in reference.graph.node
        if node.op_type in WEIGHTED_OPS
        if (weight := wiring.value(node.input[1])) is not None
    }


def _reader(node: NodeProto, wiring: Wiring) -> str:
    readers = wiring.readers.get(node.output[0], [])
    return readers[0].name if readers else ""


def _learns(node: NodeProto, position: int) -> bool:
    """Weights, biases, and the constants of norms and GRN."""
    if node.op_type in WEIGHTED_OPS:
        return position > 0  # the first of a sum over positions are ones
    return node.op_type in ("LayerNormalization", "Add", "Mul")


def _gain(value: Tensor, high: int) -> float:
    """LSQ's gain: it makes a scale's step as large as that of the values that it scales."""
    return float(1.0 / np.sqrt(value.numel() * high))


def _pairs(pads: list[int]) -> list[int]:
    return list(pads[: len(pads) // 2]) if pads else []


def _conv(attributes: dict[str, Any], _values: list[Any]) -> Run:
    padding = _pairs(attributes.get("pads", []))
    return lambda x, weight, bias=None: functional.conv2d(
        x,
        weight,
        bias,
        attributes.get("strides", 1),
        padding or 0,
        groups=attributes.get("group", 1),
    )


def _gemm(attributes: dict[str, Any], _values: list[Any]) -> Run:
    transposed = bool(attributes.get("transB"))
    return lambda x, weight, bias: x @ (weight.t() if transposed else weight) + bias


def _layer_norm(attributes: dict[str, Any], _values: list[Any]) -> Run:
    epsilon = float(attributes.get("epsilon", 1e-5))
    return lambda x, weight, bias=None: functional.layer_norm(
        x, weight.shape, weight, bias, epsilon
    )


def _gelu(attributes: dict[str, Any], _values: list[Any]) -> Run:
    approximate = attributes.get("approximate", b"none").decode()
    return lambda x: functional.gelu(x, approximate=approximate)


def _reduce(function: Callable[..., Tensor]) -> Callable[[dict[str, Any], list[Any]], Run]:
    def make(attributes: dict[str, Any], values: list[Any]) -> Run:
        axes = tuple(int(axis) for axis in (values[1] if len(values) > 1 else attributes["axes"]))
        keep = bool(attributes.get("keepdims", 1))
        return lambda x, *_: function(x, dim=axes, keepdim=keep)

    return make


def _reshape(_attributes: dict[str, Any], values: list[Any]) -> Run:
    sizes = [int(size) for size in values[1]]

    def run(x: Tensor, *_: Tensor) -> Tensor:
        return x.reshape([x.shape[at] if size == 0 else size for at, size in enumerate(sizes)])

    return run


def _slice(_attributes: dict[str, Any], values: list[Any]) -> Run:
    starts, ends, axes = (values[at].tolist() for at in (1, 2, 3))

    def run(x: Tensor, *_: Tensor) -> Tensor:
        for start, end, axis in zip(starts, ends, axes, strict=True):
            x = x.narrow(axis, start, min(end, x.shape[axis]) - start)
        return x

    return run


def _squeeze(_attributes: dict[str, Any], values: list[Any]) -> Run:
    axes = tuple(int(axis) for axis in values[1])
    return lambda x, *_: x.squeeze(axes)


def _unsqueeze(_attributes: dict[str, Any], values: list[Any]) -> Run:
    axes = sorted(int(axis) for axis in values[1])

    def run(x: Tensor, *_: Tensor) -> Tensor:
        for axis in axes:
            x = x.unsqueeze(axis)
        return x

    return run


def _sqrt(x: Tensor) -> Tensor:
    """Square root with a finite slope at 0: GRN takes the root of channels that are zero."""
    return torch.sqrt(x.clamp(min=_TINY**2))


def _div(x: Tensor, divisor: Tensor) -> Tensor:
    return x * _reciprocal(divisor)


def _reciprocal(x: Tensor) -> Tensor:
    """Reciprocal with a finite slope at a 0 from quantization; the next quantizer clamps it."""
    return torch.reciprocal(x.masked_fill(x == 0, _TINY))


def _plain(function: Callable[..., Tensor]) -> Callable[[dict[str, Any], list[Any]], Run]:
    return lambda _attributes, _values: function


_OPERATIONS: dict[str, Callable[[dict[str, Any], list[Any]], Run]] = {
    "Add": _plain(torch.add),
    "Conv": _conv,
    "Div": _plain(_div),
    "Erf": _plain(torch.erf),  # of GELU, below opset 20
    "Gelu": _gelu,
    "Gemm": _gemm,
    "Identity": _plain(torch.clone),
    "LayerNormalization": _layer_norm,
    "MatMul": _plain(torch.matmul),
    "Mul": _plain(torch.mul),
    "Reciprocal": _plain(_reciprocal),
    "ReduceL2": _reduce(torch.linalg.vector_norm),
    "ReduceMean": _reduce(torch.mean),
    "Relu": _plain(torch.relu),  # clamps a variance to zero
    "Reshape": _reshape,
    "Slice": _slice,
    "Sqrt": _plain(_sqrt),
    "Squeeze": _squeeze,
    "Sub": _plain(torch.sub),
    "Transpose": lambda attributes, _values: lambda x: x.permute(attributes["perm"]),
    "Unsqueeze": _unsqueeze,
}
