"""Runtimes behind one small interface: load, `infer`, `describe`.

Nothing here imports a runtime before one is loaded, and running a built model needs neither
torch nor nncf.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

from edge_convnext.runtimes.interface import PrecisionHint, Runtime, RuntimeInfo, RuntimeOptions
from edge_convnext.runtimes.pytorch import TorchRuntime

if TYPE_CHECKING:
    from pathlib import Path

    from edge_convnext.artifacts import RuntimeName

__all__ = [
    "PrecisionHint",
    "Runtime",
    "RuntimeInfo",
    "RuntimeOptions",
    "TorchRuntime",
    "available_runtimes",
    "load_runtime",
]

_ALL_RUNTIMES: tuple[RuntimeName, ...] = ("onnxruntime", "openvino")


def available_runtimes() -> tuple[RuntimeName, ...]:
    """Runtimes that are installed, found without importing them."""
    return tuple(name for name in _ALL_RUNTIMES if find_spec(name) is not None)


def load_runtime(name: RuntimeName, path: Path, options: RuntimeOptions | None = None) -> Runtime:
    """Load an ONNX graph into a runtime.

    Args:
        name: Which runtime.
        path: `images` float32[N, C, H, W] to logits float32[N, classes].
        options: Threads, batch and precision; the defaults when None.

    Raises:
        MissingDependencyError: The runtime is not installed.
        ArtifactError: No such file.
        InferenceError: The runtime refused the graph or the options.
    """
    chosen = options or RuntimeOptions()
    if name == "onnxruntime":
        from edge_convnext.runtimes.ort import OnnxRuntime

        return OnnxRuntime(path, chosen)
    from edge_convnext.runtimes.ov import OpenVino

    return OpenVino(path, chosen)
