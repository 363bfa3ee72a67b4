"""An ONNX graph as a torch module: the same operations, with weights that can learn.

Recovery trains the very graph that ships. Pairs of QuantizeLinear and DequantizeLinear become
torch's fake quantization. Its scale learns with the weights (LSQ). After training, the constants go
back into the same graph, node for node.

Source: Learned Step Size Quantization, arXiv 1902.08153; ONNX operators.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from edge_convnext.core.errors import UntrainableError, shorten
from edge_convnext.graph.affine import TINY, WEIGHT_MAX
from edge_convnext.graph.qdq import Wiring
from edge_convnext.graph.structure import PRODUCTS
from edge_convnext.graph.torch_operations.table import make_operation

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from onnx import ModelProto, NodeProto

    from edge_convnext.graph.torch_operations.interface import Run

__all__ = ["GraphModule", "write_back"]

_LIMITS = {np.dtype(np.int8): (-128, 127), np.dtype(np.uint8): (0, 255)}
# Operations beside products whose constants learn, and which of their inputs those are.
_LEARNING: dict[str, tuple[int, ...]] = {
    "Add": (0, 1), "BatchNormalization": (1, 2), "GroupNormalization": (1, 2),
    "InstanceNormalization": (1, 2), "LayerNormalization": (0, 1, 2), "Mul": (0, 1), "PRelu": (1,),
    "RMSNormalization": (1,),
}  # fmt: skip


@dataclass(frozen=True)
class _Step:
    """One operation as it runs."""

    name: str  # of the node
    run: Run
    inputs: tuple[str, ...]  # empty: one that is left out
    outputs: tuple[str, ...]


class GraphModule(nn.Module):
    """A graph of this package's export, float or Q/DQ.

    Images float32[N, C, H, W] to logits float32[N, num_classes]. Parameters are the float
    constants of products, normalisations and scales, and the scale of every quantizer.

    Args:
        proto: The graph.
        reference: Float graph that a Q/DQ graph was made from. Quantized weights start from its
            weights instead of from rounded ones.

    Raises:
        UntrainableError: The graph has an operation that has no form in torch here.
    """

    def __init__(self, proto: ModelProto, reference: ModelProto | None = None) -> None:
        super().__init__()
        wiring = Wiring(proto)
        self._input = proto.graph.input[0].name
        # 0 where it is dynamic. A fixed batch is part of the shapes, and training has another.
        self._batch = proto.graph.input[0].type.tensor_type.shape.dim[0].dim_value
        self._at_a_time = 0 if _keeps_images_first(proto, wiring) else self._batch
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
        """Classify a batch of preprocessed images.

        Raises:
            UntrainableError: An operation of it can't take a batch of this size.
        """
        size = self._at_a_time
        if size and size != len(images) and len(images) % size == 0:
            return torch.cat([self._classify(piece) for piece in torch.split(images, size)])
        return self._classify(images)

    def _classify(self, images: Tensor) -> Tensor:
        values: dict[str, Tensor] = {self._input: images}
        for step in self._steps:
            inputs = [self._value(name, values) for name in step.inputs]
            try:
                made = step.run(*inputs)
            except RuntimeError as error:
                reason = shorten(str(error).partition("\n")[0])
                raise UntrainableError(
                    f"{step.name}: can't be trained with {len(images)} images ({reason})"
                ) from error
            outputs = (made,) if isinstance(made, Tensor) else made
            values.update(zip(step.outputs, outputs, strict=True))
        return values[self._output]

    def parameters_of(self, *, scales: bool) -> list[nn.Parameter]:
        """The scales of quantizers, or everything else that learns."""
        return [
            parameter for slot, parameter in self.learned.items() if (slot in self.scales) == scales
        ]

    def _value(self, name: str, values: dict[str, Tensor]) -> Tensor | None:
        if not name:
            return None
        if name in values:
            return values[name]
        slot = self.slots.get(name)
        return self._constants[name] if slot is None else self.learned[slot]

    def _make_step(self, node: NodeProto, wiring: Wiring, originals: dict[str, Tensor]) -> _Step:
        names, outputs = tuple(node.input), tuple(node.output)
        if node.op_type == "QuantizeLinear":  # the pair is one step, at its second half
            return _Step(node.name, lambda value: value, names[:1], outputs)
        if node.op_type == "DequantizeLinear" and (bias := _stored_bias(node, wiring)) is not None:
            return _Step(node.name, lambda: bias, (), outputs)
        if node.op_type == "DequantizeLinear":
            run = self._make_quantizer(node, wiring, originals)
            return _Step(node.name, run, names[:2], outputs)
        run = make_operation(node, self._constants_of(node, wiring))
        for position, name in enumerate(names):
            self._register(name, wiring, learn=_learns(node, position))
        return _Step(node.name, run, names, outputs)

    def _constants_of(self, node: NodeProto, wiring: Wiring) -> list[NDArray[Any] | None]:
        """Constant inputs, shapes of one batch made those of any."""
        constants = [wiring.value(name) for name in node.input]
        sizes = constants[1] if node.op_type == "Reshape" else None
        if sizes is None or not self._batch or self._at_a_time or not len(sizes):
            return constants
        if sizes[0] == self._batch:
            constants[1] = np.array([0, *sizes[1:]])  # 0: as many as there are
        return constants

    def _make_quantizer(self, node: NodeProto, wiring: Wiring, originals: dict[str, Tensor]) -> Run:
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

            return activation
        axis = _axis(node) % max(weight.ndim, 1)
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
                value, each, zeros, axis, -WEIGHT_MAX, WEIGHT_MAX, _gain(value, WEIGHT_MAX)
            )
            return rounded

        return fake

    def _register(self, name: str, wiring: Wiring, *, learn: bool) -> None:
        value = wiring.value(name)
        if value is None or name in self._constants or name in self.slots:
            return
        tensor = torch.from_numpy(np.array(value))
        # No epsilon, and no mask: what is infinite can't move.
        if learn and tensor.is_floating_point() and tensor.numel() > 1 and tensor.isfinite().all():
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
                value = value.clamp(min=TINY)  # a step can make a tiny scale negative
            if old.dtype == np.int8:
                value = _round_weight(module, wiring, name, value)
            fresh = value.numpy().astype(old.dtype).reshape(old.shape)
            tensor.CopyFrom(numpy_helper.from_array(fresh, name))
    return result


def _round_weight(module: GraphModule, wiring: Wiring, name: str, value: Tensor) -> Tensor:
    node = wiring.readers[name][0]  # two products may share a weight
    axis = _axis(node) % value.dim()
    scale = module.learned[module.slots[node.input[1]]].detach().clamp(min=TINY)
    shape = [-1 if at == axis else 1 for at in range(value.dim())]
    return torch.clamp(torch.round(value / scale.reshape(shape)), -WEIGHT_MAX, WEIGHT_MAX)


def _keeps_images_first(proto: ModelProto, wiring: Wiring) -> bool:
    """Whether the first axis of each value is that of the images, or the batch is dynamic.

    Windows and heads of attention are mixed with the images there. The sizes that a fixed batch
    leaves in such a graph are right for that batch alone.
    """
    batch = proto.graph.input[0].type.tensor_type.shape.dim[0].dim_value
    return not batch or all(_keeps_first_axis(node, wiring, batch) for node in proto.graph.node)


def _keeps_first_axis(node: NodeProto, wiring: Wiring, batch: int) -> bool:
    if node.op_type == "Transpose":
        return any(item.name == "perm" and item.ints[0] == 0 for item in node.attribute)
    if node.op_type not in ("Reshape", "Expand") or node.input[0] in wiring.constants:
        return True
    sizes = wiring.value(node.input[1])
    return sizes is not None and len(sizes) > 0 and sizes[0] in (0, batch)


def _weights_of(reference: ModelProto) -> dict[str, Tensor]:
    wiring = Wiring(reference)
    return {
        node.name: torch.from_numpy(np.array(weight))
        for node in reference.graph.node
        if node.op_type in PRODUCTS
        if (weight := wiring.value(node.input[1])) is not None
    }


def _stored_bias(node: NodeProto, wiring: Wiring) -> Tensor | None:
    """The floats of a bias in 32 bits, which is far finer than what learns; else None."""
    value, scale = wiring.value(node.input[0]), wiring.value(node.input[1])
    if value is None or scale is None or value.dtype != np.int32:
        return None
    return torch.from_numpy((value * scale.astype(np.float64)).astype(np.float32))


def _axis(node: NodeProto) -> int:
    """The axis of a DequantizeLinear's scales."""
    return next((item.i for item in node.attribute if item.name == "axis"), 1)


def _reader(node: NodeProto, wiring: Wiring) -> str:
    readers = wiring.readers.get(node.output[0], [])
    return readers[0].name if readers else ""


def _learns(node: NodeProto, position: int) -> bool:
    """Weights, biases, and the constants of norms and GRN."""
    if node.op_type in PRODUCTS:
        return position > 0  # the first of a sum over positions are ones
    return position in _LEARNING.get(node.op_type, ())


def _gain(value: Tensor, high: int) -> float:
    """LSQ's gain: it makes a scale's step as large as that of the values that it scales."""
    return float(1.0 / np.sqrt(value.numel() * high))
