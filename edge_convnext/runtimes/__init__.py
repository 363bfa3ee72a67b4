"""Runtimes behind one small interface: load, `infer`, `describe`.

A runtime is imported only when a model is loaded into it. Running a built model needs neither
torch nor nncf.
"""

from __future__ import annotations

from edge_convnext.runtimes.interface import (
    GpuRuntime,
    PrecisionHint,
    Runtime,
    RuntimeInfo,
    RuntimeOptions,
    Streams,
)
from edge_convnext.runtimes.pytorch import TorchRuntime

__all__ = [
    "GpuRuntime",
    "PrecisionHint",
    "Runtime",
    "RuntimeInfo",
    "RuntimeOptions",
    "Streams",
    "TorchRuntime",
]
