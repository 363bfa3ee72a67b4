"""Names of an exported graph that survive a change of torch version.

The dynamo exporter numbers nodes and values. Here every node is named `<module path>/<OpType>`
(`stages.2.blocks.3.fc1/MatMul`), every value after the node that makes it, and every weight after
its parameter.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnx

__all__ = ["INPUT_NAME", "OUTPUT_NAME", "name_by_modules"]

INPUT_NAME = "images"
OUTPUT_NAME = "logits"
_SCOPES = "pkg.torch.onnx.name_scopes"
_WEIGHTED = {"Conv": ("weight", "bias"), "Gemm": ("weight", "bias"), "MatMul": ("weight",)}


def name_by_modules(proto: onnx.ModelProto, wrapped: bool = False) -> None:
    """Name nodes, values and weights of what the dynamo exporter wrote.

    Args:
        proto: Graph of the exporter; it is changed.
        wrapped: True if the network is the `body` of a `HalfBody`, which names leave out.
    """
    graph = proto.graph
    taken: Counter[str] = Counter()
    values = {INPUT_NAME: INPUT_NAME, OUTPUT_NAME: OUTPUT_NAME}
    for node in graph.node:
        stem = f"{_module_path(node, wrapped)}/{node.op_type}".lstrip("/")
        node.name = f"{stem}_{taken[stem]}" if taken[stem] else stem
        taken[stem] += 1
        for position, value in enumerate(node.output):
            fresh = node.name if position == 0 else f"{node.name}:{position}"
            values.setdefault(value, fresh)
    values.update(_name_constants(graph, set(values), wrapped))
    for node in graph.node:
        node.input[:] = [values.get(name, name) for name in node.input]
        node.output[:] = [values.get(name, name) for name in node.output]
        del node.metadata_props[:]
        node.doc_string = ""
    for initializer in graph.initializer:
        initializer.name = values.get(initializer.name, initializer.name)
        initializer.doc_string = ""
        del initializer.metadata_props[:]
    del graph.value_info[:]  # shape inference rebuilds it with the new names
    del graph.metadata_props[:]
    graph.name = "edge_convnext"
    for border in (*graph.input, *graph.output):
        del border.metadata_props[:]
    del proto.functions[:]


def _module_path(node: onnx.NodeProto, wrapped: bool) -> str:
    for entry in node.metadata_props:
        if entry.key == _SCOPES:
            scopes = ast.literal_eval(entry.value)
            path = str(scopes[-2]) if len(scopes) > 1 else ""
            return path.removeprefix("body").lstrip(".") if wrapped else path
    return ""


def _name_constants(graph: onnx.GraphProto, known: set[str], wrapped: bool) -> dict[str, str]:
    """Choose names for initializers that the exporter numbered: `val_7`, `view_2`."""
    uses: dict[str, list[tuple[onnx.NodeProto, int]]] = {}
    for node in graph.node:
        for position, name in enumerate(node.input):
            uses.setdefault(name, []).append((node, position))
    # A parameter keeps its own name.
    names = {
        one.name: one.name.removeprefix("body.") if wrapped else one.name
        for one in graph.initializer
        if "." in one.name and not one.name.startswith("val")
    }
    free = _Free(names.values())
    shared = 0
    for initializer in graph.initializer:
        users = uses.get(initializer.name, [])
        if initializer.name in names or initializer.name in known or not users:
            continue
        node, position = users[0]
        parts = _WEIGHTED.get(node.op_type, ())
        if len(users) > 1:
            names[initializer.name] = free(f"shared_constant_{shared}")
            shared += 1
        elif 0 < position <= len(parts):
            path = node.name.partition("/")[0]
            names[initializer.name] = free(f"{path}.{parts[position - 1]}")
        else:
            names[initializer.name] = free(f"{node.name}.input_{position}")
    return names


class _Free:
    """Names that nothing else has: a folded weight may be called as a parameter that stays."""

    def __init__(self, taken: Iterable[str]) -> None:
        self._taken = set(taken)

    def __call__(self, name: str) -> str:
        found = next(one for one in self._spellings(name) if one not in self._taken)
        self._taken.add(found)
        return found

    @staticmethod
    def _spellings(name: str) -> Iterator[str]:
        yield name
        yield from (f"{name}_{number}" for number in count(1))
