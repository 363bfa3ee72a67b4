"""Decode every image only once: the result is kept in the cache, by the image's content."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import PIL

from edge_convnext.core.cache import Cache, stage_key
from edge_convnext.core.files import sha256_bytes
from edge_convnext.core.progress import Track
from edge_convnext.data.batches import Look, look_at_images
from edge_convnext.data.images import Sample
from edge_convnext.data.preprocess import PIXELS

__all__ = ["bad_images", "scan_images"]

_LOOKS = "looks.txt"


def scan_images(samples: Sequence[Sample], cache: Cache, track: Track) -> dict[str, Look]:
    """`look_at_images` through the cache."""
    order = sorted({sample.sha256 for sample in samples})
    digest = sha256_bytes("".join(order).encode())
    key = stage_key("scan/2", images=digest, pixels=PIXELS, pillow=PIL.__version__)
    fresh: dict[str, Look] = {}

    def make(folder: Path) -> dict[str, Any]:
        fresh.update(look_at_images(samples, track=track))
        if bad_images(fresh):  # failures are not kept: the file may be readable next time
            raise _BadImagesError
        lines = (f"{fresh[one].pixels} {int(fresh[one].flat)}\n" for one in order)
        (folder / _LOOKS).write_text("".join(lines), encoding="ascii")
        return {}

    try:
        entry = cache.run("scan", key, make)
    except _BadImagesError:
        return fresh
    if fresh:
        return fresh
    lines = (entry.folder / _LOOKS).read_text(encoding="ascii").splitlines()
    fields = map(str.split, lines)
    return {
        sha256: Look(None, pixels, flat == "1")
        for sha256, (pixels, flat) in zip(order, fields, strict=True)
    }


def bad_images(looks: Mapping[str, Look]) -> dict[str, str]:
    """Select the images that can't be decoded, with the reason."""
    return {sha256: look.reason for sha256, look in looks.items() if look.reason is not None}


class _BadImagesError(Exception):
    """Raised so that the cache keeps nothing."""
