"""LiteRT has one plan for each network (`plans`): what that means for a search of plans."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_convnext.core.errors import RecipeError

if TYPE_CHECKING:
    from edge_convnext.core.artifacts import CpuRuntimeName

__all__ = ["LITERT", "is_tuned", "require_tuned"]

LITERT: CpuRuntimeName = "litert"  # it loads no ONNX graphs


def is_tuned(runtime: CpuRuntimeName) -> bool:
    """Whether there are plans to search for a runtime."""
    return runtime != LITERT


def require_tuned(runtime: CpuRuntimeName) -> None:
    """Refuse a search for the plan of a runtime that has one alone.

    Raises:
        RecipeError: It is LiteRT: no ranges, one kind of weights, and one form that suits it.
    """
    if not is_tuned(runtime):
        raise RecipeError(
            f"{runtime} has one plan, so that there is nothing to tune; build with --runtime "
            f"{runtime}, or tune another runtime"
        )
