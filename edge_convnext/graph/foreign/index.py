"""Look-ups in a graph: who makes a value, who reads it, and which values are constant."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_convnext.graph.file import copy_message

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from numpy.typing import NDArray
    from onnx import GraphProto, NodeProto

__all__ = ["Index", "attribute_of", "drop_unused", "inline_constants", "rename_values"]


class Index:
    """Makers, readers and constants of a graph as it is now; a changed graph needs a new one."""

    def __init__(self, graph: GraphProto) -> None:
        from onnx import numpy_helper

        self.graph = graph
        self.makers = {name: node for node in graph.node for name in node.output if name}
        self.readers: dict[str, list[NodeProto]] = {}
        for node in graph.node:
            for name in dict.fromkeys(node.input):
                self.readers.setdefault(name, []).append(node)
        self.outputs = {one.name for one in graph.output}
        self._tensors = {tensor.name: tensor for tensor in graph.initializer}
        self._read = numpy_helper.to_array

    def is_constant(self, name: str) -> bool:
        """Whether a value is a weight."""
        return name in self._tensors

    def constant(self, name: str) -> NDArray[Any] | None:
        """A weight; None: no weight."""
        return self._read(self._tensors[name]) if name in self._tensors else None

    def scalar(self, name: str) -> float | None:
        """A weight of one number; None: none."""
        tensor = self._tensors.get(name)
        if tensor is None or any(size != 1 for size in tensor.dims):
            return None
        return float(self._read(tensor).reshape(()))

    def only_reader(self, name: str) -> NodeProto | None:
        """The one operation that reads a value; None where others do, or the graph gives it."""
        found = self.readers.get(name, ())
        return found[0] if len(found) == 1 and name not in self.outputs else None

    def only_made_by(self, name: str) -> NodeProto | None:
        """The operation that makes a value which nobody else reads."""
        return self.makers.get(name) if self.only_reader(name) is not None else None


def attribute_of(node: NodeProto, name: str, default: Any = None) -> Any:
    """The value of an attribute, or the default."""
    import onnx

    for one in node.attribute:
        if one.name == name:
            return onnx.helper.get_attribute_value(one)
    return default


def inline_constants(graph: GraphProto) -> None:
    """Make weights of Constant operations; those that hold no numbers stay."""
    import numpy as np
    from onnx import numpy_helper

    kept = []
    for node in graph.node:
        tensor = _constant_of(node) if node.op_type == "Constant" else None
        if tensor is None:
            kept.append(node)
            continue
        array = tensor if isinstance(tensor, np.ndarray) else numpy_helper.to_array(tensor)
        graph.initializer.append(numpy_helper.from_array(array, node.output[0]))
    _replace_nodes(graph, kept)


def _constant_of(node: NodeProto) -> Any:
    import numpy as np

    found = {one.name: one for one in node.attribute}
    if "value" in found:
        return found["value"].t
    if "value_float" in found:
        return np.array(found["value_float"].f, np.float32)
    if "value_floats" in found:
        return np.array(found["value_floats"].floats, np.float32)
    if "value_int" in found:
        return np.array(found["value_int"].i, np.int64)
    if "value_ints" in found:
        return np.array(found["value_ints"].ints, np.int64)
    return None


def _replace_nodes(graph: GraphProto, nodes: Iterable[NodeProto]) -> None:
    kept = [copy_message(node) for node in nodes]
    del graph.node[:]
    graph.node.extend(kept)


def drop_unused(graph: GraphProto) -> None:
    """Take out operations and weights that no output needs."""
    needed = {one.name for one in graph.output}
    kept: list[NodeProto] = []
    for node in reversed(graph.node):
        if needed.intersection(name for name in node.output if name):
            kept.append(node)
            needed.update(node.input)
    if len(kept) != len(graph.node):
        _replace_nodes(graph, reversed(kept))
    weights = [tensor for tensor in graph.initializer if tensor.name in needed]
    if len(weights) != len(graph.initializer):
        copies = [type(one).FromString(one.SerializeToString()) for one in weights]
        del graph.initializer[:]
        graph.initializer.extend(copies)


def rename_values(graph: GraphProto, name_of: Callable[[str], str]) -> None:
    """Give every value of a graph the name that `name_of` has for it; shapes are dropped."""
    for node in graph.node:
        node.input[:] = [name_of(name) if name else "" for name in node.input]
        node.output[:] = [name_of(name) if name else "" for name in node.output]
    for tensor in graph.initializer:
        tensor.name = name_of(tensor.name)
    for border in (*graph.input, *graph.output):
        border.name = name_of(border.name)
    graph.ClearField("value_info")
