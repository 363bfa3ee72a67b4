"""A graph without the values of its weights: all that shapes and types are inferred from.

Small constants keep theirs: they are sizes and axes that shapes depend on. protobuf holds no
message of 2 GiB, and a copy of the weights would take as much memory again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from onnx import GraphProto, ModelProto, TensorProto

__all__ = ["add_bare", "copy_bare"]

_FEW_BYTES = 2048  # more than any shape or list of axes takes, with its name


def copy_bare(proto: ModelProto) -> ModelProto:
    """A copy of a graph: its nodes, inputs, outputs and constants, without metadata."""
    import onnx

    bare = onnx.ModelProto(ir_version=proto.ir_version, opset_import=proto.opset_import)
    for part in ("node", "input", "output"):
        getattr(bare.graph, part).extend(getattr(proto.graph, part))
    add_bare(bare.graph, proto.graph.initializer)
    return bare


def add_bare(graph: GraphProto, tensors: Iterable[TensorProto]) -> None:
    """Add constants to a graph, large ones by their name, type and shape alone."""
    for tensor in tensors:
        if tensor.ByteSize() <= _FEW_BYTES:
            graph.initializer.append(tensor)
        else:
            graph.initializer.add(name=tensor.name, data_type=tensor.data_type, dims=tensor.dims)
