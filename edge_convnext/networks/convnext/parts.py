"""The parts of a ConvNeXt that times and kernels are grouped by."""

from __future__ import annotations

from edge_convnext.networks.parts import Parts

__all__ = ["PARTS"]

_MODULES = {
    "dwconv": "dwconv", "norm": "norm", "pwconv1": "pwconv1", "act": "gelu", "grn": "grn",
    "pwconv2": "pwconv2",
}  # fmt: skip


def _part_of_node(name: str) -> str | None:
    path, _, operation = name.partition("/")
    modules = path.split(".")
    if modules[0] in ("stem", "head"):
        return modules[0]
    if "downsample" in modules:
        return "downsample"
    if modules[-1] in _MODULES:
        return _MODULES[modules[-1]]
    if "blocks" in modules:
        return "residual" if operation.startswith("Add") else "reorder"
    return None


PARTS = Parts(
    names=(
        "stem", "downsample", "dwconv", "norm", "pwconv1", "gelu", "grn", "pwconv2", "residual",
        "head", "quantize", "reorder", "other",
    ),
    weighted=frozenset(("stem", "downsample", "dwconv", "pwconv1", "pwconv2", "head")),
    of_node=_part_of_node,
    depthwise=".dwconv/",
    block=".blocks.",
)  # fmt: skip
