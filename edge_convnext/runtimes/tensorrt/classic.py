"""TensorRT from JetPack or for a PC, as `runtimes.module.RuntimeModule`."""

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

NAME = "tensorrt"
LABEL = "TensorRT"
PACKAGE = "tensorrt"
EXTRA: str | None = "desktop"  # on a board, TensorRT comes with JetPack
LINT_TARGETS: tuple[str, ...] = ("tensorrt10", "tensorrt8.6", "tensorrt8.5")
