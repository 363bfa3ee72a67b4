"""The parts of a network that times and kernels are grouped by."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["PLAIN", "ROLES", "Parts", "part_of_node", "part_of_nodes", "parts_by_role"]

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
    # Whether names tell nothing, so that parts are roles, which a graph tells (`parts_by_role`).
    by_role: bool = False
    products: frozenset[str] = frozenset()  # names of nodes that are products, by role

    def is_depthwise(self, node: str) -> bool:
        """Whether a node is a depthwise convolution."""
        if self.by_role:
            return (self.of_node(node) or "").endswith(_DEPTHWISE)
        return bool(self.depthwise) and self.depthwise in node

    def is_in_block(self, node: str) -> bool:
        """Whether a node is known to stand inside a residual block."""
        return bool(self.block) and self.block in node


_DEPTHWISE = "depthwise"
# In the order of a table: within a stage, then what is the same everywhere.
ROLES = (
    "first", "conv", "pointwise", _DEPTHWISE, "grouped", "linear", "attention", "gate", "norm",
    "activation", "pool", "residual", "last", "quantize", "reorder", "other",
)  # fmt: skip
_WITH_WEIGHTS = frozenset(ROLES[:7]) | {"last"}


def parts_by_role(roles: Mapping[str, tuple[str, int | None]]) -> Parts:
    """Parts of one graph by the roles of its nodes: `stage 2 depthwise`.

    Args:
        roles: By name of a node: its role, and its stage from 0, or None where that is left out.
    """
    shown = {node: _name(*part) for node, part in roles.items()}
    found = sorted({*roles.values(), *((role, None) for role in ROLES[-3:])}, key=_place)
    weighted = frozenset(_name(*part) for part in found if part[0] in _WITH_WEIGHTS)
    products = frozenset(node for node, part in roles.items() if part[0] in _WITH_WEIGHTS)
    names = tuple(_name(*part) for part in found)
    return Parts(names, weighted, shown.get, by_role=True, products=products)


def _name(role: str, stage: int | None) -> str:
    return role if stage is None else f"stage {stage + 1} {role}"


def _place(part: tuple[str, int | None]) -> tuple[int, int, int]:
    role, stage = part
    at = ROLES.index(role)
    ends = {"first": 0, "last": 2}.get(role, 1 if stage is not None else 3)
    return ends, stage or 0, at


# For a graph of an unknown family.
PLAIN = Parts(("quantize", "reorder", "other"), frozenset(), lambda _name: None)


def part_of_node(name: str, parts: Parts) -> str | None:
    """Find the part of the network that a node belongs to; None if its name does not show it."""
    if parts.by_role and (part := parts.of_node(name)) is not None:
        return part
    return "quantize" if _QUANTIZER_NAME.search(name) else parts.of_node(name)


def part_of_nodes(nodes: Sequence[str], parts: Parts) -> str:
    """Find the part of fused nodes: the part of their product, otherwise that of most of them."""
    found = {node: part_of_node(node, parts) for node in nodes}
    for node, part in found.items():
        named = node.partition("/")[2].startswith(_PRODUCTS)
        if part in parts.weighted and (node in parts.products or (named and not parts.products)):
            return str(part)
    counts = Counter(part for part in found.values() if part is not None)
    # A quantizer at the end of elementwise work takes little of the time.
    own = [(part, count) for part, count in counts.most_common() if part != "quantize"]
    return own[0][0] if own else "quantize" if counts else "other"
