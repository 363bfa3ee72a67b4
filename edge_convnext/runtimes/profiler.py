"""Time per layer, as a runtime measures it itself: what both runtimes' profilers give back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from edge_convnext.runtimes.interface import RuntimeInfo

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


__all__ = ["LayerTimes", "Profiler"]


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
