"""A network with features that are concatenated before a convolution, as MobileViT has them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import onnx

from edge_convnext.graph.qdq import Wiring
from edge_convnext.graph.remedies import unsign_concats
from edge_convnext.networks import family as table
from edge_convnext.networks.translation import Translation
from edge_convnext.stages import quantize
from support.toy_family import ToyFamily, ToyShape

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    import pytest
    from torch import Tensor, nn

    from edge_convnext.core.artifacts import FormName, NetworkShape, OnnxModel, Weights
    from edge_convnext.core.image_size import ImageSize
    from edge_convnext.networks.protocol import NetworkFamily

NAME, MODEL = "concat", "concat_net"


@dataclass(frozen=True)
class ConcatShape(ToyShape):
    family: str = NAME
    name: str = MODEL


def make_net(shape: NetworkShape) -> nn.Module:
    """Two branches without an activation, concatenated for a 3x3 convolution."""
    import torch
    from torch import nn

    class ConcatNet(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem = nn.Conv2d(shape.in_channels, 8, 3, stride=2, padding=1)
            self.left, self.right = nn.Conv2d(8, 8, 1), nn.Conv2d(8, 8, 3, padding=1)
            self.fused = nn.Conv2d(16, 16, 3, stride=2, padding=1)
            self.head = nn.Linear(16, shape.num_classes)

        def forward(self, images: Tensor) -> Tensor:
            stem = torch.relu(self.stem(images))
            both = torch.cat((self.left(stem), self.right(stem)), 1)
            result: Tensor = self.head(torch.relu(self.fused(both)).mean((2, 3)))
            return result

    return ConcatNet()


class ConcatFamily(ToyFamily):
    label = "Concat"
    models = (MODEL,)
    short_names = ("cat",)

    def full_name(self, name: str) -> str | None:
        return MODEL if name in ("cat", MODEL) else None

    def first_convolution(self, shape: NetworkShape) -> str:
        return "stem.weight"

    def classifier(self, shape: NetworkShape) -> tuple[str, ...]:
        return ("head.",)

    def find(self, name: str, num_classes: int = 1000, in_channels: int = 3) -> ToyShape | None:
        return ConcatShape(num_classes, in_channels) if name in ("cat", MODEL) else None

    def short_name(self, model: str) -> str:
        return "cat"

    def translate(
        self, checkpoint: object, source: str, headless: bool = False, model: str | None = None
    ) -> Translation:
        assert isinstance(checkpoint, dict)
        state: dict[str, Tensor] = {name: checkpoint[name].float() for name in sorted(checkpoint)}
        shape = ConcatShape(len(state["head.bias"]), state["stem.weight"].shape[1])
        return Translation(state, shape, "ours", (), head="head")

    def draw(self, shape: NetworkShape, seed: int) -> dict[str, Tensor]:
        import torch

        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return make_net(shape).state_dict()

    def build(self, weights: Weights, form: FormName, shown: Iterable[Tensor] = ()) -> nn.Module:
        from edge_convnext.networks.tensors import read_state

        network = make_net(weights.architecture)
        network.load_state_dict(read_state(weights.path))
        return network.eval()

    def make_trainable(
        self, shape: NetworkShape, drop_path: float, image_size: ImageSize = 224
    ) -> nn.Module:
        return make_net(shape)


FAMILY: NetworkFamily = ConcatFamily()


def install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Know this family until the test is over."""
    monkeypatch.setitem(table.FAMILIES, NAME, __name__)


def sign_what_is_concatenated(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make pairs behind a Concat signed, as other tools do, whatever this package quantizes."""
    _change_quantized(monkeypatch, _sign)


def unsign_what_is_concatenated(monkeypatch: pytest.MonkeyPatch) -> None:
    """Apply the remedy."""
    _change_quantized(monkeypatch, unsign_concats)


def _change_quantized(
    monkeypatch: pytest.MonkeyPatch, change: Callable[[onnx.ModelProto], object]
) -> None:
    real = quantize.quantize

    def changed(*given: Any, **named: Any) -> OnnxModel:
        made = real(*given, **named)
        proto = onnx.load(str(made.path))
        change(proto)
        onnx.save(proto, str(made.path))
        return made

    monkeypatch.setattr(quantize, "quantize", changed)


def _sign(proto: onnx.ModelProto) -> None:
    wiring = Wiring(proto)
    for node in proto.graph.node:
        source = wiring.producer.get(node.input[0])
        if node.op_type != "QuantizeLinear" or source is None or source.op_type != "Concat":
            continue
        scale, zero = wiring.value(node.input[1]), wiring.value(node.input[2])
        assert scale is not None
        assert zero is not None
        offset = 0 if zero.dtype == np.int8 else 128
        fresh = onnx.numpy_helper.from_array(
            np.asarray(zero.astype(np.int16) - offset, np.int8), f"{node.name}.signed"
        )
        proto.graph.initializer.append(fresh)
        for one in (node, *wiring.readers[node.output[0]]):
            one.input[2] = fresh.name
        del proto.graph.value_info[:]
