"""What weights of this project say of themselves, before anything is loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_convnext.core.artifacts import ModelInfo
from edge_convnext.core.errors import EdgeConvNextError
from edge_convnext.core.file_kinds import recognise
from edge_convnext.networks.tensors import read_header
from edge_convnext.networks.weights_place import locate_weights

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["recorded_info"]


def recorded_info(path: Path) -> ModelInfo | None:
    """What a file that `save_weights` wrote says of itself, without reading its tensors.

    Args:
        path: File of weights, or a folder with one.

    Returns:
        None where another tool wrote it, or it can't be read: loading it tells that.
    """
    try:
        main = locate_weights(path).main
        if recognise(main).name != "safetensors":
            return None
        return ModelInfo.from_metadata(read_header(main)[0], main)
    except (EdgeConvNextError, OSError, ValueError):
        return None
