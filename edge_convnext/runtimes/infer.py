"""Run a graph once that is not on disk."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray
    from onnx import ModelProto

__all__ = ["infer_proto"]


def infer_proto(proto: ModelProto, batches: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Compute the logits of a graph that is not on disk, in ONNX Runtime.

    Args:
        proto: A graph that takes images float32[N, C, H, W].
        batches: Normalised images, float32[n, C, H, W].

    Returns:
        Logits of all batches, float32[sum of n, num_classes].
    """
    import numpy as np

    from edge_convnext.runtimes import RuntimeOptions
    from edge_convnext.runtimes.load import load_runtime

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        path.write_bytes(proto.SerializeToString())
        runtime = load_runtime("onnxruntime", path, RuntimeOptions())
        return np.concatenate([runtime.infer(batch) for batch in batches])
