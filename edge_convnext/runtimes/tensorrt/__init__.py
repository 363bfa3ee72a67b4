"""TensorRT: engines built on the machine they run on, and the runner of every engine.

`rtx_builder` compiles for TensorRT for RTX ahead of time and without a GPU. The rest needs a GPU.
Importing this package imports neither TensorRT nor CUDA.
"""

from __future__ import annotations

from edge_convnext.runtimes.tensorrt.builder import build_engine
from edge_convnext.runtimes.tensorrt.config import TensorRtConfig

__all__ = ["TensorRtConfig", "build_engine"]
