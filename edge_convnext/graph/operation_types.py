"""Types of operations that a user names, such as `Conv`."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from edge_convnext.core.errors import QuantizationError, shorten

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from onnx import ModelProto

__all__ = ["require_types"]


def require_types(proto: ModelProto, types: Collection[str], path: Path) -> None:
    """Refuse a type that neither the graph nor ONNX has; another form may have it where one lacks.

    Args:
        proto: Graph.
        types: Types that are to stay float.
        path: Path to name in messages.

    Raises:
        QuantizationError: There is no such type; the message lists those of the graph.
    """
    there = {node.op_type for node in proto.graph.node}
    unknown = [one for one in types if one not in there]
    if not unknown:
        return
    from onnx import defs

    for one in unknown:
        if not defs.has(one):
            near = difflib.get_close_matches(one, sorted(there), n=1)
            hint = f"did you mean {near[0]}? The" if near else "the"
            raise QuantizationError(
                f"{path}: ignored_types has '{shorten(one, 60)}', which is no operation of ONNX; "
                f"{hint} graph has {', '.join(sorted(there))}"
            )
