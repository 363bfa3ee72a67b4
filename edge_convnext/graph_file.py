"""An ONNX graph read from its file, or run before it has one."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from edge_convnext.errors import ArtifactError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray
    from onnx import ModelProto

__all__ = ["infer_proto", "read_proto"]


def read_proto(path: Path, *, weights: bool = True) -> ModelProto:
    """Read a graph.

    Args:
        path: An ONNX file.
        weights: Whether those in files beside it are read as well.

    Raises:
        ArtifactError: Missing, or not ONNX.
    """
    import onnx
    from google.protobuf.message import DecodeError  # what onnx.load raises

    try:
        return onnx.load(str(path), load_external_data=weights)
    except OSError as error:
        raise ArtifactError(f"{path}: {error.strerror}; pass a built .onnx model") from error
    except DecodeError as error:
        raise ArtifactError(f"{path}: truncated, or not ONNX; build it again") from error


def infer_proto(proto: ModelProto, batches: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Logits of a graph that is not on disk, in ONNX Runtime.

    Args:
        proto: A graph of images float32[N, C, H, W].
        batches: Normalized images.

    Returns:
        float32[n, num_classes] of all batches.
    """
    import numpy as np

    from edge_convnext.runtimes import RuntimeOptions, load_runtime

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        path.write_bytes(proto.SerializeToString())
        runtime = load_runtime("onnxruntime", path, RuntimeOptions())
        return np.concatenate([runtime.infer(batch) for batch in batches])
