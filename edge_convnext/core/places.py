"""Where outputs may lie: never among the images that the next run reads."""

from __future__ import annotations

from pathlib import Path

from edge_convnext.core.errors import ArtifactError
from edge_convnext.core.files import AnyPath

__all__ = ["require_outside"]


def require_outside(output: AnyPath, *sources: AnyPath | None) -> None:
    """Refuse an output in a folder of images, which would be read as a class or a split later.

    Args:
        output: A file or a folder to be written.
        sources: Folders of images; what is none is passed over.

    Raises:
        ArtifactError: Names both, at the start of the work and not after it.
    """
    place = Path(output).resolve()
    for source in sources:
        folder = Path(source) if source else None
        if folder is None or not folder.is_dir():
            continue
        if folder.resolve() in (place, *place.parents):
            raise ArtifactError(
                f"{output}: lies in {folder}, whose folders are read as classes and splits; "
                "choose an --out outside of the data"
            )
