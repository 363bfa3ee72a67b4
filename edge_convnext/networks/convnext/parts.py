"""The parts of a ConvNeXt, which times and kernels are counted for."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, get_args

if TYPE_CHECKING:
    pass

__all__ = ["PARTS", "Part", "part_of_node", "part_of_nodes"]

Part = Literal[
    "stem", "downsample", "dwconv", "norm", "pwconv1", "gelu", "grn", "pwconv2", "residual",
    "head", "quantize", "reorder", "other",
]  # fmt: skip


PARTS: tuple[Part, ...] = get_args(Part)


_MODULES: dict[str, Part] = {
    "dwconv": "dwconv", "norm": "norm", "pwconv1": "pwconv1", "act": "gelu", "grn": "grn",
    "pwconv2": "pwconv2",
}  # fmt: skip


_WEIGHTED: tuple[Part, ...] = ("stem", "downsample", "dwconv", "pwconv1", "pwconv2", "head")


_PRODUCTS = ("Conv", "MatMul", "Gemm")


_QUANTIZER_NAME = re.compile("^(Quantize|Dequantize)Linear|/(Quantize|Dequantize)Linear|_d?q$")


def part_of_node(name: str) -> Part | None:
    """The part of the network that a node belongs to, by its module path; None if it tells none."""
    if _QUANTIZER_NAME.search(name):
        return "quantize"
    path, _, operation = name.partition("/")
    modules = path.split(".")
    if modules[0] in ("stem", "head"):
        return "stem" if modules[0] == "stem" else "head"
    if "downsample" in modules:
        return "downsample"
    if modules[-1] in _MODULES:
        return _MODULES[modules[-1]]
    if "blocks" in modules:
        return "residual" if operation.startswith("Add") else "reorder"
    return None


def part_of_nodes(nodes: Sequence[str]) -> Part:
    """The part that fused nodes count for: that of their product, else of most of them."""
    parts = {node: part_of_node(node) for node in nodes}
    for node, part in parts.items():
        if part in _WEIGHTED and node.partition("/")[2].startswith(_PRODUCTS):
            return part
    counts = Counter(part for part in parts.values() if part is not None)
    # A quantizer at the end of elementwise work is not what the time goes into.
    own = [(part, count) for part, count in counts.most_common() if part != "quantize"]
    return own[0][0] if own else "quantize" if counts else "other"
