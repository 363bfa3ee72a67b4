"""Images of 12 bits in files of 16: read as 16 bits they are nearly black."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from edge_convnext.data.images import Sample

__all__ = ["tell_depth"]

_LOOKED_AT = 24  # a camera writes all of its files alike
_MOST_PIXELS = 1 << 25
_TWELVE_BITS = 1 << 12


def tell_depth(samples: Sequence[Sample]) -> tuple[str, ...]:
    """A sentence on grey images whose 16 bits hold values of at most 12.

    Args:
        samples: Some, from all over the set, are opened; only those of 16 bits are decoded.
    """
    step = max(1, len(samples) // _LOOKED_AT)
    dark = [one.path for one in samples[::step] if _holds_twelve_bits(one.path)]
    if not dark:
        return ()
    return (
        f"Images of 16 bits hold values below {_TWELVE_BITS:,}, as cameras of 12 bits write them "
        f"(such as {dark[0]}): they are read as 16 bits, and so nearly black. If the model was not "
        "trained on such pixels, multiply them by 16 and save them again.",
    )


def _holds_twelve_bits(path: Path) -> bool:
    try:
        with warnings.catch_warnings(), Image.open(path) as image:
            warnings.simplefilter("ignore")
            if not image.mode.startswith("I") or image.width * image.height > _MOST_PIXELS:
                return False
            low, high = map(float, np.array(image.getextrema()).ravel())
    except Exception:  # a damaged file makes Pillow raise nearly anything; another check reports it
        return False
    return 255 < high < _TWELVE_BITS and low >= 0
