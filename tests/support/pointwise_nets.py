"""Small networks with 1x1 convolutions, or with products on [N, H, W, C], and how they are run."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from support.tiny_qdq import Builder

if TYPE_CHECKING:
    from onnx import ModelProto

SIZE = 8


def draw(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng((*shape, seed)).standard_normal(shape).astype(np.float32)


class Net(Builder):
    """A network that begins with 3x3 convolution of 6 channels, whose output is `stem`."""

    def __init__(self) -> None:
        super().__init__()
        self.conv("images", "stem", 3, 6, side=3)

    def conv(self, x: str, name: str, read: int, made: int, *, side: int = 1, bias: bool = True,
             **attributes: Any) -> str:  # fmt: skip
        groups = attributes.get("group", 1)
        names = [x, self.constant(f"{name}.weight", draw(made, read // groups, side, side))]
        names += [self.constant(f"{name}.bias", draw(made))] if bias else []
        if side > 1:
            attributes |= {"pads": [side // 2] * 4}
        return self.node("Conv", names, name, **attributes)

    def depthwise(self, x: str, name: str, channels: int = 6) -> str:
        return self.conv(x, name, channels, channels, side=3, group=channels)

    def linear(self, x: str, name: str, read: int, made: int, *, bias: bool = True) -> str:
        weight = self.constant(f"{name}.weight", draw(read, made))
        if not bias:
            return self.node("MatMul", [x, weight], name)
        product = self.node("MatMul", [x, weight], f"{name}_product")
        return self.node("Add", [product, self.constant(f"{name}.bias", draw(made))], name)

    def last(self, x: str, name: str) -> str:
        return self.node("Transpose", [x], name, perm=[0, 2, 3, 1])

    def first(self, x: str, name: str) -> str:
        return self.node("Transpose", [x], name, perm=[0, 3, 1, 2])

    def norm(self, x: str, name: str, channels: int = 6, *, axis: int = -1) -> str:
        scale, shift = (self.constant(f"{name}.{one}", draw(channels)) for one in ("g", "b"))
        return self.node("LayerNormalization", [x, scale, shift], name, axis=axis)

    def head(self, x: str, channels: int = 6) -> ModelProto:
        x = self.node("GlobalAveragePool", [x], "pool")
        x = self.node("Flatten", [x], "flat")
        names = [x, self.constant("wh", draw(4, channels)), self.constant("bh", draw(4))]
        return self.done(self.node("Gemm", names, "logits", transB=1))

    def done(self, output: str, rank: int = 2, sides: tuple[Any, Any] = (SIZE, SIZE)) -> ModelProto:
        return self.model({"images": ["batch", 3, *sides]}, output, rank)


IMAGES = draw(2, 3, SIZE, SIZE)


def run(proto: ModelProto, images: np.ndarray = IMAGES) -> list[np.ndarray]:
    """All outputs, in ONNX Runtime."""
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        proto.SerializeToString(), settings, providers=["CPUExecutionProvider"]
    )
    return list(session.run(None, {proto.graph.input[0].name: images}))


def error(before: ModelProto, after: ModelProto, images: np.ndarray = IMAGES) -> float:
    """Largest difference of any output, of the largest value."""
    pairs = list(zip(run(before, images), run(after, images), strict=True))
    assert all(one.shape == other.shape for one, other in pairs)
    return max(float(np.abs(one - other).max() / np.abs(one).max()) for one, other in pairs)


def count(proto: ModelProto, *kinds: str) -> tuple[int, ...]:
    """How many nodes there are of some types."""
    found = Counter(node.op_type for node in proto.graph.node)
    return tuple(found[kind] for kind in kinds)
