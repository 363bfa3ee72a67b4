"""Images of noise, for a model that came without any: enough to time it, and to compare graphs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from edge_convnext.core.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["NOISE", "ensure_noise"]

NOISE = "noise"
_SIDE = 128  # pixels
_CELLS = (1, 4, 16, 64)  # pixels of one colour: fine noise, and shapes
_COUNT = 96
_CLASSES = ("fine", "coarse")  # splits go by class


def ensure_noise(folder: Path) -> Path:
    """Write the images, the same on every machine.

    Returns:
        `folder`.

    Raises:
        DataError: The folder can't be written.
    """
    random = np.random.default_rng(0)
    try:
        for index in range(_COUNT):
            cell = _CELLS[index % len(_CELLS)]
            side = _SIDE // cell
            pixels = random.integers(0, 256, (side, side, 3), np.uint8)
            name = _CLASSES[cell > _CELLS[1]]
            path = folder / name / f"{index:03d}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            whole = pixels.repeat(cell, axis=0).repeat(cell, axis=1)
            # Stored, not deflated: compressed bytes differ between builds of zlib.
            Image.fromarray(whole).save(path, compress_level=0)
    except OSError as error:
        raise DataError(
            f"{folder}: can't write images of noise there ({error.strerror}); "
            "set EDGE_CONVNEXT_CACHE to a writable folder"
        ) from error
    return folder
