"""Small pictures of some images, found by the hash of their files."""

from __future__ import annotations

import base64
import io
from collections.abc import Collection, Mapping
from pathlib import Path

from edge_convnext.core.errors import DataError
from edge_convnext.core.progress import Track, untracked
from edge_convnext.data.images import hash_files
from edge_convnext.data.preprocess import open_image
from edge_convnext.data.samples import list_source

__all__ = ["find_images", "thumbnails"]

_SIDE = 160  # pixels of the longer side
_AT_ONCE = 512  # files between two looks at whether all are found


def find_images(source: Path, wanted: Collection[str], track: Track = untracked) -> dict[str, Path]:
    """Find images by the SHA-256 of their files.

    Args:
        source: Folder or CSV of images.
        wanted: SHA-256 of each image to find.
        track: Progress, called once.

    Returns:
        Paths by SHA-256, of those that are there. It stops when all are found.

    Raises:
        DataError: There is no such source, or it lists no images.
    """
    paths = [entry.path for entry in list_source(source, labelled=False).entries]
    found: dict[str, Path] = {}
    starts = range(0, len(paths), _AT_ONCE)
    for start in track(starts, "looking for images", len(starts)):
        if len(found) == len(wanted):
            break
        some = paths[start : start + _AT_ONCE]
        for path, digest in zip(some, hash_files(some), strict=True):
            if isinstance(digest, str) and digest in wanted:
                found[digest] = path
    return found


def thumbnails(paths: Mapping[str, Path]) -> dict[str, str]:
    """Small JPEGs as data: URIs, by the same key; what can't be decoded is left out.

    Nothing of a file but its pixels gets into its thumbnail: no place, no name, no camera.
    """
    made = {}
    for key, path in paths.items():
        try:
            image = open_image(path)
        except DataError:
            continue
        image.thumbnail((_SIDE, _SIDE))
        content = io.BytesIO()
        image.save(content, "JPEG", quality=80)
        made[key] = f"data:image/jpeg;base64,{base64.b64encode(content.getvalue()).decode()}"
    return made
