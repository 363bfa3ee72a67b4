"""Compute capabilities that TensorRT for RTX compiles for: one list for all commands."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_convnext.core.errors import RecipeError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["RTX_CAPABILITIES", "check_rtx_capabilities"]

# `tensorrt_rtx.ComputeCapability` of version 1.7. For 7.5 it refuses FP32 products, which the
# graphs for GPUs have only with --precision fp32.
RTX_CAPABILITIES = ("7.5", "8.0", "8.6", "8.9", "12.0", "12.1")
_HERE = "current"  # of the GPU of this machine
_JETSONS = {
    "8.7": "a Jetson Orin: --target tensorrt",
    "11.0": "a Jetson Thor: --target tensorrt",
    "7.2": "a Jetson Xavier, which gets ONNX files only: --target cpu",
}


def check_rtx_capabilities(capabilities: Sequence[str]) -> None:
    """Refuse, before any work, capabilities that TensorRT for RTX can't compile for.

    Raises:
        RecipeError: A capability is unknown or repeated, or there is none.
    """
    known = ", ".join(RTX_CAPABILITIES)
    for one in capabilities:
        if one in _JETSONS:
            raise RecipeError(
                f"compute capability {one} is {_JETSONS[one]} (TensorRT for RTX compiles for "
                f"{known})"
            )
        if one not in (*RTX_CAPABILITIES, _HERE):
            raise RecipeError(
                f"compute capability {one}: TensorRT for RTX compiles for {known}; a machine with "
                "another GPU builds its own engine with --target tensorrt"
            )
    if not capabilities or len(set(capabilities)) != len(capabilities):
        raise RecipeError(
            f"compute capabilities {', '.join(capabilities) or '(none)'}: choose one or more of "
            f"{known}, each once"
        )
