"""The checksums of a zip archive: torch writes one for each tensor, and its reader ignores them."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING

from edge_convnext.core.errors import LoadError, shorten

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["require_checksums"]

_CHUNK_BYTES = 1 << 20


def require_checksums(path: Path) -> None:
    """Compare every part of an archive with the CRC-32 that the archive states, chunk by chunk.

    A file that is no zip, or one that is too broken to list, passes: its reader explains it.
    After `torch.serialization.set_crc32_options(False)` torch states 0 for every part; that passes
    too.

    Raises:
        LoadError: A part is another than was written.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            if not any(entry.CRC for entry in entries):
                return
            changed = next((one.filename for one in entries if _differs(archive, one)), None)
    except Exception:  # another format, or damaged elsewhere: torch's error explains it
        return
    if changed is not None:
        name = changed.partition("/")[2] or changed  # without the folder that torch puts around
        raise LoadError(
            f"{path}: damaged: its part '{shorten(name, 80)}' does not have the checksum that the "
            "file states; copy it again"
        )


def _differs(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bool:
    """Whether the content of a part has another CRC-32, which `zipfile` compares at its end."""
    with archive.open(entry) as part:
        try:
            while part.read(_CHUNK_BYTES):
                pass
        except zipfile.BadZipFile as error:
            return "CRC" in str(error)
    return False
