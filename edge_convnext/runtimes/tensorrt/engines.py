"""What both TensorRTs have in common as `runtimes.module.RuntimeModule`."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn, cast

from edge_convnext.core.errors import InferenceError
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
    "FORMATS", "HINTS", "LOADS", "SETTINGS", "lint", "load", "load_profiler", "supports", "why_not",
]  # fmt: skip

LOADS: Loads = "engines"
FORMATS: tuple[GraphFormat, ...] = ("qdq",)  # that its builders take
HINTS: tuple[PrecisionHint, ...] = ("f32",)
SETTINGS: tuple[tuple[str, str], ...] = ()


def load(path: Path, options: RuntimeOptions) -> EngineRunner:
    """An engine on the GPU; see `EngineRunner`."""
    return EngineRunner(path, options)


def load_profiler(path: Path, options: RuntimeOptions, folder: Path) -> NoReturn:
    """An engine tells its kernels when it is built, and no times.

    Raises:
        InferenceError: Always.
    """
    raise InferenceError(
        f"{path}: an engine's layers are listed by `edge-convnext inspect`, without times"
    )


def lint(proto: ModelProto, wiring: Wiring, target: str) -> Iterable[Finding]:
    """See `lint_tensorrt`."""
    return lint_tensorrt(proto, wiring, cast("TensorRTName", target))


def supports(hint: PrecisionHint) -> bool:
    """The types of an engine are chosen when it is built."""
    return hint in HINTS


def why_not(placement: PlacementName, opset: int) -> str | None:
    """What its parser refuses is told by `lint`."""
    return None
