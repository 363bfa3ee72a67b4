"""Examine a graph before a build: its precision, and whether this TensorRT can build it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edge_convnext.core.errors import EngineBuildError
from edge_convnext.graph.file import read_proto
from edge_convnext.graph.findings import refuse_errors
from edge_convnext.graph.structure import PRODUCTS
from edge_convnext.runtimes.tensorrt.lint import TensorRTName, lint_tensorrt
from edge_convnext.runtimes.tensorrt.sidecar import graph_metadata

if TYPE_CHECKING:
    from pathlib import Path

    from onnx import ModelProto

    from edge_convnext.core.artifacts import Precision
    from edge_convnext.runtimes.tensorrt.api import Api

__all__ = ["Graph", "check_precision", "lint_graph", "read_graph"]


@dataclass(frozen=True)
class Graph:
    """The facts about a graph that decide the build."""

    precision: Precision  # int8: it has Q/DQ; fp16: it has float16
    quantized_ops: int
    reductions: tuple[str, ...]  # names of nodes that sum squares
    metadata: dict[str, Any] | None


def read_graph(onnx: Path) -> Graph:
    """Read the facts that decide the build.

    Raises:
        ArtifactError: The file is not ONNX.
    """
    from onnx import TensorProto

    from edge_convnext.graph.file import element_types, read_proto

    proto = read_proto(onnx)
    quantized = _count_quantized(proto)
    halved = TensorProto.FLOAT16 in element_types(proto).values()
    precision: Precision = "int8" if quantized else "fp16" if halved else "fp32"
    sums = ("ReduceL2", "ReduceSumSquare")
    reductions = tuple(node.name for node in proto.graph.node if node.op_type in sums)
    return Graph(precision, quantized, reductions, graph_metadata(onnx))


def _count_quantized(proto: ModelProto) -> int:
    """Count products whose two operands are dequantized; moves in between don't matter."""
    from edge_convnext.graph.qdq import Wiring

    wiring = Wiring(proto)
    return sum(
        node.op_type in PRODUCTS and all(map(wiring.quantizer, node.input[:2]))
        for node in proto.graph.node
    )


def check_precision(onnx: Path, have: Precision, want: Precision, api: Api) -> None:
    """Refuse a precision that this TensorRT can't make from the graph.

    Raises:
        EngineBuildError: It can't make this precision.
    """
    if have == want or ((have, want) == ("fp32", "fp16") and not api.is_typed):
        return
    if api.is_typed:
        advice = f"{api.label} builds the types that the graph states: pass the {want} graph"
    else:
        advice = "TensorRT 8.6 makes fp16 of an fp32 graph, and int8 of a quantized one"
    raise EngineBuildError(f"{onnx}: is {have}, and {want} was asked for; {advice}")


def lint_graph(onnx: Path, api: Api) -> None:
    """Refuse a graph that TensorRT would refuse, or would build into something else.

    Raises:
        QuantizationError: The graph breaks a rule (`lint_tensorrt`).
    """
    from edge_convnext.graph.qdq import Wiring

    target: TensorRTName = "tensorrt10" if api.is_typed else "tensorrt8.6"
    proto = read_proto(onnx)
    refuse_errors(tuple(lint_tensorrt(proto, Wiring(proto), target)), onnx, target)
