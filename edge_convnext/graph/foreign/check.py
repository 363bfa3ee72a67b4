"""Check a graph that comes from a user, before native code works on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_convnext.core.errors import ArtifactError, shorten, shorten_names
from edge_convnext.graph.safety import why_odd_constant

if TYPE_CHECKING:
    from collections.abc import Iterator

    from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto

__all__ = ["STANDARD_DOMAINS", "check_foreign", "describe_value", "opset_of"]

STANDARD_DOMAINS = ("", "ai.onnx")
_FIRST_OPSET, _LAST_OPSET = 7, 23
_MOST_NODES = 20_000
_CONTROL = frozenset(("If", "Loop", "Scan", "SequenceMap"))
_QUANTIZED = (
    "QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "QLinear", "ConvInteger",
    "MatMulInteger", "QAttention", "QGemm", "QEmbed", "DynamicQuantize", "MatMulNBits",
)  # fmt: skip
_NARROW = {10: "float16", 16: "bfloat16", 17: "float8", 18: "float8", 19: "float8", 20: "float8",
           22: "int4", 21: "uint4", 23: "float4"}  # fmt: skip
_TYPES = {1: "float32", 2: "uint8", 3: "int8", 6: "int32", 7: "int64", 8: "string", 9: "bool",
          11: "float64", **_NARROW}  # fmt: skip
_SHOWN = 4


def check_foreign(proto: ModelProto, operations: frozenset[str]) -> None:
    """Check that a user's graph is a float classifier of one input.

    Args:
        proto: Whole graph, with its weights.
        operations: Types of operations that are read, all of ONNX's own domain.

    Raises:
        ArtifactError: It is not; a line without the file's name.
    """
    graph = proto.graph
    opset = opset_of(proto)
    if not _FIRST_OPSET <= opset <= _LAST_OPSET:
        raise ArtifactError(
            f"is of opset {opset}, and {_FIRST_OPSET} to {_LAST_OPSET} are read; export it again "
            "at opset 17 or 20"
        )
    if proto.functions or proto.training_info or graph.sparse_initializer:
        raise ArtifactError(
            "holds functions, training or sparse weights; export it with its functions inlined "
            "(onnx.inliner.inline_local_functions), for inference"
        )
    if len(graph.node) > _MOST_NODES:
        raise ArtifactError(
            f"has {len(graph.node)} operations, and at most {_MOST_NODES} are read; pass an image "
            "classifier"
        )
    for node in graph.node:
        _check_node(node, operations)
    _check_types(proto)
    for tensor in _tensors(proto):
        if reason := why_odd_constant(tensor):
            raise ArtifactError(f"{reason}; export it again")


def opset_of(proto: ModelProto) -> int:
    """The version of ONNX's own operations; 0: none is stated."""
    return max((one.version for one in proto.opset_import if one.domain in STANDARD_DOMAINS),
               default=0)  # fmt: skip


def _check_node(node: NodeProto, operations: frozenset[str]) -> None:
    kind = shorten(node.op_type, 60)
    if node.op_type.startswith(_QUANTIZED):
        raise ArtifactError(
            f"is quantized already (it has the operation {kind}); pass the float model that it was "
            "made from"
        )
    if node.domain not in STANDARD_DOMAINS:
        raise ArtifactError(
            f"has the operation {kind} of the custom domain '{shorten(node.domain, 60)}'; export "
            "it with ONNX's own operations alone"
        )
    if node.op_type in _CONTROL or any(
        one.HasField("g") or one.graphs or one.HasField("sparse_tensor") for one in node.attribute
    ):
        raise ArtifactError(
            f"has control flow (the operation {kind}); export it without branches and loops "
            "(fixed shapes, torch.onnx.export of a traced model)"
        )
    if node.op_type not in operations:
        raise ArtifactError(
            f"has the operation {kind}, which is not read here; pass an image classifier that goes "
            "without"
        )


def _tensors(proto: ModelProto) -> Iterator[TensorProto]:
    yield from proto.graph.initializer
    for node in proto.graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors


def _check_types(proto: ModelProto) -> None:
    """Narrow floats are refused: the parity with a half model says nothing of a float one."""
    graph = proto.graph
    weights = {tensor.name for tensor in graph.initializer}
    kinds = {tensor.data_type for tensor in _tensors(proto)}
    borders = [one for one in (*graph.input, *graph.output) if one.name not in weights]
    kinds |= {one.type.tensor_type.elem_type for one in borders}
    for node in graph.node:
        if node.op_type == "Cast":
            kinds |= {one.i for one in node.attribute if one.name == "to"}
    if narrow := sorted({_NARROW[kind] for kind in kinds if kind in _NARROW}):
        raise ArtifactError(
            f"holds {' and '.join(narrow)} numbers; pass the float32 model that it was made from"
        )
    inputs = [one for one in graph.input if one.name not in weights]
    if len(inputs) != 1:
        shown = shorten_names([describe_value(one) for one in inputs], _SHOWN)
        raise ArtifactError(
            f"has {len(inputs)} inputs ({shown}); pass a classifier whose one input is images"
        )
    if not graph.output:
        raise ArtifactError("has no output; pass a classifier that gives logits")
    for one in (*inputs, *graph.output):
        if not one.type.HasField("tensor_type"):
            raise ArtifactError(f"'{shorten(one.name, 60)}' is no tensor; pass an image classifier")


def describe_value(value: ValueInfoProto) -> str:
    """Such as `images float32[1, 3, 224, 224]`."""
    tensor = value.type.tensor_type
    kind = _TYPES.get(tensor.elem_type, f"type {tensor.elem_type}")
    sizes = [
        str(one.dim_value) if one.HasField("dim_value") else shorten(one.dim_param, 20) or "?"
        for one in tensor.shape.dim
    ]
    return f"{shorten(value.name, 40)} {kind}[{', '.join(sizes[:8])}]"
