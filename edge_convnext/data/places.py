"""Where outputs may lie: never among the images that the next run reads."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from edge_convnext.core.class_names import composed
from edge_convnext.core.errors import ArtifactError, DataError
from edge_convnext.core.files import AnyPath
from edge_convnext.data.samples import list_source
from edge_convnext.data.split_names import split_kind

__all__ = ["require_outside"]


def require_outside(output: AnyPath, *sources: AnyPath | None) -> None:
    """Refuse an output among images, where it would be read as a class or a split later.

    Args:
        output: A file or a folder to be written.
        sources: Folders of images, or CSVs that name them; what is none is passed over.

    Raises:
        ArtifactError: Names both, at the start of the work and not after it.
    """
    place = Path(output).resolve()
    around = {place, *place.parents}
    for source in sources:
        named = Path(source) if source else None
        if named is None:
            continue
        if named.is_dir() and named.resolve() in around:
            raise ArtifactError(
                f"{output}: lies in {named}, whose folders are read as classes and splits; "
                "choose an --out outside of the data"
            )
        for folder in _folders_of(named) if named.is_file() else ():
            if folder.resolve() in around:
                raise ArtifactError(
                    f"{output}: lies in {folder}, where {named} has its images; choose an --out "
                    "outside of the data"
                )


def _folders_of(table: Path) -> list[Path]:
    """Folders that hold the images of a CSV; and those of its class folders, and of their splits.

    A folder whose images all have one label is a class where it has the label's name, or lies
    beside another label's: a CSV that counts its classes has such folders too.
    """
    labels: dict[Path, set[str | None]] = defaultdict(set)
    try:
        for entry in list_source(table, labelled=False).entries:
            labels[entry.path.parent].add(entry.label)
    except DataError:
        return []  # it is told where the CSV is read to be used
    beside: dict[Path, set[str]] = defaultdict(set)
    found = dict.fromkeys(labels)
    for folder, those in labels.items():
        (label,) = those if len(those) == 1 else (None,)
        if label is not None:
            beside[folder.parent].add(label)
        if label is not None and composed(folder.name) == label:
            found[folder.parent] = None
    found |= dict.fromkeys(folder for folder, those in beside.items() if len(those) > 1)
    split = [folder.parent for folder in found if folder not in labels and split_kind(folder.name)]
    return sorted((*found, *split), reverse=True)
