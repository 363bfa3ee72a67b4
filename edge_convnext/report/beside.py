"""The files beside a report: models that are copied, and tables that are written."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from edge_convnext.core.files import copy_atomic
from edge_convnext.core.swap import require_room

__all__ = ["Beside"]


@dataclass(frozen=True)
class Beside:
    """Files for a folder, by their names in it."""

    models: Mapping[str, Path]
    tables: Mapping[str, Callable[[Path], object]] = field(default_factory=dict)

    def write(self, new: Path, folder: Path) -> list[Path]:
        """Write all of them.

        Args:
            new: Empty folder to write into.
            folder: Folder that `new` will become; its disk needs room for it.

        Returns:
            The files, models first.

        Raises:
            ArtifactError: There is no room on the disk.
        """
        require_room(folder, sum(source.stat().st_size for source in self.models.values()))
        for name, source in self.models.items():
            copy_atomic(source, new / name)
        for name, write in self.tables.items():
            write(new / name)
        return [new / name for name in (*self.models, *self.tables)]
