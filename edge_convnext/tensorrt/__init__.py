"""TensorRT: engines built on the machine they run on, and the runner of every engine.

`edge_convnext.engine` compiles for TensorRT for RTX ahead of time and without a GPU; here is what
needs one. Importing this imports neither TensorRT nor CUDA.
"""

from __future__ import annotations

from edge_convnext.tensorrt.builder import build_engine
from edge_convnext.tensorrt.config import TensorRtConfig

__all__ = ["TensorRtConfig", "build_engine"]
