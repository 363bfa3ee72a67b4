"""Exact rewrites of a user's graph: one opset, no operation without an effect, any batch.

Each changes a graph in place. Nothing is trusted: the logits of what comes out are compared with
those of the file as it came.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from edge_convnext.core.errors import ArtifactError, reason_of
from edge_convnext.graph.bare import copy_bare
from edge_convnext.graph.foreign.check import opset_of
from edge_convnext.graph.foreign.index import Index, attribute_of, drop_unused, inline_constants

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

__all__ = [
    "free_batch",
    "infer_shapes",
    "remove_idle",
    "simplify_graph",
    "split_batch_norms",
    "to_opset20",
]

_OPSET = 20
_FLOAT = 1
# Newer operations that opset 20 does not have, or has with another meaning.
_NEWER = frozenset(
    ("Attention", "GroupNormalization", "RMSNormalization", "RotaryEmbedding", "Swish",
     "TensorScatter")
)  # fmt: skip
# As in `stages.simplify`: a product becomes slower where it is quantized.
_NOT = ("fuse_matmul_add_bias_into_gemm", "fuse_matmul_add_bias_into_gemm_batched")


def simplify_graph(proto: ModelProto) -> ModelProto:
    """Fold constants and fuse batch norms, with onnxsim where it is installed."""
    inline_constants(proto.graph)
    try:
        import onnxsim
    except ImportError:
        return proto
    made, _ = onnxsim.simplify(proto, check_n=0, skipped_optimizers=list(_NOT))
    made.graph.ClearField("value_info")
    result: ModelProto = made
    return result


def to_opset20(proto: ModelProto) -> ModelProto:
    """Bring ONNX's own operations to opset 20.

    Raises:
        ArtifactError: An operation has no form there; a line without the file's name.
    """
    from onnx import version_converter

    opset = opset_of(proto)
    if opset > _OPSET:
        newer = sorted({node.op_type for node in proto.graph.node} & _NEWER)
        if newer:
            raise ArtifactError(
                f"has the operation {newer[0]} of opset {opset}, which opset {_OPSET} lacks; "
                f"export it at opset {_OPSET}"
            )
        # Beyond those, newer opsets only add types that no float32 graph has.
        proto.opset_import[0].version = _OPSET
        return proto
    if opset == _OPSET:
        return proto
    try:
        converted: ModelProto = version_converter.convert_version(proto, _OPSET)
    except Exception as error:  # its exceptions share no other base class
        raise ArtifactError(
            f"can't be brought from opset {opset} to {_OPSET} ({reason_of(error, 200)}); export it "
            f"at opset {_OPSET}"
        ) from error
    converted.graph.ClearField("value_info")
    return converted


def remove_idle(proto: ModelProto) -> None:
    """Take out operations that give what they get: Identity, Dropout, Cast of a float."""
    graph = proto.graph
    inline_constants(graph)
    floats = _float_values(proto)
    outputs = {one.name for one in graph.output}
    source: dict[str, str] = {}
    for node in graph.node:
        node.input[:] = [source.get(name, name) for name in node.input]
        if _is_idle(node, floats) and node.output[0] not in outputs:
            source[node.output[0]] = node.input[0]
    graph.ClearField("value_info")
    drop_unused(graph)


def _is_idle(node: NodeProto, floats: frozenset[str]) -> bool:
    if node.op_type in ("Identity", "Dropout"):
        return not any(node.output[1:])
    if node.op_type == "Cast":
        return attribute_of(node, "to") == _FLOAT and node.input[0] in floats
    if node.op_type == "Transpose":
        perm = list(attribute_of(node, "perm", ()))
        return bool(perm) and perm == sorted(perm)
    return False


def _float_values(proto: ModelProto) -> frozenset[str]:
    from edge_convnext.graph.file import element_types

    return frozenset(name for name, kind in element_types(proto).items() if kind == _FLOAT)


def split_batch_norms(proto: ModelProto) -> None:
    """Write what is left of batch norms as one Mul and one Add."""
    from onnx import helper, numpy_helper

    graph = proto.graph
    index, ranks = Index(graph), _ranks(proto)
    kept: list[NodeProto] = []
    for node in list(graph.node):
        rank = ranks.get(node.input[0], 0) if node.input else 0
        numbers = [index.constant(name) for name in node.input[1:5]]
        if node.op_type != "BatchNormalization" or rank < 2 or any(n is None for n in numbers):
            kept.append(node)
            continue
        scale, bias, mean, var = (np.asarray(one, np.float64) for one in numbers)
        gain = scale / np.sqrt(var + attribute_of(node, "epsilon", 1e-5))
        shape = (-1, *(1,) * (rank - 2))
        stem = node.output[0]
        for name, values in (("gain", gain), ("shift", bias - mean * gain)):
            array = values.astype(np.float32).reshape(shape)
            graph.initializer.append(numpy_helper.from_array(array, f"{stem}/{name}"))
        product = helper.make_node("Mul", [node.input[0], f"{stem}/gain"], [f"{stem}/scaled"])
        kept += [product, helper.make_node("Add", [f"{stem}/scaled", f"{stem}/shift"], [stem])]
    nodes = [type(one).FromString(one.SerializeToString()) for one in kept]
    del graph.node[:]
    graph.node.extend(nodes)
    drop_unused(graph)


def _ranks(proto: ModelProto) -> dict[str, int]:
    return {name: len(shape) for name, shape in infer_shapes(proto).items()}


def infer_shapes(proto: ModelProto) -> dict[str, tuple[int | None, ...]]:
    """Sizes of each value for one image, or the graph's own batch; None: one that is not known."""
    import onnx

    bare = copy_bare(proto)
    for one in (*bare.graph.input, *bare.graph.output):
        for size in one.type.tensor_type.shape.dim[:1]:
            if not size.dim_value:
                size.dim_value = 1
    found: dict[str, tuple[int | None, ...]] = {
        tensor.name: tuple(tensor.dims) for tensor in proto.graph.initializer
    }
    inferred = onnx.shape_inference.infer_shapes(bare, data_prop=True).graph
    for value in (*inferred.input, *inferred.value_info, *inferred.output):
        tensor_type = value.type.tensor_type
        if tensor_type.HasField("shape"):
            found[value.name] = tuple(
                size.dim_value if size.HasField("dim_value") else None
                for size in tensor_type.shape.dim
            )
    return found


def free_batch(proto: ModelProto) -> None:
    """Let a graph of one image take any number: the batch is stated, and shapes name it no more.

    Whether the graph then computes each image by itself has to be tried.
    """
    graph = proto.graph
    shapes = infer_shapes(proto)
    index = Index(graph)
    for node in list(graph.node):
        if node.op_type == "Reshape":
            _free_reshape(graph, index, node, shapes)
        elif node.op_type == "Concat":
            _spread_constants(graph, index, node, shapes)
    for one in (*graph.input, *graph.output):
        one.type.tensor_type.shape.dim[0].dim_param = "batch"
    graph.ClearField("value_info")
    drop_unused(graph)


def _begins_with_one(shapes: dict[str, tuple[int | None, ...]], name: str) -> bool:
    return shapes.get(name, ())[:1] == (1,)


def _free_reshape(
    graph: Any, index: Index, node: NodeProto, shapes: dict[str, tuple[int | None, ...]]
) -> None:
    """The batch is the slowest axis of what is reshaped, alone or with others: -1 finds it."""
    from onnx import numpy_helper

    sizes = shapes.get(node.output[0], ())
    if not index.is_constant(node.input[1]) or not sizes or None in sizes or 0 in sizes:
        return
    fresh = np.array([-1, *sizes[1:]], np.int64)
    name = f"{node.output[0]}/shape"
    graph.initializer.append(numpy_helper.from_array(fresh, name))
    node.input[1] = name


def _spread_constants(
    graph: Any, index: Index, node: NodeProto, shapes: dict[str, tuple[int | None, ...]]
) -> None:
    """A constant that is joined to each image, such as a class token, is needed for every one."""
    from onnx import helper, numpy_helper

    if attribute_of(node, "axis", 0) == 0:
        return
    others = [name for name in node.input if not index.is_constant(name)]
    tokens = [
        name for name in node.input
        if index.is_constant(name) and _begins_with_one(shapes, name)
    ]  # fmt: skip
    if not others or not tokens or not _begins_with_one(shapes, others[0]):
        return
    rank = len(shapes[others[0]])
    stem = node.output[0]
    position = next(at for at, one in enumerate(graph.node) if one.output[:1] == node.output[:1])
    ones = numpy_helper.from_array(np.ones(rank - 1, np.int64), f"{stem}/ones")
    first = [numpy_helper.from_array(np.array([one]), f"{stem}/{one}") for one in (0, 1)]
    graph.initializer.extend((ones, *first))
    made = [
        helper.make_node("Shape", [others[0]], [f"{stem}/sizes"]),
        helper.make_node("Slice", [f"{stem}/sizes", f"{stem}/0", f"{stem}/1"], [f"{stem}/batch"]),
        helper.make_node("Concat", [f"{stem}/batch", f"{stem}/ones"], [f"{stem}/spread"], axis=0),
    ]
    for at, name in enumerate(tokens):
        made.append(helper.make_node("Expand", [name, f"{stem}/spread"], [f"{stem}/token{at}"]))
        node.input[:] = [f"{stem}/token{at}" if one == name else one for one in node.input]
    for offset, one in enumerate(made):
        graph.node.insert(position + offset, one)
