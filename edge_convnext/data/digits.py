"""The demo's images: scikit-learn's handwritten digits, as a folder like a user's own.

1,797 real 8x8 grey images in ten classes, from the test part of "Optical Recognition of
Handwritten Digits" (E. Alpaydin and C. Kaynak, 1998, UCI Machine Learning Repository,
https://doi.org/10.24432/C50P49, CC BY 4.0). scikit-learn carries them; nothing is downloaded.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from edge_convnext.core.errors import DataError, MissingDependencyError

__all__ = ["ensure_digits"]


def ensure_digits(folder: Path) -> Path:
    """Write the digits into `folder` as class-per-folder PNGs, unless they are there.

    The bytes are the same on every machine, so splits and hashes agree. The folder appears in
    one step.

    Returns:
        `folder`.

    Raises:
        MissingDependencyError: scikit-learn is not installed.
        DataError: The folder can't be written.
    """
    if folder.is_dir():
        return folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
        try:
            _write_digits(scratch)
            scratch.chmod(0o755)  # mkdtemp makes it private
            _move_into_place(scratch, folder)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    except OSError as error:
        raise DataError(
            f"{folder}: can't write the demo's digits there ({error.strerror}); "
            "set EDGE_CONVNEXT_CACHE to a writable folder"
        ) from error
    return folder


def _write_digits(folder: Path) -> None:
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise MissingDependencyError(
            "the demo's digits come with scikit-learn: pip install 'edge-convnext[build]'"
        ) from error

    digits = load_digits()
    pixels = np.rint(digits.images * (255 / 16)).astype(np.uint8)  # [1797, 8, 8], from 0..16
    for index, (image, label) in enumerate(zip(pixels, digits.target, strict=True)):
        path = folder / str(label) / f"{index:04d}.png"
        path.parent.mkdir(exist_ok=True)
        # Stored, not deflated: compressed bytes differ between builds of zlib.
        Image.fromarray(image).save(path, compress_level=0)


def _move_into_place(scratch: Path, folder: Path) -> None:
    try:
        scratch.rename(folder)
    except OSError:
        if not folder.is_dir():  # else another process was faster, with the same bytes
            raise
