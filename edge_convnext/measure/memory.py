"""Peak memory of loading and running one model, measured in a fresh child process.

The memory of the process that benchmarks says nothing: torch, other runtimes and other models are
loaded too. The child loads one runtime and one model, and returns two high-water marks of its
resident memory: after importing the runtime, and after a few inferences. The second is the memory
that a device needs. The difference is the model's share (weights, kernels, activations).

On Linux the mark is VmHWM, not ru_maxrss: the kernel carries the latter over from the parent
through fork and exec, and a child of a process with 2 GiB would never report less.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from edge_convnext.core.errors import InferenceError
from edge_convnext.core.isolate import IsolatedFailure, run_isolated
from edge_convnext.runtimes import RuntimeOptions
from edge_convnext.runtimes.load import RUNTIMES, import_runtime

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edge_convnext.core.artifacts import RuntimeName

__all__ = ["PeakMemory", "measure_peak_memory", "peak_resident_bytes"]

_INFERENCES = 3  # runtimes allocate lazily, and some re-plan after the first inference
_TIMEOUT_S = 300.0
_STATUS = Path("/proc/self/status")


@dataclass(frozen=True)
class PeakMemory:
    """Two high-water marks of one process's memory."""

    baseline_bytes: int  # Python, numpy and the runtime's libraries, before a model is loaded
    peak_bytes: int


def measure_peak_memory(
    runtime: RuntimeName, path: Path, images: NDArray[np.float32], options: RuntimeOptions
) -> PeakMemory:
    """Load a model in a child process, run it, and return its peak memory.

    Args:
        runtime: Runtime to load.
        path: Path of the graph.
        images: One batch of images, float32[N, C, H, W].
        options: Options to load the model with.

    Raises:
        InferenceError: The child failed, was killed (out of memory) or took too long.
    """
    result = run_isolated(_load_and_run, (RUNTIMES[runtime], path, images, options), _TIMEOUT_S)
    if isinstance(result, IsolatedFailure):
        raise InferenceError(
            f"{path}: peak memory in {runtime} can't be measured ({result.reason})"
        )
    return result


def peak_resident_bytes() -> int:
    """Largest physical memory that this process has held so far, in bytes.

    Raises:
        InferenceError: This system does not report it.
    """
    if _STATUS.exists():
        for line in _STATUS.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    if sys.platform == "win32":
        raise InferenceError("peak memory is measured on Linux and macOS only")
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # bytes there, KiB elsewhere


def _load_and_run(
    module: str, path: Path, images: NDArray[np.float32], options: RuntimeOptions
) -> PeakMemory:
    runtime = import_runtime(module)
    import_module(runtime.PACKAGE)
    baseline = peak_resident_bytes()
    model = runtime.load(path, options)
    for _ in range(_INFERENCES):
        model.infer(images)
    return PeakMemory(baseline, peak_resident_bytes())
