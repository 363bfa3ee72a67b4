"""ONNX files as users of other tools have them: small classifiers in every dress."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["CLASSES", "SIZE", "Own", "run_file"]

SIZE, CLASSES, WIDTH = 16, 5, 8


@dataclass
class Own:
    """One file: what differs from tool to tool."""

    opset: int = 17
    nhwc: bool = False
    batch: int | None = None
    size: int | tuple[int, int] | None = SIZE
    channels: int = 3
    uint8: bool = False
    front: tuple[tuple[str, Any], ...] = ()  # operations on the images: ("Div", 255.0)
    turn_late: bool = False  # the front works before the Transpose
    activation: str = "hardswish"
    norm: bool = True
    tail: tuple[str, ...] = ()
    outputs: int = CLASSES
    prefix: str = "StatefulPartitionedCall/model/"
    nodes: list[Any] = field(default_factory=list)
    weights: list[Any] = field(default_factory=list)
    counter: int = 0

    def constant(self, values: Any, kind: Any = np.float32) -> str:
        """A weight, by a name that only tools like."""
        self.counter += 1
        name = f"{self.prefix}const:{self.counter}"
        self.weights.append(numpy_helper.from_array(np.asarray(values, kind), name))
        return name

    def add(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """An operation; its output."""
        self.counter += 1
        name = f"{self.prefix}{kind};{self.counter}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def clip(self, value: str, low: float, high: float) -> str:
        """Clip, which had attributes before opset 11."""
        if self.opset < 11:
            return self.add("Clip", value, min=low, max=high)
        return self.add("Clip", value, self.constant(low), self.constant(high))

    def activate(self, value: str) -> str:
        """One of the written-out activations."""
        if self.activation == "hardswish":
            raised = self.clip(self.add("Add", value, self.constant(3.0)), 0.0, 6.0)
            return self.add("Div", self.add("Mul", value, raised), self.constant(6.0))
        if self.activation == "gelu":
            inner = self.add("Erf", self.add("Div", value, self.constant(2**0.5)))
            raised = self.add("Add", inner, self.constant(1.0))
            return self.add("Mul", self.add("Mul", value, raised), self.constant(0.5))
        if self.activation == "tanh":
            cube = self.add("Pow", value, self.constant(3.0))
            inner = self.add("Add", value, self.add("Mul", self.constant(0.044715), cube))
            bent = self.add("Tanh", self.add("Mul", inner, self.constant((2 / np.pi) ** 0.5)))
            raised = self.add("Add", self.constant(1.0), bent)
            return self.add("Mul", self.add("Mul", self.constant(0.5), value), raised)
        if self.activation == "silu":
            exp = self.add("Exp", self.add("Neg", value))
            return self.add("Div", value, self.add("Add", exp, self.constant(1.0)))
        return self.add("Relu", value)

    def mean(self, value: str, axis: int) -> str:
        """ReduceMean, whose axes became an input with opset 18."""
        if self.opset < 18:
            return self.add("ReduceMean", value, axes=[axis], keepdims=1)
        return self.add("ReduceMean", value, self.constant([axis], np.int64), keepdims=1)

    def layer_norm(self, value: str, width: int) -> str:
        """Written out, as before opset 17."""
        centred = self.add("Sub", value, self.mean(value, -1))
        variance = self.mean(self.add("Mul", centred, centred), -1)
        deviation = self.add("Sqrt", self.add("Add", variance, self.constant(1e-5)))
        normal = self.add("Div", centred, deviation)
        random = np.random.default_rng(5)
        gained = self.add("Mul", normal, self.constant(random.uniform(0.5, 2, width)))
        return self.add("Add", gained, self.constant(random.standard_normal(width)))

    def make(self) -> onnx.ModelProto:
        """The model."""
        random = np.random.default_rng(3)
        value = "input:0"
        for kind, number in self.front if self.turn_late else ():
            value = self._front(kind, number, value)
        if self.nhwc:
            value = self.add("Transpose", value, perm=[0, 3, 1, 2])
        for kind, number in () if self.turn_late else self.front:
            value = self._front(kind, number, value)
        kernel = self.constant(random.standard_normal((WIDTH, self.channels, 3, 3)) / 4)
        value = self.add("Conv", value, kernel, strides=[2, 2], pads=[1, 1, 1, 1])
        if self.norm:
            rows = [random.uniform(0.5, 2, WIDTH) for _ in range(4)]
            value = self.add("BatchNormalization", value, *map(self.constant, rows), epsilon=1e-3)
        value = self.activate(value)
        kernel = self.constant(random.standard_normal((WIDTH, 1, 3, 3)) / 3)
        value = self.add("Conv", value, kernel, group=WIDTH, pads=[1, 1, 1, 1])
        value = self.add("GlobalAveragePool", self.activate(value))
        value = self.add("Reshape", value, self.constant([-1, WIDTH], np.int64))
        if self.activation == "gelu":
            value = self.layer_norm(value, WIDTH)
        weight = self.constant(random.standard_normal((WIDTH, self.outputs)))
        value = self.add("Add", self.add("MatMul", value, weight), self.constant(
            random.standard_normal(self.outputs)))  # fmt: skip
        return self._close(value)

    def _front(self, kind: str, number: Any, value: str) -> str:
        if kind == "Cast":
            return self.add("Cast", value, to=TensorProto.FLOAT)
        return self.add(kind, value, self.constant(number))

    def _close(self, value: str) -> onnx.ModelProto:
        kind, shape = TensorProto.FLOAT, [self.batch or "N", self.outputs]
        for name in self.tail:
            if name == "ArgMax":
                value = self.add("ArgMax", value, axis=1, keepdims=0)
                kind, shape = TensorProto.INT64, [self.batch or "N"]
            elif name in ("Softmax", "LogSoftmax"):
                value = self.add(name, value, axis=1)
            else:
                value = self.add(name, value)
        height, width = self.size if isinstance(self.size, tuple) else (self.size,) * 2
        sides = [height or "height", width or "width"]
        images = [*sides, self.channels] if self.nhwc else [self.channels, *sides]
        graph = helper.make_graph(
            self.nodes, "main_graph",
            [helper.make_tensor_value_info(
                "input:0", TensorProto.UINT8 if self.uint8 else TensorProto.FLOAT,
                [self.batch or "N", *images])],
            [helper.make_tensor_value_info(value, kind, shape)], self.weights,
        )  # fmt: skip
        opset = helper.make_opsetid("", self.opset)
        return helper.make_model(
            graph, opset_imports=[opset], ir_version=8 if self.opset < 20 else 9
        )

    def save(self, path: Path) -> Path:
        """Write it."""
        onnx.save(self.make(), path)
        return path


def run_file(path: Path, images: Any) -> Any:
    """The first output of a file in ONNX Runtime."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: images})[0]
