"""Time per layer as a runtime measures it: the result of both runtimes' profilers."""

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

    name: str  # the runtime's name for it, unique within a graph
    nodes: tuple[str, ...]  # nodes of the ONNX graph that it computes; may be empty
    operation: str  # the runtime's type, such as `FusedConv` or `Subgraph`
    kernel: str  # the implementation, such as `brgconv_avx512_1x1_I8`
    dtype: str  # the type of its inputs: `f32`, `bf16`, `u8`, …
    moved_bytes: int  # weights and tensors that it reads or writes, each counted once
    times_ms: tuple[float, ...]  # one per inference


class Profiler(Protocol):
    """A loaded graph whose runtime records the time of every layer."""

    def infer(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """Run float32[N, C, H, W] to logits, as `Runtime.infer`."""
        ...

    def describe(self) -> RuntimeInfo:
        """Describe the runtime and its options, as `Runtime.describe`."""
        ...

    def take_layers(self) -> list[LayerTimes]:
        """End profiling and return the layers of all inferences, in the order of execution."""
        ...
