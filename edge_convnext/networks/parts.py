"""The parts of a network that times and kernels are counted for."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["PLAIN", "Parts", "part_of_node", "part_of_nodes"]

_PRODUCTS = ("Conv", "MatMul", "Gemm")
_QUANTIZER_NAME = re.compile("^(Quantize|Dequantize)Linear|/(Quantize|Dequantize)Linear|_d?q$")


@dataclass(frozen=True)
class Parts:
    """What the nodes of a family's graphs are called after; nodes are `<module path>/<OpType>`."""

    names: tuple[str, ...]  # in the order of a table; `quantize`, `reorder` and `other` among them
    weighted: frozenset[str]  # those with weights: nodes fused with their product count for them
    of_node: Callable[[str], str | None]  # part by name of a node that quantizes nothing
    depthwise: str = ""  # in the names of depthwise convolutions alone; empty: there are none
    block: str = ""  # in the names of nodes inside residual blocks alone; empty: there are none


# Of a graph that no family is known of.
PLAIN = Parts(("quantize", "reorder", "other"), frozenset(), lambda _name: None)


def part_of_node(name: str, parts: Parts) -> str | None:
    """The part of the network that a node belongs to; None if its name tells none."""
    return "quantize" if _QUANTIZER_NAME.search(name) else parts.of_node(name)


def part_of_nodes(nodes: Sequence[str], parts: Parts) -> str:
    """The part that fused nodes count for: that of their product, else of most of them."""
    found = {node: part_of_node(node, parts) for node in nodes}
    for node, part in found.items():
        if part in parts.weighted and node.partition("/")[2].startswith(_PRODUCTS):
            return str(part)
    counts = Counter(part for part in found.values() if part is not None)
    # A quantizer at the end of elementwise work is not what the time goes into.
    own = [(part, count) for part, count in counts.most_common() if part != "quantize"]
    return own[0][0] if own else "quantize" if counts else "other"
