"""LiteRT (once TensorFlow Lite) on the CPU with XNNPACK, as `runtimes.module.RuntimeModule`.

It is for Arm boards and Android. It loads `.tflite` files alone, which a build writes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_convnext.core.errors import InferenceError
from edge_convnext.runtimes.litert import plan_rules
from edge_convnext.runtimes.litert.int8_products import int8_products
from edge_convnext.runtimes.litert.lint import lint_litert
from edge_convnext.runtimes.litert.runner import LiteRt

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
    from edge_convnext.runtimes.profiler import Profiler

NAME = "litert"
LABEL = "LiteRT"
LOADS: Loads = "graphs"
PACKAGE = "ai_edge_litert"
EXTRA: str | None = "litert"
FORMATS: tuple[GraphFormat, ...] = ("litert",)
HINTS: tuple[PrecisionHint, ...] = ("f32",)
SETTINGS: tuple[tuple[str, str], ...] = (("batch", "dynamic"),)
LINT_TARGETS: tuple[str, ...] = ("litert",)
PLAN_RULES: PlanRules = plan_rules.PLAN_RULES
PROFILES = False  # no profiler; see `load_profiler`


def load(path: Path, options: RuntimeOptions) -> LiteRt:
    """Load a `.tflite` model."""
    return LiteRt(path, options)


def load_profiler(path: Path, options: RuntimeOptions, folder: Path) -> Profiler:
    """Refuse: from Python, LiteRT tells no times of its operators.

    Raises:
        InferenceError: Always.
    """
    raise InferenceError(
        f"{path}: LiteRT tells Python no times of its operators; profile it on the device with "
        "LiteRT's own benchmark_model --enable_op_profiling=true, or another runtime here"
    )


def count_int8(path: Path, options: RuntimeOptions) -> Int8Products:
    """See `int8_products`."""
    return int8_products(path, options)


def lint(proto: ModelProto, wiring: Wiring, target: str) -> Iterable[Finding]:
    """Check that a graph can be written for LiteRT (`lint_litert`)."""
    return lint_litert(proto)


def supports(hint: PrecisionHint) -> bool:
    """True for float32, the only type that it is asked for."""
    return hint in HINTS


def why_not(placement: PlacementName, opset: int) -> str | None:
    """Return None: it reads the weights of every placement, and no ranges."""
    return None
