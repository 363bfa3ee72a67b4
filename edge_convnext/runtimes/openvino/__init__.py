"""OpenVINO on the CPU, as `runtimes.module.RuntimeModule`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from edge_convnext.runtimes.openvino import plan_rules, runner
from edge_convnext.runtimes.openvino.int8_products import int8_products
from edge_convnext.runtimes.openvino.lint import lint_openvino
from edge_convnext.runtimes.openvino.lint_aarch64 import lint_openvino_aarch64
from edge_convnext.runtimes.openvino.profiler import OpenVinoProfiler
from edge_convnext.runtimes.openvino.runner import OpenVino

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from onnx import ModelProto

    from edge_convnext.core.artifacts import GraphFormat, PlacementName
    from edge_convnext.graph.findings import Finding
    from edge_convnext.graph.qdq import Wiring
    from edge_convnext.runtimes.int8_products import Int8Products
    from edge_convnext.runtimes.interface import PrecisionHint, RuntimeOptions, Streams
    from edge_convnext.runtimes.module import Loads
    from edge_convnext.runtimes.plan_rules import PlanRules

NAME = "openvino"
LABEL = "OpenVINO"
LOADS: Loads = "graphs"
PACKAGE = "openvino"
EXTRA: str | None = "openvino"
FORMATS: tuple[GraphFormat, ...] = ("qdq",)
HINTS: tuple[PrecisionHint, ...] = ("f32", "bf16", "f16")
SETTINGS: tuple[tuple[str, str], ...] = (
    ("batch", "dynamic"),
    ("CPU_DENORMALS_OPTIMIZATION", "YES"),
    ("ENABLE_CPU_PINNING", "NO"),
    ("PERFORMANCE_HINT", "THROUGHPUT"),
)
LINT_TARGETS: tuple[str, ...] = ("openvino", "openvino-aarch64")
PLAN_RULES: PlanRules = plan_rules.PLAN_RULES


def load(path: Path, options: RuntimeOptions) -> OpenVino:
    """Compile a graph into an `OpenVino`."""
    return OpenVino(path, options)


def load_streams(path: Path, options: RuntimeOptions, streams: Streams) -> list[OpenVino]:
    """Compile a graph once, for `streams`; its requests share the weights."""
    stated = (("PERFORMANCE_HINT", "THROUGHPUT"), ("NUM_STREAMS", str(streams.streams)))
    first = OpenVino(path, replace(options, settings=(*options.settings, *stated)))
    return [first, *(first.another() for _ in range(streams.requests - 1))]


def load_profiler(path: Path, options: RuntimeOptions, folder: Path) -> OpenVinoProfiler:
    """Compile a graph that records the time of every layer; `folder` is not used."""
    return OpenVinoProfiler(path, options)


def count_int8(path: Path, options: RuntimeOptions) -> Int8Products:
    """See `int8_products`."""
    return int8_products(path, options)


def lint(proto: ModelProto, wiring: Wiring, target: str) -> Iterable[Finding]:
    """Check a graph against the rules of OpenVINO, or those that hold on Arm alone."""
    if target == "openvino-aarch64":
        return lint_openvino_aarch64(proto, wiring)
    return lint_openvino(proto, wiring)


def supports(hint: PrecisionHint) -> bool:
    """True for float32, and for the half types that the CPU computes in."""
    if hint == "f16":
        return runner.supports_f16()
    return hint != "bf16" or runner.supports_bf16()


def why_not(placement: PlacementName, opset: int) -> str | None:
    """Return None: OpenVINO loads every placement."""
    return None
