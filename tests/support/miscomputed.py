"""Small graphs around the patterns that OpenVINO computes wrongly, and their right neighbours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnx

from edge_convnext.core.metrics import sqnr_db
from support.tiny_qdq import Builder

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from onnx import ModelProto

CHANNELS, SIDE = 16, 8
HEADS, WIDTH = 4, 16
WRONG_DB = 40.0  # the wrong ones have 2 to 20 dB, the right ones 130 and more


class Net(Builder):
    """Steps by name; each returns the value that it made."""

    def __init__(self, act: str = "int8") -> None:
        super().__init__()
        self.act, self.draw, self.count = act, np.random.default_rng(0), 0

    def put(self, value: Any) -> str:
        self.count += 1
        return self.constant(f"c{self.count}", value)

    def op(self, kind: str, *inputs: str, **attributes: Any) -> str:
        self.count += 1
        return self.node(kind, list(inputs), f"v{self.count}", **attributes)

    def halves(self, name: str) -> list[str]:
        """Both halves of a value, by Split."""
        split = onnx.helper.make_node(
            "Split", [name], [f"{name}.a", f"{name}.b"], f"{name}/Split", axis=1, num_outputs=2
        )
        self.nodes.append(split)
        return list(split.output)

    def pair(self, name: str, act: str | None = None) -> str:
        """Q/DQ of a range of -6 to 6."""
        act = act or self.act
        zero = np.int8(0) if act == "int8" else np.uint8(128)
        grid = [self.put(np.float32(6 / 127)), self.put(zero)]
        return self.op("DequantizeLinear", self.op("QuantizeLinear", name, *grid), *grid)

    def weight(self, shape: Sequence[int], axis: int, *, whole: bool = False) -> str:
        """Dequantized, or with `whole` float32."""
        if whole:
            return self.put((self.draw.standard_normal(shape) * 0.1).astype(np.float32))
        stored = self.draw.integers(-127, 128, shape).astype(np.int8)
        scales = np.full(shape[axis], 0.003, np.float32)
        zeros = np.zeros(shape[axis], np.int8)
        return self.op("DequantizeLinear", *map(self.put, (stored, scales, zeros)), axis=axis)

    def row(self, *shape: int) -> str:
        return self.put(np.abs(1 + 0.5 * self.draw.standard_normal(shape)).astype(np.float32))

    # Pieces of the graphs with a Concat.
    def sources(self, channels: int = CHANNELS // 2) -> list[str]:
        """Two float convolutions."""
        shape = (channels, 4, 1, 1)
        made = [(self.draw.standard_normal(shape) * 0.5).astype(np.float32) for _ in range(2)]
        return [self.op("Conv", "x", self.put(one)) for one in made]

    def concat(self, *names: str, axis: int = 1) -> str:
        return self.op("Concat", *(names or self.sources()), axis=axis)

    def conv(self, name: str, channels: int = CHANNELS, side: int = 1, **more: Any) -> str:
        group = more.get("group", 1)
        weight = self.weight((CHANNELS, channels // group, side, side), 0)
        pads = [side // 2] * 4
        return self.op("Conv", name, weight, kernel_shape=[side] * 2, pads=pads, **more)

    def matmul(self, name: str) -> str:
        moved = self.op("Transpose", name, perm=[0, 2, 3, 1])
        return self.op("MatMul", moved, self.weight((CHANNELS, 8), 1))

    # Pieces of the graphs with a reduction.
    def mean(
        self, name: str = "x", axes: Sequence[int] = (1, 2), keep: int = 0, **more: Any
    ) -> str:
        kind = more.get("kind", "ReduceMean")
        return self.op(kind, name, self.put(np.int64(axes)), keepdims=keep)

    def gemm(self, name: str) -> str:
        return self.op("Gemm", name, self.weight((10, CHANNELS), 0), transB=1)

    # Pieces of the graphs with attention.
    def parts(self, *shape: int, widths: Sequence[int] = (WIDTH,) * 3) -> list[str]:
        """First factor, keys and values: projections of x, [8, HEADS, HEADS, width] or `shape`."""
        made = []
        for width in widths:
            drawn = self.draw.standard_normal((WIDTH, width)).astype(np.float32)
            name = self.op("MatMul", "x", self.put(drawn * 0.4))
            made.append(self.op("Reshape", name, self.put(np.int64(shape))) if shape else name)
        return made

    def attend(
        self, first: str, keys: str, values: str, scores: Callable[[str], str] = str, rank: int = 4
    ) -> str:
        """Both products and the Softmax; `scores` writes what is between."""
        turned = self.op("Transpose", keys, perm=[*range(rank - 2), rank - 1, rank - 2])
        sharp = self.op("Softmax", scores(self.op("MatMul", first, turned)), axis=-1)
        return self.op("MatMul", sharp, values)

    def swap(self, name: str) -> str:
        return self.op("Transpose", name, perm=[0, 2, 1, 3])

    def half(self, name: str) -> str:
        return self.op("Mul", name, self.put(np.float32(0.5)))


def _pool(net: Net, name: str) -> str:
    return net.op("MaxPool", name, kernel_shape=[2, 2])


def _slice(net: Net, name: str) -> str:
    ends = map(net.put, (np.int64([0]), np.int64([CHANNELS // 2]), np.int64([1])))
    return net.op("Slice", name, *ends)


def _shuffle(net: Net, name: str) -> str:
    parted = net.op("Reshape", name, net.put(np.int64([1, 2, CHANNELS // 2, SIDE, SIDE])))
    moved = net.op("Transpose", parted, perm=[0, 2, 1, 3, 4])
    return net.op("Reshape", moved, net.put(np.int64([1, CHANNELS, SIDE, SIDE])))


def _norm(net: Net, name: str) -> str:
    return net.op("BatchNormalization", name, *(net.row(CHANNELS) for _ in range(4)))


def _read_twice(net: Net, name: str) -> str:
    return net.op("Add", net.conv(net.pair(name)), name)


def _by_channel(net: Net) -> str:
    return net.row(1, CHANNELS, 1, 1)


# Each writes a graph of x, float32[1, 4, SIDE, SIDE]; signed pairs make the first ones wrong.
CONCATS_WRONG: dict[str, Callable[[Net], str]] = {
    "conv 1x1": lambda n: n.conv(n.pair(n.concat())),
    "conv 3x3": lambda n: n.conv(n.pair(n.concat()), side=3),
    "conv 3x3, stride 2": lambda n: n.conv(n.pair(n.concat()), side=3, strides=[2, 2]),
    "another axis": lambda n: n.conv(n.pair(n.concat(axis=2)), CHANNELS // 2),
    "relu before each": lambda n: n.conv(
        n.pair(n.concat(*(n.op("Relu", one) for one in n.sources())))
    ),
    "relu, pair": lambda n: n.conv(n.pair(n.op("Relu", n.concat()))),
    "mul, pair": lambda n: n.conv(n.pair(n.op("Mul", n.concat(), _by_channel(n)))),
    "add, pair": lambda n: n.conv(n.pair(n.op("Add", n.concat(), _by_channel(n)))),
    "norm, pair": lambda n: n.conv(n.pair(_norm(n, n.concat()))),
    "relu, mul, pair": lambda n: n.conv(
        n.pair(n.op("Mul", n.op("Relu", n.concat()), _by_channel(n)))
    ),
    "pair, max pool": lambda n: n.conv(_pool(n, n.pair(n.concat()))),
    "pair, relu": lambda n: n.conv(n.op("Relu", n.pair(n.concat()))),
    "pair, slice": lambda n: n.conv(_slice(n, n.pair(n.concat())), CHANNELS // 2),
    "pair, split": lambda n: n.conv(n.halves(n.pair(n.concat()))[1], CHANNELS // 2),
    "pair, mul": lambda n: n.conv(n.op("Mul", n.pair(n.concat()), _by_channel(n))),
    "two concats": lambda n: n.conv(n.pair(n.concat(n.concat(), *n.sources())), 2 * CHANNELS),
    "pairs before, none behind": lambda n: n.conv(n.concat(*map(n.pair, n.sources()))),
    "pairs, max pool each, none behind": lambda n: n.conv(
        n.concat(*(_pool(n, n.pair(one)) for one in n.sources()))
    ),
    "halves of one pair, concatenated again": lambda n: n.conv(
        n.concat(*n.halves(n.pair(n.sources(CHANNELS)[0]))[::-1])
    ),
    "read by a matrix product too": lambda n: (
        lambda name: n.op(
            "Concat",
            n.matmul(name),
            n.op("Transpose", n.conv(name), perm=[0, 2, 3, 1]),
            axis=3,
        )
    )(n.pair(n.concat())),
}
# Signed pairs too, and right.
CONCATS_RIGHT: dict[str, Callable[[Net], str]] = {
    "no concat": lambda n: n.conv(n.pair(n.sources(CHANNELS)[0])),
    "concat of one": lambda n: n.conv(n.pair(n.concat(n.sources(CHANNELS)[0]))),
    "depthwise": lambda n: n.conv(n.pair(n.concat()), side=3, group=CHANNELS),
    "grouped": lambda n: n.conv(n.pair(n.concat()), group=2),
    "transposed": lambda n: n.op(
        "ConvTranspose", n.pair(n.concat()), n.weight((CHANNELS, 8, 2, 2), 1), strides=[2, 2]
    ),
    "matmul": lambda n: n.matmul(n.pair(n.concat())),
    "float weights": lambda n: n.op(
        "Conv", n.pair(n.concat()), n.weight((8, CHANNELS, 1, 1), 0, whole=True)
    ),
    "conv 1x1, stride 2": lambda n: n.conv(n.pair(n.concat()), strides=[2, 2]),
    "max pool, pair": lambda n: n.conv(n.pair(_pool(n, n.concat()))),
    "slice, pair": lambda n: n.conv(n.pair(_slice(n, n.concat())), CHANNELS // 2),
    "shuffle, pair": lambda n: n.conv(n.pair(_shuffle(n, n.concat()))),
    "sigmoid, pair": lambda n: n.conv(n.pair(n.op("Sigmoid", n.concat()))),
    "hardswish, pair": lambda n: n.conv(n.pair(n.op("HardSwish", n.concat()))),
    "norm, relu, pair": lambda n: n.conv(n.pair(n.op("Relu", _norm(n, n.concat())))),
    "pair, sigmoid": lambda n: n.conv(n.op("Sigmoid", n.pair(n.concat()))),
    "read in float too": lambda n: _read_twice(n, n.concat()),
    "a sum": lambda n: n.conv(n.pair(n.op("Add", n.concat(), n.sources(CHANNELS)[0]))),
    "one input in float": lambda n: (lambda one, other: n.conv(n.concat(n.pair(one), other)))(
        *n.sources()
    ),
    "pairs before, depthwise": lambda n: n.conv(
        n.concat(*map(n.pair, n.sources())), side=3, group=CHANNELS
    ),
}

# Each writes a graph of x, float32[2, SIDE, SIDE, CHANNELS].
SCALES_WRONG: dict[str, Callable[[Net], str]] = {
    "mean, mul [C]": lambda n: n.gemm(n.pair(n.op("Mul", n.mean(), n.row(CHANNELS)))),
    "mean, mul [1, C]": lambda n: n.gemm(n.pair(n.op("Mul", n.mean(), n.row(1, CHANNELS)))),
    "mean, div": lambda n: n.gemm(n.pair(n.op("Div", n.mean(), n.row(CHANNELS)))),
    "mean, add": lambda n: n.gemm(n.pair(n.op("Add", n.mean(), n.row(CHANNELS)))),
    "mean, sub": lambda n: n.gemm(n.pair(n.op("Sub", n.mean(), n.row(CHANNELS)))),
    "mean, mul, relu": lambda n: n.gemm(
        n.pair(n.op("Relu", n.op("Mul", n.mean(), n.row(CHANNELS))))
    ),
    "mean, norm": lambda n: n.gemm(n.pair(_norm(n, n.mean()))),
    "max, mul": lambda n: n.gemm(n.pair(n.op("Mul", n.mean(kind="ReduceMax"), n.row(CHANNELS)))),
    "axes from behind": lambda n: n.gemm(
        n.pair(n.op("Mul", n.mean(axes=(-3, -2)), n.row(CHANNELS)))
    ),
    "mul, mean": lambda n: n.gemm(n.pair(n.mean(n.op("Mul", "x", n.row(CHANNELS))))),
    "mean, pair of zero point 0, mul": lambda n: n.gemm(
        n.op("Mul", n.pair(n.mean(), "int8"), n.row(CHANNELS))
    ),
    "matmul": lambda n: n.op(
        "MatMul", n.pair(n.op("Mul", n.mean(), n.row(CHANNELS))), n.weight((CHANNELS, 10), 1)
    ),
    "no product": lambda n: n.pair(n.op("Mul", n.mean(), n.row(CHANNELS))),
    "tokens": lambda n: n.gemm(
        n.pair(
            n.op(
                "Mul",
                n.mean(
                    n.op("Reshape", "x", n.put(np.int64([2, SIDE * SIDE, CHANNELS]))), axes=(1,)
                ),
                n.row(CHANNELS),
            )
        )
    ),
}
SCALES_RIGHT: dict[str, Callable[[Net], str]] = {
    "mean": lambda n: n.gemm(n.pair(n.mean())),
    "mean, mul by one number": lambda n: n.gemm(
        n.pair(n.op("Mul", n.mean(), n.put(np.float32(1.7))))
    ),
    "mean, layer norm, mul": lambda n: n.gemm(
        n.pair(
            n.op(
                "Mul",
                n.op("LayerNormalization", n.mean(), n.row(CHANNELS), n.row(CHANNELS)),
                n.row(CHANNELS),
            )
        )
    ),
    "mean, mul, sigmoid": lambda n: n.gemm(
        n.pair(n.op("Sigmoid", n.op("Mul", n.mean(), n.row(CHANNELS))))
    ),
    "mean, pair of another zero point, mul": lambda n: n.gemm(
        n.op("Mul", n.pair(n.mean(), "uint8"), n.row(CHANNELS))
    ),
    "mean, pair, add": lambda n: n.gemm(n.op("Add", n.pair(n.mean()), n.row(CHANNELS))),
    "no pair": lambda n: n.gemm(n.op("Mul", n.mean(), n.row(CHANNELS))),
    "add, mean": lambda n: n.gemm(n.pair(n.mean(n.op("Add", "x", n.row(CHANNELS))))),
    "mul, relu, mean": lambda n: n.gemm(
        n.pair(n.mean(n.op("Relu", n.op("Mul", "x", n.row(CHANNELS)))))
    ),
    "kept axes, mul, flatten": lambda n: n.gemm(
        n.pair(n.op("Flatten", n.op("Mul", n.mean(keep=1), n.row(CHANNELS))))
    ),
    "kept axes, flatten, mul": lambda n: n.gemm(
        n.pair(n.op("Mul", n.op("Flatten", n.mean(keep=1)), n.row(CHANNELS)))
    ),
    "channels first": lambda n: n.gemm(
        n.pair(
            n.op(
                "Mul",
                n.mean(
                    n.op("Reshape", "x", n.put(np.int64([2, CHANNELS, SIDE, SIDE]))), axes=(2, 3)
                ),
                n.row(CHANNELS),
            )
        )
    ),
    "one axis of two": lambda n: n.op(
        "MatMul",
        n.pair(n.op("Mul", n.mean(axes=(1,)), n.row(CHANNELS))),
        n.weight((CHANNELS, 10), 1),
    ),
    "read twice": lambda n: (lambda m: n.op("Concat", n.gemm(n.pair(m)), m, axis=1))(
        n.op("Mul", n.mean(), n.row(CHANNELS))
    ),
}


def _masked(net: Net) -> str:
    mask = net.put(net.draw.standard_normal((1, 1, HEADS, HEADS)).astype(np.float32))
    return net.swap(net.attend(*net.parts(), lambda name: net.op("Add", name, mask)))


def _moved_before(net: Net) -> str:
    first, keys, values = net.parts()
    return net.attend(net.half(net.swap(first)), keys, values)


def _all_moved(net: Net) -> str:
    return net.swap(net.attend(*map(net.swap, net.parts())))


def _idle(net: Net, name: str) -> str:
    return net.op("Reshape", name, net.put(np.int64([8, HEADS, HEADS, WIDTH])))


def _windows(net: Net) -> str:
    mask = net.put(net.draw.standard_normal((1, 2, 1, HEADS, HEADS)).astype(np.float32))

    def scores(name: str) -> str:
        wide = net.op("Reshape", name, net.put(np.int64([4, 2, HEADS, HEADS, HEADS])))
        masked = net.op("Add", wide, mask)
        return net.op("Reshape", masked, net.put(np.int64([8, HEADS, HEADS, HEADS])))

    return net.swap(net.attend(*net.parts(), scores))


def _read_elsewhere(net: Net) -> str:
    first, keys, values = net.parts()
    made = net.swap(net.attend(first, keys, values))
    return net.op("Concat", made, net.op("Sigmoid", first), axis=3)


# Each writes a graph of x, float32[8, HEADS, HEADS, WIDTH]: as many tokens as heads.
ATTENTIONS_WRONG: dict[str, Callable[[Net], str]] = {
    "moved behind": lambda n: n.swap(n.attend(*n.parts())),
    "moved before": _moved_before,
    "keys and values moved too": lambda n: (
        lambda q, k, v: n.swap(n.attend(q, n.swap(k), n.swap(v)))
    )(*n.parts()),
    "scaled": lambda n: n.swap(n.attend(*n.parts(), n.half)),
    "first factor and keys scaled": lambda n: (
        lambda q, k, v: n.swap(n.attend(n.half(q), n.half(k), v))
    )(*n.parts()),
    "mask": _masked,
    "eight heads": lambda n: n.swap(n.attend(*n.parts(4, 8, 8, 8))),
    "one image": lambda n: n.swap(n.attend(*n.parts(1, 16, 16, 8))),
    "an idle reshape": lambda n: n.swap(_idle(n, n.attend(*n.parts()))),
    "flattened": lambda n: n.op(
        "Reshape", n.swap(n.attend(*n.parts())), n.put(np.int64([8, HEADS, -1]))
    ),
    "pair at the first factor": lambda n: (lambda q, k, v: n.swap(n.attend(n.pair(q), k, v)))(
        *n.parts()
    ),
}
# Right in float32, wrong in bfloat16.
ATTENTIONS_WRONG_IN_BF16: dict[str, Callable[[Net], str]] = {
    "all moved": _all_moved,
    "all moved, idle reshapes": lambda n: n.swap(
        _idle(n, n.attend(*(_idle(n, n.swap(one)) for one in n.parts())))
    ),
}
ATTENTIONS_RIGHT: dict[str, Callable[[Net], str]] = {
    "none moved": lambda n: n.attend(*n.parts()),
    "twice the tokens": lambda n: n.swap(n.attend(*n.parts(8, HEADS, 2 * HEADS, WIDTH // 2))),
    "half the tokens": lambda n: n.swap(n.attend(*n.parts(8, 2 * HEADS, HEADS, WIDTH // 2))),
    "three axes": lambda n: n.op("Transpose", n.attend(*n.parts(8, 8, -1), rank=3), perm=[1, 0, 2]),
    "narrow values": lambda n: n.swap(n.attend(*n.parts(widths=(WIDTH, WIDTH, WIDTH // 2)))),
    "another move": lambda n: n.op("Transpose", n.attend(*n.parts()), perm=[0, 2, 3, 1]),
    "softmax over another axis": lambda n: n.swap(
        (
            lambda q, k, v: n.op(
                "MatMul",
                n.op("Softmax", n.op("MatMul", q, n.op("Transpose", k, perm=[0, 1, 3, 2])), axis=2),
                v,
            )
        )(*n.parts())
    ),
    "no softmax": lambda n: n.swap(
        (
            lambda q, k, v: n.op(
                "MatMul", n.op("MatMul", q, n.op("Transpose", k, perm=[0, 1, 3, 2])), v
            )
        )(*n.parts())
    ),
    "mask of windows": _windows,
    "first factor read elsewhere": _read_elsewhere,
}


def concat_graph(write: Callable[[Net], str], act: str) -> ModelProto:
    """A graph with a Concat."""
    return _finish(write, act, [1, 4, SIDE, SIDE])


def scale_graph(write: Callable[[Net], str], act: str) -> ModelProto:
    """A graph with a reduction."""
    return _finish(write, act, [2, SIDE, SIDE, CHANNELS])


def attention_graph(write: Callable[[Net], str]) -> ModelProto:
    """A graph with attention."""
    return _finish(write, "int8", [8, HEADS, HEADS, WIDTH])


def _finish(write: Callable[[Net], str], act: str, shape: list[int]) -> ModelProto:
    net = Net(act)
    output = write(net)
    inputs = [onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, shape)]
    result = [onnx.helper.make_tensor_value_info(output, onnx.TensorProto.FLOAT, None)]
    graph = onnx.helper.make_graph(net.nodes, "tiny", inputs, result, net.constants)
    opset = [onnx.helper.make_opsetid("", 20)]
    model = onnx.helper.make_model(graph, opset_imports=opset, ir_version=9)
    return onnx.shape_inference.infer_shapes(model)


def _images(proto: ModelProto) -> Any:
    shape = [one.dim_value for one in proto.graph.input[0].type.tensor_type.shape.dim]
    return np.random.default_rng(1).standard_normal(shape, dtype=np.float32)


def standard(proto: ModelProto) -> Any:
    """What the graph says, node by node: ONNX Runtime without any optimization."""
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 3
    settings.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(proto.SerializeToString(), settings)
    return session.run(None, {"x": _images(proto)})[0]


def in_openvino(proto: ModelProto, folder: Path, hint: str = "f32") -> Any:
    import openvino

    onnx.save(proto, folder / "tiny.onnx")
    settings = {"INFERENCE_PRECISION_HINT": hint}
    compiled = openvino.Core().compile_model(folder / "tiny.onnx", "CPU", settings)
    return compiled(_images(proto))[0]


def is_wrong_in_openvino(
    proto: ModelProto, folder: Path, hint: str = "f32", limit_db: float = WRONG_DB
) -> bool:
    """Whether OpenVINO computes something else than the graph says."""
    found = sqnr_db(standard(proto), in_openvino(proto, folder, hint))
    return found is not None and found < limit_db
