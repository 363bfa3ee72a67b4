"""How to build an engine on the machine it runs on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

__all__ = ["TensorRtConfig"]


@dataclass(frozen=True)
class TensorRtConfig:
    """Settings of one build; None leaves a setting to TensorRT.

    `wide_reductions` concerns 8.6 alone, which chooses float16 itself: GRN's sum of squares
    leaves float16's range, so its reductions are asked to stay in float32. Later versions build
    the types that the graph states.
    """

    workspace_mib: int | None = None  # scratch memory of the kernels; None: all there is
    timing_cache: Path | None = None  # read where it is, and written with what was learnt
    optimization_level: int | None = None  # 0 to 5; TensorRT's own is 3
    version_compatible: bool = False  # later TensorRT runs it too
    hardware_compatible: bool = False  # every GPU from Ampere on runs it too
    opt_batch: int = 1  # of the optimization profile, when the graph's batch is dynamic
    max_batch: int = 8
    tactic_sources: tuple[str, ...] | None = None  # such as ("JIT_CONVOLUTIONS",)
    max_aux_streams: int | None = None
    wide_reductions: bool = True
    timeout_s: float = 1800.0
