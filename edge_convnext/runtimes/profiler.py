"""Time per layer, as a runtime measures it itself: what both runtimes' profilers give back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from edge_convnext.runtimes.interface import RuntimeInfo, RuntimeOptions

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from edge_convnext.core.artifacts import RuntimeName

__all__ = ["LayerTimes", "Profiler", "load_profiler"]


@dataclass(frozen=True)
class LayerTimes:
    """One kernel that a runtime runs once per inference."""

    name: str  # as the runtime calls it, unique within a graph
    nodes: tuple[str, ...]  # of the ONNX graph that it computes; empty where it serves none
    operation: str  # the runtime's type, such as `FusedConv` or `Subgraph`
    kernel: str  # what computes it, such as `brgconv_avx512_1x1_I8`
    dtype: str  # of what it reads: `f32`, `bf16`, `u8`, …
    moved_bytes: int  # weights and tensors that it reads, and what it writes, each once
    times_ms: tuple[float, ...]  # by inference


class Profiler(Protocol):
    """A loaded graph whose runtime keeps the time of every layer."""

    def infer(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """As `Runtime.infer`."""
        ...

    def describe(self) -> RuntimeInfo:
        """As `Runtime.describe`."""
        ...

    def take_layers(self) -> list[LayerTimes]:
        """End profiling; the layers of all inferences so far, in the order of execution."""
        ...


def load_profiler(name: RuntimeName, path: Path, options: RuntimeOptions, folder: Path) -> Profiler:
    """Load a graph with the options it always runs with, and its runtime's profiler on.

    Args:
        name: Which runtime.
        path: See `load_runtime`.
        options: See `load_runtime`; `batch` has to be one that `infer` runs in one piece.
        folder: For ONNX Runtime's trace.

    Raises:
        EdgeConvNextError: See `load_runtime`.
    """
    if name == "onnxruntime":
        from edge_convnext.runtimes.onnxruntime.profiler import OnnxRuntimeProfiler

        return OnnxRuntimeProfiler(path, options, folder)
    from edge_convnext.runtimes.openvino.profiler import OpenVinoProfiler

    return OpenVinoProfiler(path, options)
