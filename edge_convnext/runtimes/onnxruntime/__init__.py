"""ONNX Runtime on the CPU, as `runtimes.module.RuntimeModule`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_convnext.runtimes.onnxruntime import plan_rules
from edge_convnext.runtimes.onnxruntime.int8_products import int8_products
from edge_convnext.runtimes.onnxruntime.lint import lint_onnxruntime
from edge_convnext.runtimes.onnxruntime.profiler import OnnxRuntimeProfiler
from edge_convnext.runtimes.onnxruntime.runner import OnnxRuntime

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from onnx import ModelProto

    from edge_convnext.core.artifacts import GraphFormat, PlacementName
    from edge_convnext.graph.findings import Finding
    from edge_convnext.graph.qdq import Wiring
    from edge_convnext.runtimes.int8_products import Int8Products
    from edge_convnext.runtimes.interface import PrecisionHint, RuntimeOptions
    from edge_convnext.runtimes.module import Loads
    from edge_convnext.runtimes.plan_rules import PlanRules

NAME = "onnxruntime"
LABEL = "ONNX Runtime"
LOADS: Loads = "graphs"
PACKAGE = "onnxruntime"
EXTRA: str | None = None
FORMATS: tuple[GraphFormat, ...] = ("qdq", "onnxruntime", "onnxruntime_dynamic")
HINTS: tuple[PrecisionHint, ...] = ("f32",)
SETTINGS: tuple[tuple[str, str], ...] = (
    ("batch", "dynamic"),
    ("session.dynamic_block_base", "4"),
    ("session.intra_op.allow_spinning", "0"),
    ("session.set_denormal_as_zero", "1"),
    ("session.x64quantprecision", "1"),
)
# Products of uint8 by int8 that do not overflow on x86 without VNNI; without effect elsewhere.
EXACT_SETTINGS: tuple[tuple[str, str], ...] = (("session.x64quantprecision", "1"),)
LINT_TARGETS: tuple[str, ...] = ("onnxruntime",)
PLAN_RULES: PlanRules = plan_rules.PLAN_RULES
_LAST_OPSET_OF_MOVED_PAIRS = 20  # microsoft/onnxruntime#25526


def load(path: Path, options: RuntimeOptions) -> OnnxRuntime:
    """Load a graph into an `OnnxRuntime`."""
    return OnnxRuntime(path, options)


def load_profiler(path: Path, options: RuntimeOptions, folder: Path) -> OnnxRuntimeProfiler:
    """Load a graph into a session that writes its trace to `folder`."""
    return OnnxRuntimeProfiler(path, options, folder)


def count_int8(path: Path, options: RuntimeOptions) -> Int8Products:
    """See `int8_products`."""
    return int8_products(path, options)


def lint(proto: ModelProto, wiring: Wiring, target: str) -> Iterable[Finding]:
    """Check a graph against the rules of ONNX Runtime (`lint_onnxruntime`)."""
    return lint_onnxruntime(proto, wiring)


def supports(hint: PrecisionHint) -> bool:
    """True for float32; ONNX Runtime has no bfloat16 mode on the CPU."""
    return hint in HINTS


def why_not(placement: PlacementName, opset: int) -> str | None:
    """Refuse `all` at newer opsets: it quantizes a Transpose, which ONNX Runtime can't load."""
    if placement == "all" and opset > _LAST_OPSET_OF_MOVED_PAIRS:
        return "ONNX Runtime can't load a Transpose of a dequantized value from opset 21 on"
    return None
