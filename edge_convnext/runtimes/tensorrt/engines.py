"""The common part of both TensorRTs as `runtimes.module.RuntimeModule`."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn, cast

from edge_convnext.core.errors import InferenceError
from edge_convnext.runtimes.plan_rules import PlanRules
from edge_convnext.runtimes.tensorrt.lint import TensorRTName, lint_tensorrt
from edge_convnext.runtimes.tensorrt.runner import EngineRunner

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from onnx import ModelProto

    from edge_convnext.core.artifacts import GraphFormat, PlacementName
    from edge_convnext.graph.findings import Finding
    from edge_convnext.graph.qdq import Wiring
    from edge_convnext.runtimes.interface import PrecisionHint, RuntimeOptions
    from edge_convnext.runtimes.module import Loads

__all__ = [
    "FORMATS", "HINTS", "LOADS", "PLAN_RULES", "SETTINGS", "lint", "load", "load_profiler",
    "supports", "why_not",
]  # fmt: skip

LOADS: Loads = "engines"
FORMATS: tuple[GraphFormat, ...] = ("qdq",)  # the formats that its builders take
HINTS: tuple[PrecisionHint, ...] = ("f32",)
SETTINGS: tuple[tuple[str, str], ...] = ()
PLAN_RULES = PlanRules(())  # a family's `gpu_placements` say what engines are made of


def load(path: Path, options: RuntimeOptions) -> EngineRunner:
    """Load an engine into an `EngineRunner`."""
    return EngineRunner(path, options)


def load_profiler(path: Path, options: RuntimeOptions, folder: Path) -> NoReturn:
    """Refuse: an engine has no profiler; its kernels are listed when it is built, without times.

    Raises:
        InferenceError: Always.
    """
    raise InferenceError(
        f"{path}: an engine's layers are listed by `edge-convnext inspect`, without times"
    )


def lint(proto: ModelProto, wiring: Wiring, target: str) -> Iterable[Finding]:
    """Check a graph against the rules of one TensorRT (`lint_tensorrt`)."""
    return lint_tensorrt(proto, wiring, cast("TensorRTName", target))


def supports(hint: PrecisionHint) -> bool:
    """True for `f32`, the default: an engine's types are chosen when it is built."""
    return hint in HINTS


def why_not(placement: PlacementName, opset: int) -> str | None:
    """Return None: `lint` finds what its parser refuses."""
    return None
