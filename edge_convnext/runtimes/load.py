"""Load a graph or an engine into the runtime of a name."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

from edge_convnext.runtimes.interface import Runtime, RuntimeOptions

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from edge_convnext.core.artifacts import CpuRuntimeName, GpuRuntimeName, RuntimeName
    from edge_convnext.runtimes.profiler import Profiler

__all__ = [
    "available_gpu_runtimes",
    "available_runtimes",
    "has_bf16",
    "load_profiler",
    "load_runtime",
]

_CPU_RUNTIMES: tuple[CpuRuntimeName, ...] = ("onnxruntime", "openvino")
_GPU_RUNTIMES: tuple[GpuRuntimeName, ...] = ("tensorrt", "tensorrt_rtx")


def available_runtimes() -> tuple[CpuRuntimeName, ...]:
    """Runtimes for graphs on the CPU that are installed, found without importing them."""
    return tuple(name for name in _CPU_RUNTIMES if find_spec(name) is not None)


def has_bf16(runtimes: Collection[RuntimeName]) -> bool:
    """Whether one of the runtimes may compute floats in bfloat16 on this CPU."""
    if "openvino" not in runtimes:
        return False
    from edge_convnext.runtimes.openvino.runner import supports_bf16

    return supports_bf16()


def available_gpu_runtimes() -> tuple[GpuRuntimeName, ...]:
    """Runtimes for engines that are installed, where CUDA finds a device to run them on.

    It opens the device: call it where one is about to be used.
    """
    installed = tuple(name for name in _GPU_RUNTIMES if find_spec(name) is not None)
    if not installed:
        return ()
    from edge_convnext.runtimes.tensorrt.open_cuda import why_no_cuda

    return () if why_no_cuda() else installed


def load_runtime(name: RuntimeName, path: Path, options: RuntimeOptions | None = None) -> Runtime:
    """Load an ONNX graph or an engine into a runtime.

    Args:
        name: Which runtime.
        path: `images` float32[N, C, H, W] to logits float32[N, classes]; an engine for the
            runtimes of GPUs.
        options: Threads, batch and precision; the defaults when None.

    Raises:
        MissingDependencyError: The runtime is not installed.
        ArtifactError: No such file, or an engine for another machine.
        InferenceError: The runtime refused the graph or the options.
    """
    chosen = options or RuntimeOptions()
    if name == "onnxruntime":
        from edge_convnext.runtimes.onnxruntime.runner import OnnxRuntime

        return OnnxRuntime(path, chosen)
    if name in _GPU_RUNTIMES:
        from edge_convnext.runtimes.tensorrt.runner import EngineRunner

        return EngineRunner(path, chosen)
    from edge_convnext.runtimes.openvino.runner import OpenVino

    return OpenVino(path, chosen)


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
