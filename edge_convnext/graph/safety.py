"""Check a graph that may come from a stranger, before a runtime reads it.

A runtime allocates what a graph asks for, folds its constants, unrolls its functions and opens the
files that it names. `edge-convnext build` writes one file with few kinds of operations, and every
tensor's size can be inferred. Anything else is refused.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from edge_convnext.core.errors import ArtifactError, shorten
from edge_convnext.core.liveness import largest_at_a_time
from edge_convnext.graph.bare import add_bare

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from onnx import GraphProto, ModelProto, TensorProto

__all__ = ["check_graph", "why_odd", "why_odd_constant", "why_odd_size"]

# All that the graphs of any family have, by what they do. None of them holds another graph, and the
# size of what each makes is inferred from what it reads.
_MOVES = frozenset((
    "Cast", "Concat", "Constant", "DepthToSpace", "Expand", "Flatten", "Gather",
    "GatherElements", "GatherND", "Identity", "Pad", "Range", "Reshape", "Resize", "ScatterND",
    "Shape", "Slice", "SpaceToDepth", "Split", "Squeeze", "Tile", "Transpose", "Trilu",
    "Unsqueeze",
))  # fmt: skip
_ARITHMETIC = frozenset((
    "Abs", "Add", "And", "Ceil", "Clip", "Cos", "CumSum", "Div", "Equal", "Erf", "Exp", "Floor",
    "Greater", "GreaterOrEqual", "IsInf", "IsNaN", "Less", "LessOrEqual", "Log", "Max", "Min",
    "Mod", "Mul", "Neg", "Not", "Or", "Pow", "Reciprocal", "Round", "Sign", "Sin", "Sqrt",
    "Sub", "Where",
))  # fmt: skip
_ACTIVATIONS = frozenset((
    "Celu", "Elu", "Gelu", "HardSigmoid", "HardSwish", "LeakyRelu", "LogSoftmax", "Mish", "PRelu",
    "Relu", "Selu", "Sigmoid", "Softmax", "Softplus", "Softsign", "Tanh",
))  # fmt: skip
_REDUCTIONS = frozenset((
    "AveragePool", "GlobalAveragePool", "GlobalMaxPool", "LpPool", "MaxPool", "ReduceL1",
    "ReduceL2", "ReduceLogSumExp", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd",
    "ReduceSum", "ReduceSumSquare",
))  # fmt: skip
_NORMS = frozenset((
    "BatchNormalization", "GroupNormalization", "InstanceNormalization", "LayerNormalization",
    "LpNormalization", "LRN", "RMSNormalization",
))  # fmt: skip
_LAYERS = frozenset((
    "Conv", "ConvTranspose", "DequantizeLinear", "Gemm", "MatMul", "QuantizeLinear",
))  # fmt: skip
_OPERATIONS = _MOVES | _ARITHMETIC | _ACTIVATIONS | _REDUCTIONS | _NORMS | _LAYERS
_PRODUCTS = frozenset(
    ("MatMulIntegerToFloat", "DynamicQuantizeMatMul")
)  # ONNX Runtime's operations
_STANDARD = ("", "ai.onnx")
_OF_ONNX_RUNTIME = "com.microsoft"

_MOST_NODES = 20_000  # the largest model has 2,000
_IMAGE_BYTES = (
    2 << 30
)  # the most that one image may take at a time; huge at 1024 pixels takes 0.9 GB
_FOLDED = 16  # times the file: the most that constants may grow to, as INT8 weights do to float
_SPARE_BYTES = 64 << 20

# By number of TensorProto.DataType; of float16 and bfloat16, `int32_data` has one a number.
_ITEM_BYTES = {1: 4, 2: 1, 3: 1, 4: 2, 5: 2, 6: 4, 7: 8, 9: 1, 10: 2, 11: 8, 12: 4, 13: 8, 16: 2}
_UNKNOWN_BYTES = 8


def check_graph(proto: ModelProto, path: Path, further: frozenset[str] = frozenset()) -> None:
    """Check that a graph is of the kind that a build writes, and what it takes to run it.

    Args:
        proto: Whole graph, with its weights.
        path: Path for the message.
        further: Types of operations that the network's family has beside the usual ones.

    Raises:
        ArtifactError: See `why_odd`.
    """
    if (reason := why_odd(proto, further)) is not None:
        raise ArtifactError(f"{path}: {reason}; pass a model that `edge-convnext build` wrote")


def why_odd(proto: ModelProto, further: frozenset[str] = frozenset()) -> str | None:
    """Reason why no build writes such a graph; None for a usual one.

    It names other files or operations, holds functions or other graphs, its tensors are not what
    their shapes say, or running it takes more memory than a built model can.
    """
    return (
        _odd_structure(proto, further)
        or next(filter(None, map(why_odd_constant, _tensors(proto.graph))), None)
        or why_odd_size(proto)
    )


def _odd_structure(proto: ModelProto, further: frozenset[str]) -> str | None:
    graph = proto.graph
    if proto.functions or proto.training_info or graph.sparse_initializer:
        return "holds functions, training or sparse weights, which no build writes"
    if len(graph.node) > _MOST_NODES:
        return f"has {len(graph.node)} operations, a build writes at most {_MOST_NODES}"
    for node in graph.node:
        known = _PRODUCTS if node.domain == _OF_ONNX_RUNTIME else _OPERATIONS | further
        if node.op_type not in known or node.domain not in (*_STANDARD, _OF_ONNX_RUNTIME):
            name = f"{node.domain}.{node.op_type}" if node.domain else node.op_type
            return f"has the operation {shorten(name)}, which no build writes"
        for attribute in node.attribute:
            if attribute.HasField("g") or attribute.graphs or attribute.HasField("sparse_tensor"):
                return f"holds a graph in the operation {shorten(node.name or node.op_type)}"
    if len(graph.input) != 1 or len(graph.output) < 1:
        return f"has {len(graph.input)} inputs and {len(graph.output)} outputs; images are needed"
    return None


def _tensors(graph: GraphProto) -> Iterator[TensorProto]:
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors


def why_odd_constant(tensor: TensorProto) -> str | None:
    """Reason why a constant does not have the size of its shape."""
    name = shorten(tensor.name or "a constant")
    if tensor.data_location == tensor.EXTERNAL or tensor.external_data:
        return f"'{name}' lies in another file, and a build writes one"
    if tensor.data_type not in _ITEM_BYTES or any(size < 0 for size in tensor.dims):
        return f"'{name}' has a type or a shape that no weights have"
    wanted = math.prod(tensor.dims)
    if tensor.HasField("raw_data"):
        found, exact = len(tensor.raw_data), wanted * _ITEM_BYTES[tensor.data_type]
    else:
        fields = ("float_data", "int32_data", "int64_data", "double_data", "uint64_data")
        found, exact = sum(len(getattr(tensor, field)) for field in fields), wanted
    if found != exact:
        return f"'{name}' is truncated: its shape is {shorten(str(list(tensor.dims)))}"
    return None


def why_odd_size(proto: ModelProto, open_sizes: bool = False) -> str | None:
    """Reason why the graph takes too much memory: constants that grow, values of one image.

    Args:
        proto: Graph of one input, of ONNX's own operations or ONNX Runtime's products.
        open_sizes: True lets values pass, uncounted, whose size can't be inferred.
    """
    graph = proto.graph
    sizes = _infer_sizes(proto)
    if isinstance(sizes, str):
        return sizes
    constants = {tensor.name for tensor in graph.initializer}
    folded, most_folded = 0, _FOLDED * proto.ByteSize() + _SPARE_BYTES
    steps: list[tuple[Sequence[str], Sequence[str]]] = [((), [graph.input[0].name])]
    for node in graph.node:
        outputs = [name for name in node.output if name]
        for name in outputs:
            if name not in sizes and not open_sizes:
                return f"the size of '{shorten(name)}' can't be inferred"
        if all(name in constants or not name for name in node.input):
            constants.update(outputs)
            folded += sum(sizes.get(name, 0) for name in outputs)
        else:
            steps.append((node.input, outputs))
        if folded > most_folded:
            return f"its constants unfold to over {folded} bytes"
    if (taken := largest_at_a_time(sizes, steps)) > _IMAGE_BYTES:
        return f"takes {taken} bytes for one image, over {_IMAGE_BYTES}"
    return None


def _infer_sizes(proto: ModelProto) -> Mapping[str, int] | str:
    """Bytes of every value for one image, as far as ONNX infers them; or why it can't."""
    import onnx

    bare = onnx.ModelProto(ir_version=proto.ir_version)
    bare.opset_import.extend(one for one in proto.opset_import if one.domain in _STANDARD)
    bare.graph.name = "sizes"
    bare.graph.input.extend(proto.graph.input)
    # Not the outputs: where what they declare contradicts the operations, ONNX would believe them.
    for value in (*proto.graph.input, *proto.graph.output):
        if not value.type.HasField("tensor_type"):
            return f"'{shorten(value.name)}' is no tensor"
    shape = bare.graph.input[0].type.tensor_type.shape.dim
    if len(shape) and not shape[0].dim_value:  # the batch
        shape[0].dim_value = 1
    images = [one.dim_value for one in bare.graph.input[0].type.tensor_type.shape.dim]
    if len(images) != 4 or min(images) < 1:
        return f"its input has the shape {shorten(str(images))}, not that of images"
    add_bare(bare.graph, proto.graph.initializer)
    for node in proto.graph.node:
        if node.op_type in _PRODUCTS:
            _stand_in(bare.graph, node.input, node.output[0])
        else:
            bare.graph.node.append(node)
    try:
        inferred = onnx.shape_inference.infer_shapes(bare, data_prop=True).graph
    except Exception as error:  # its exceptions share no other base class
        return f"its shapes contradict each other ({shorten(' '.join(str(error).split()))})"
    sizes: dict[str, int] = {}
    for value in (*inferred.input, *inferred.value_info):
        tensor_type = value.type.tensor_type
        dims = [one.dim_value for one in tensor_type.shape.dim if one.HasField("dim_value")]
        if tensor_type.HasField("shape") and len(dims) == len(tensor_type.shape.dim):
            item = _ITEM_BYTES.get(tensor_type.elem_type, _UNKNOWN_BYTES)
            sizes[value.name] = math.prod(dims) * item
    return sizes


def _stand_in(graph: GraphProto, inputs: Sequence[str], output: str) -> None:
    """Replace ONNX Runtime's products, which ONNX does not know, by MatMul of the same shape."""
    import onnx

    floats = [f"{output}/{side}" for side in ("left", "right")]
    for source, target in zip(inputs[:2], floats, strict=False):
        graph.node.append(onnx.helper.make_node("Cast", [source], [target], to=1))
    graph.node.append(onnx.helper.make_node("MatMul", floats, [output]))
