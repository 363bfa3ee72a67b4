"""What the module of a runtime brings: `load.RUNTIMES` names one for each."""

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
    from edge_convnext.runtimes.profiler import Profiler

__all__ = ["Loads", "RuntimeModule"]

Loads = Literal["graphs", "engines"]


class RuntimeModule(Protocol):
    """A Python module with these names; importing it imports no runtime.

    A runtime of engines gets its engines from a builder. One of graphs loads ONNX on the CPU, and
    may have a function `count_int8(path, options) -> runtimes.int8_products.Int8Products`:
    what it runs in INT8. Without it the report says that the runtime does not tell.
    """

    NAME: str
    """In recipes, on the command line and in reports: `openvino`."""
    LABEL: str
    """For readers: `OpenVINO`."""
    LOADS: Loads
    """ONNX graphs, or engines that were built for one GPU."""
    PACKAGE: str
    """The Python package that has to be importable."""
    EXTRA: str | None
    """The extra of this package that installs it; None for a dependency of every install."""
    FORMATS: tuple[GraphFormat, ...]
    """Of INT8 graphs, those that it loads."""
    HINTS: tuple[PrecisionHint, ...]
    """Types that it can compute floats in; `supports` tells whether this machine can."""
    SETTINGS: tuple[tuple[str, str], ...]
    """Settings that `tune` tries, each on its own: the runtime's name and a value."""
    LINT_TARGETS: tuple[str, ...]
    """Names that `lint` takes: the runtime, or its versions where their rules differ."""

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
        """Whether it computes floats in a type on this machine; the runtime may be imported."""
        ...

    def why_not(self, placement: PlacementName, opset: int) -> str | None:
        """Why it can't load what a placement of quantizers makes at an opset; None if it can."""
        ...
