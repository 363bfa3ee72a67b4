"""Settings of an engine that is built on the machine it runs on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

__all__ = ["TensorRtConfig"]


@dataclass(frozen=True)
class TensorRtConfig:
    """Settings of one build; None leaves a setting to TensorRT.

    `wide_reductions` applies only to 8.6, which chooses float16 itself. GRN's sum of squares
    exceeds float16's range, so 8.6 is asked to keep these reductions in float32. Later versions
    use the types that the graph states.
    """

    workspace_mib: int | None = None  # scratch memory of the kernels; None: no limit
    timing_cache: Path | None = None  # file of earlier timings; new ones are added
    optimization_level: int | None = None  # 0 to 5; TensorRT's default is 3
    version_compatible: bool = False  # True: later versions of TensorRT run the engine too
    hardware_compatible: bool = False  # True: every GPU from Ampere on runs the engine too
    opt_batch: int = 1  # batch to optimize for, if the graph's batch is dynamic
    max_batch: int = 8
    tactic_sources: tuple[str, ...] | None = None  # such as ("JIT_CONVOLUTIONS",)
    max_aux_streams: int | None = None
    wide_reductions: bool = True
    timeout_s: float = 1800.0
