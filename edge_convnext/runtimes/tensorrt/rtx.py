"""TensorRT for RTX, as `runtimes.module.RuntimeModule`."""

from __future__ import annotations

from edge_convnext.runtimes.tensorrt.engines import (
    FORMATS,
    HINTS,
    LOADS,
    PLAN_RULES,
    SETTINGS,
    lint,
    load,
    load_profiler,
    supports,
    why_not,
)

__all__ = [
    "EXTRA", "FORMATS", "HINTS", "LABEL", "LINT_TARGETS", "LOADS", "NAME", "PACKAGE",
    "PLAN_RULES", "SETTINGS",
    "lint", "load", "load_profiler", "supports", "why_not",
]  # fmt: skip

NAME = "tensorrt_rtx"
LABEL = "TensorRT for RTX"
PACKAGE = "tensorrt_rtx"
EXTRA: str | None = "rtx"
LINT_TARGETS: tuple[str, ...] = ("rtx",)
