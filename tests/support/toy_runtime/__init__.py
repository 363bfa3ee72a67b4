"""A runtime that the package does not know: ONNX Runtime under another name.

`install` adds it to the table, as one line of `runtimes.load.RUNTIMES` would.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_convnext.graph.findings import Finding
from edge_convnext.runtimes import load as table
from edge_convnext.runtimes.interface import RuntimeInfo
from edge_convnext.runtimes.onnxruntime.profiler import OnnxRuntimeProfiler
from edge_convnext.runtimes.onnxruntime.runner import OnnxRuntime
from edge_convnext.runtimes.plan_rules import PORTABLE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pytest
    from onnx import ModelProto

    from edge_convnext.core.artifacts import GraphFormat, PlacementName
    from edge_convnext.graph.qdq import Wiring
    from edge_convnext.runtimes.interface import PrecisionHint, RuntimeOptions
    from edge_convnext.runtimes.module import Loads, RuntimeModule

NAME = "toy"
LABEL = "Toy"
LOADS: Loads = "graphs"
PACKAGE = "onnxruntime"
EXTRA: str | None = None
FORMATS: tuple[GraphFormat, ...] = ("qdq",)
HINTS: tuple[PrecisionHint, ...] = ("f32",)
SETTINGS: tuple[tuple[str, str], ...] = (("session.dynamic_block_base", "4"),)
LINT_TARGETS: tuple[str, ...] = ("toy",)
PLAN_RULES = PORTABLE


class ToyRuntime(OnnxRuntime):
    """It runs graphs as ONNX Runtime does, and says another name."""

    def describe(self) -> RuntimeInfo:
        info = super().describe()
        return RuntimeInfo(NAME, info.version, info.threads, info.batch, info.options)


class ToyProfiler(OnnxRuntimeProfiler):
    def describe(self) -> RuntimeInfo:
        info = super().describe()
        return RuntimeInfo(NAME, info.version, info.threads, info.batch, info.options)


def load(path: Path, options: RuntimeOptions) -> ToyRuntime:
    return ToyRuntime(path, options)


def load_profiler(path: Path, options: RuntimeOptions, folder: Path) -> ToyProfiler:
    return ToyProfiler(path, options, folder)


def lint(proto: ModelProto, wiring: Wiring, target: str) -> Iterator[Finding]:
    for node in proto.graph.node:
        if node.op_type == "Gemm" and wiring.is_quantized(node):
            yield Finding("toy-gemm", "warning", node.name, "a toy finds it odd", "play on")


def supports(hint: PrecisionHint) -> bool:
    return hint in HINTS


def why_not(placement: PlacementName, opset: int) -> str | None:
    return "the toy is not for everything" if placement == "all" else None


def install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Know this runtime until the test is over."""
    monkeypatch.setitem(table.RUNTIMES, NAME, __name__)


if TYPE_CHECKING:
    from support import toy_runtime

    _HELD: RuntimeModule = toy_runtime
