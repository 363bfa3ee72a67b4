"""What a board lacks to run engines, by what `doctor` says there: told before the copy begins."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["why_no_engines"]

_ENGINES = ("tensorrt", "rtx")  # targets of `doctor`


def why_no_engines(seen: Mapping[str, Any]) -> str:
    """The reason why a board with a GPU runs no engine; empty where it runs some, or has no GPU.

    Args:
        seen: Output of `doctor --json` there, of this version or a later one.
    """
    if not seen.get("jetson") and not seen.get("gpus"):
        return ""
    found = [
        one
        for one in seen.get("abilities") or ()
        if isinstance(one, dict) and one.get("kind") == "target" and one.get("name") in _ENGINES
    ]
    if not found or any(one.get("works") for one in found):
        return ""
    first = min(found, key=lambda one: _ENGINES.index(one["name"]))
    reason = " ".join(str(first.get("reason") or "no reason is given").split())
    return f"no engine will be built there, and its GPU is not measured: {reason}"
