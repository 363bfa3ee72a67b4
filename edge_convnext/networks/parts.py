"""The parts of a network that times and kernels are grouped by."""

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
    """The parts of a family's network, found by node names `<module path>/<OpType>`."""

    names: tuple[str, ...]  # in table order; includes `quantize`, `reorder` and `other`
    weighted: frozenset[str]  # parts with weights; nodes fused with a product count for its part
    of_node: Callable[[str], str | None]  # the part of a node that is not a quantizer, by its name
    depthwise: str = ""  # text found only in names of depthwise convolutions; empty: there are none
    block: str = ""  # text found only in names of nodes inside residual blocks; empty: none


# For a graph of an unknown family.
PLAIN = Parts(("quantize", "reorder", "other"), frozenset(), lambda _name: None)


def part_of_node(name: str, parts: Parts) -> str | None:
    """Find the part of the network that a node belongs to; None if its name does not show it."""
    return "quantize" if _QUANTIZER_NAME.search(name) else parts.of_node(name)


def part_of_nodes(nodes: Sequence[str], parts: Parts) -> str:
    """Find the part of fused nodes: the part of their product, otherwise that of most of them."""
    found = {node: part_of_node(node, parts) for node in nodes}
    for node, part in found.items():
        if part in parts.weighted and node.partition("/")[2].startswith(_PRODUCTS):
            return str(part)
    counts = Counter(part for part in found.values() if part is not None)
    # A quantizer at the end of elementwise work takes little of the time.
    own = [(part, count) for part, count in counts.most_common() if part != "quantize"]
    return own[0][0] if own else "quantize" if counts else "other"
