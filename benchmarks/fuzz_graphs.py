"""Mutated ONNX files for the entrance of a user's own graph, read in children that may die of them.

The work on a graph is native code, which may crash: what counts is that the parent goes on, that
nothing is written elsewhere, and how much memory a child takes.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import resource
import select
import signal
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from edge_convnext.core.errors import LoadError
from edge_convnext.graph.file import read_proto
from edge_convnext.graph.foreign.canonical import CANONICAL, Asked, Canonical, make_canonical
from edge_convnext.graph.safety import check_graph
from edge_convnext.networks.onnx_file.find import find_own_graph
from edge_convnext.networks.operations import OPERATIONS
from edge_convnext.stages.load_own_graph import digest_graph

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["CHILDREN", "make_seeds", "mutated_graph", "read_own_graph"]

_TIMEOUT_S = 60.0
_PER_CHILD = 250  # files
_MOST_BYTES = 1 << 16  # of a pipe: a call, or an answer
_SIDE = 8
_KINDS = ("Relu", "Softmax", "Reshape", "Tile", "Expand", "ConstantOfShape", "Concat", "Pad",
          "Resize", "TopK", "If", "Loop", "Einsum", "Gather", "Range", "Sigmoid", "Cast",
          "QuantizeLinear", "", "x" * 3000)  # fmt: skip
_SIZES = st.sampled_from((-(1 << 62), -1, 0, 1, 2, 3, 4096, 1 << 31, 1 << 62))
_LOCATIONS = ("../evil", "/etc/passwd", "..", "", "input.onnx", "a/b", "\x00", "/dev/zero")


@dataclass
class _Children:
    """What the children did."""

    ended: Counter[str] = field(default_factory=Counter)
    peak_mib: float = 0.0  # of resident memory, that of the parent at the fork included
    slowest_s: float = 0.0


CHILDREN = _Children()


def make_seeds() -> tuple[bytes, ...]:
    """Small classifiers: of several opsets, layouts, types and ends."""
    made = (
        _model(17, ()), _model(11, ("Softmax",)), _model(20, ("Softmax", "ArgMax")),
        _model(13, ("Softmax",), nhwc=True), _model(17, (), uint8=True),
    )  # fmt: skip
    return tuple(one.SerializeToString() for one in made)


def _model(
    opset: int, tail: tuple[str, ...], nhwc: bool = False, uint8: bool = False
) -> onnx.ModelProto:
    random = np.random.default_rng(0)
    shapes = {"k": (4, 3, 3, 3), "s": (4,), "b": (4,), "m": (4,), "v": (4,), "w": (4, 3)}
    weights = {n: np.abs(random.standard_normal(v)).astype(np.float32) for n, v in shapes.items()}
    numbers = {"three": 3.0, "zero": 0.0, "six": 6.0, "span": 127.5}
    weights |= {name: np.float32(value) for name, value in numbers.items()}
    tensors = [numpy_helper.from_array(np.asarray(v), n) for n, v in weights.items()]
    tensors.append(numpy_helper.from_array(np.array([-1, 4]), "rows"))
    nodes, value = [], "x"

    def add(kind: str, *inputs: str, **attributes: Any) -> str:
        nodes.append(helper.make_node(kind, list(inputs), [f"v{len(nodes)}"], **attributes))
        return f"v{len(nodes) - 1}"

    if uint8:
        value = add("Div", add("Cast", value, to=TensorProto.FLOAT), "span")
    if nhwc:
        value = add("Transpose", value, perm=[0, 3, 1, 2])
    value = add("Conv", value, "k", strides=[2, 2])
    value = add("BatchNormalization", value, "s", "b", "m", "v")
    value = add("Div", add("Mul", value, add("Clip", add("Add", value, "three"), "zero", "six")),
                "six")  # fmt: skip
    value = add("Reshape", add("GlobalAveragePool", value), "rows")
    value = add("MatMul", value, "w")
    kind = TensorProto.FLOAT
    for name in tail:
        value = add(name, value, axis=1)
        kind = TensorProto.INT64 if name == "ArgMax" else kind
    shape = ["n", _SIDE, _SIDE, 3] if nhwc else ["n", 3, _SIDE, _SIDE]
    images = TensorProto.UINT8 if uint8 else TensorProto.FLOAT
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info("x", images, shape)],
        [helper.make_tensor_value_info(value, kind, None)], tensors,
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


@st.composite
def mutated_graph(draw: Any, seeds: tuple[bytes, ...]) -> bytes:
    """A graph whose parts are changed, taken out, doubled or made huge."""
    proto = onnx.ModelProto.FromString(draw(st.sampled_from(seeds)))
    for _ in range(draw(st.integers(0, 4))):
        change = draw(st.sampled_from((_nodes, _weights, _borders, _model_fields)))
        change(draw, proto)
    content: bytes = proto.SerializeToString()
    return content


def _nodes(draw: Any, proto: onnx.ModelProto) -> None:
    graph = proto.graph
    if not graph.node:
        return
    node = graph.node[draw(st.integers(0, len(graph.node) - 1))]
    names = [name for one in graph.node for name in one.output] + [
        t.name for t in graph.initializer
    ]
    what = draw(st.sampled_from(("kind", "input", "output", "remove", "double", "attribute",
                                 "domain", "graph")))  # fmt: skip
    if what == "kind":
        node.op_type = draw(st.sampled_from(_KINDS))
    elif what == "input" and node.input:
        node.input[draw(st.integers(0, len(node.input) - 1))] = draw(st.sampled_from([*names, ""]))
    elif what == "output" and node.output:
        node.output[0] = draw(st.sampled_from([*names, ""]))
    elif what == "remove":
        graph.node.remove(node)
    elif what == "double":
        graph.node.add().CopyFrom(node)
    elif what == "attribute":
        name = draw(st.sampled_from(("axis", "group", "perm", "to", "strides", "pads", "epsilon")))
        value = draw(_SIZES)
        value = [value] * draw(st.integers(0, 6)) or value if draw(st.booleans()) else value
        node.attribute.append(
            helper.make_attribute(
                name,
                value,
                attr_type=(
                    onnx.AttributeProto.INTS if isinstance(value, list) else onnx.AttributeProto.INT
                ),
            )
        )
    elif what == "domain":
        node.domain = draw(st.sampled_from(("com.microsoft", "ai.onnx.ml", "\n")))
    else:
        inner = helper.make_graph([], "inner", [], [])
        node.attribute.append(helper.make_attribute("body", inner))


def _weights(draw: Any, proto: onnx.ModelProto) -> None:
    graph = proto.graph
    if not graph.initializer:
        return
    tensor = graph.initializer[draw(st.integers(0, len(graph.initializer) - 1))]
    what = draw(st.sampled_from(("dims", "type", "data", "outside", "numbers")))
    if what == "dims":
        tensor.dims[:] = draw(st.lists(_SIZES, max_size=5))
    elif what == "type":
        tensor.data_type = draw(st.integers(0, 24))
    elif what == "data":
        tensor.raw_data = tensor.raw_data[: draw(st.integers(0, 64))]
    elif what == "outside":
        tensor.data_location = TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value=draw(st.sampled_from(_LOCATIONS)))
        tensor.external_data.add(key="offset", value=str(draw(_SIZES)))
        tensor.external_data.add(key="length", value=str(draw(_SIZES)))
    else:
        count = len(tensor.raw_data) // 4
        fill = draw(st.sampled_from((0.0, float("nan"), float("inf"), -1e38)))
        tensor.raw_data = np.full(count, fill, np.float32).tobytes()


def _borders(draw: Any, proto: onnx.ModelProto) -> None:
    graph = proto.graph
    borders = [*graph.input, *graph.output]
    if not borders:
        return
    value = draw(st.sampled_from(range(len(borders))))
    tensor = borders[value].type.tensor_type
    what = draw(st.sampled_from(("size", "rank", "type", "another", "output")))
    if what == "size" and tensor.shape.dim:
        dim = tensor.shape.dim[draw(st.integers(0, len(tensor.shape.dim) - 1))]
        dim.dim_value = draw(_SIZES)
    elif what == "rank":
        del tensor.shape.dim[draw(st.integers(0, 4)) :]
    elif what == "type":
        tensor.elem_type = draw(st.integers(0, 24))
    elif what == "another":
        graph.input.add().CopyFrom(borders[value])
    else:
        names = [name for node in graph.node for name in node.output]
        graph.output.add(name=draw(st.sampled_from([*names, "x", "none"])))


def _model_fields(draw: Any, proto: onnx.ModelProto) -> None:
    what = draw(st.sampled_from(("opset", "ir", "metadata", "function")))
    if what == "opset" and proto.opset_import:
        proto.opset_import[0].version = draw(st.integers(-1, 30))
    elif what == "ir":
        proto.ir_version = draw(_SIZES)
    elif what == "metadata":
        proto.metadata_props.add(key="edge_convnext", value=draw(st.text(max_size=40)))
    else:
        proto.functions.add(name="f", domain="d")


def read_own_graph(path: Path) -> object:
    """Read a file as `stages.load` does, with a child that serves many files.

    Raises:
        LoadError: It is refused, or the child that read it was ended.
    """
    if find_own_graph(str(path)) is None:
        raise LoadError("no ONNX file")
    digest_graph(path)
    out = path.parent / "out"
    out.mkdir(exist_ok=True)
    result = _in_child(path, out)
    if not isinstance(result, Canonical):
        raise LoadError(f"{path}: {getattr(result, 'reason', result)}")
    check_graph(read_proto(out / CANONICAL), path, OPERATIONS)
    return result


class _Worker:
    """A child that reads one file after another, until it dies of one or has read enough."""

    def __init__(self) -> None:
        asked, self._ask = os.pipe()
        self._answers, answer = os.pipe()
        self.left = _PER_CHILD
        self.process = os.fork()
        if self.process == 0:
            os.close(self._ask)
            os.close(self._answers)
            _serve(asked, answer)
        os.close(asked)
        os.close(answer)

    def read(self, path: Path, out: Path) -> object:
        """The result; a text where the child died."""
        self.left -= 1
        os.write(self._ask, pickle.dumps((path, out)))
        started = time.monotonic()
        ready, _, _ = select.select([self._answers], [], [], _TIMEOUT_S)
        data = os.read(self._answers, _MOST_BYTES) if ready else b""
        CHILDREN.slowest_s = max(CHILDREN.slowest_s, time.monotonic() - started)
        if data:
            result, peak_mib = pickle.loads(data)
            CHILDREN.peak_mib = max(CHILDREN.peak_mib, peak_mib)
            return result
        self.left = 0
        return f"the child was ended by {self.end()}"

    def end(self) -> str:
        """Kill it, if it lives, and tell the signal."""
        os.close(self._ask)
        os.close(self._answers)
        time.sleep(0.05)
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.process, signal.SIGKILL)
        _, status = os.waitpid(self.process, 0)
        return signal.Signals(os.WTERMSIG(status)).name if os.WIFSIGNALED(status) else "itself"


_workers: list[_Worker] = []


def _in_child(path: Path, out: Path) -> object:
    if not _workers or _workers[-1].left <= 0:
        while _workers:
            with contextlib.suppress(OSError):
                _workers.pop().end()
        _workers.append(_Worker())
    result = _workers[-1].read(path, out)
    CHILDREN.ended[result[:120] if isinstance(result, str) else type(result).__name__] += 1
    return result


def _serve(asked: int, answer: int) -> None:
    """The child: never returns."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)
    while data := os.read(asked, _MOST_BYTES):
        path, out = pickle.loads(data)
        try:
            result: object = make_canonical(path, out, Asked(), OPERATIONS)
        except Exception as error:  # `core.isolate` makes a line of any
            result = f"{type(error).__name__}: {error}"[:300]
        peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        os.write(answer, pickle.dumps((result, peak_mib)))
    os._exit(0)


def warm_up() -> None:
    """Import what every child needs, once."""
    import onnxruntime  # noqa: F401
    import onnxsim  # noqa: F401

    assert sys.platform == "linux"
