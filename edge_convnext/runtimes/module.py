"""The interface of a runtime's module; `load.RUNTIMES` names one module for each runtime."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from onnx import ModelProto

    from edge_convnext.core.artifacts import GraphFormat, PlacementName
    from edge_convnext.graph.findings import Finding
    from edge_convnext.graph.qdq import Wiring
    from edge_convnext.runtimes.interface import PrecisionHint, Runtime, RuntimeOptions
    from edge_convnext.runtimes.plan_rules import PlanRules
    from edge_convnext.runtimes.profiler import Profiler

__all__ = ["Loads", "RuntimeModule"]

Loads = Literal["graphs", "engines"]


class RuntimeModule(Protocol):
    """A Python module with these names; importing it does not import the runtime itself.

    A runtime of graphs loads ONNX on the CPU. A runtime of engines gets them from a builder. The
    first may have a function `count_int8(path, options) -> runtimes.int8_products.Int8Products`
    too: without it the report says that the runtime does not tell what runs in INT8. It may also
    have `load_streams(path, options, streams)`, if it can run one loaded graph several times at
    once (`load.load_streams`). With `EXACT_SETTINGS` it states the settings, as pairs of its own
    name and a value, by which INT8 products do not overflow on a CPU whose usual instructions do.
    `PROFILES = False` says that it has no profiler: `load_profiler` refuses then.
    """

    NAME: str
    """The name in recipes, on the command line and in reports: `openvino`."""
    LABEL: str
    """The name that users read: `OpenVINO`."""
    LOADS: Loads
    """The kind of model that it loads: ONNX graphs, or engines that were built for one GPU."""
    PACKAGE: str
    """The Python package that must be importable."""
    EXTRA: str | None
    """The extra of edge-convnext that installs it; None if every install has it."""
    FORMATS: tuple[GraphFormat, ...]
    """Formats of INT8 graphs that it loads."""
    HINTS: tuple[PrecisionHint, ...]
    """Types that it can compute floats in; `supports` says if this machine can, too."""
    SETTINGS: tuple[tuple[str, str], ...]
    """Settings that `tune` tries one at a time: the runtime's name of a setting, and a value."""
    LINT_TARGETS: tuple[str, ...]
    """Targets of `lint`: the runtime, or its versions where their rules differ."""

    PLAN_RULES: PlanRules
    """Ways to quantize a network that no plan was measured for.

    A runtime of engines has none: no build races them, and a family's `gpu_placements` say what
    its engines are made of.
    """

    def load(self, path: Path, options: RuntimeOptions) -> Runtime:
        """Load a graph or an engine; see `load.load_runtime`."""
        ...

    def load_profiler(self, path: Path, options: RuntimeOptions, folder: Path) -> Profiler:
        """Load a graph with the runtime's profiler on; see `load.load_profiler`."""
        ...

    def lint(self, proto: ModelProto, wiring: Wiring, target: str) -> Iterable[Finding]:
        """Check a graph against the rules of one of `LINT_TARGETS`."""
        ...

    def supports(self, hint: PrecisionHint) -> bool:
        """True if it computes floats in a type on this machine; this may import the runtime."""
        ...

    def why_not(self, placement: PlacementName, opset: int) -> str | None:
        """Explain why it can't load a placement's graph at an opset; None if it can."""
        ...
