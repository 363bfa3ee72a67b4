"""From a source to hashed, labelled samples."""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from edge_convnext.core.errors import DataError, shorten
from edge_convnext.core.files import sha256_file
from edge_convnext.core.progress import Track, untracked
from edge_convnext.data.csv_sources import list_csv
from edge_convnext.data.folders import list_folder
from edge_convnext.data.images import Sample, hash_files
from edge_convnext.data.labels import ClassOrder, LabelIndex, settle_classes
from edge_convnext.data.sources import Entry, Listing
from edge_convnext.data.split_names import Side
from edge_convnext.data.synsets import name_synsets

__all__ = ["Reading", "list_source", "read_source"]

_MOST_SIBLINGS = 10_000  # of a missing source that are looked at
_TABLES = (".csv", ".tsv", ".txt")  # the separator of their columns is detected


@dataclass(frozen=True)
class Reading:
    """A source whose files have been hashed."""

    sides: dict[Side | None, tuple[Sample, ...]]  # None: the source does not split them
    listing: Listing
    order: ClassOrder
    skipped: tuple[str, ...]  # files that can't be read, with the reason

    @property
    def classes(self) -> tuple[str, ...]:
        """Names in logit order."""
        return self.order.names


def list_source(source: Path, labelled: bool = True, data_root: Path | None = None) -> Listing:
    """List the images of a folder or CSV without opening any of them.

    Args:
        source: The folder or CSV.
        labelled: True where every image needs a label.
        data_root: Second folder where relative paths of a CSV may start.

    Raises:
        DataError: Not a source, no images, an empty class folder, a malformed CSV.
    """
    if source.is_dir():
        return list_folder(source, labelled)
    if not source.exists():
        raise DataError(f"{source}: no such folder or CSV{_tell_nearest(source)}")
    if source.suffix.lower() not in _TABLES:
        raise DataError(
            f"{source}: neither a folder nor a .csv file; unpack an archive first, "
            "and pass a class-per-folder directory or a CSV path,label"
        )
    listing = list_csv(source, labelled, data_root)
    if not listing.entries:
        raise DataError(f"{source}: no rows below the header")
    return listing


def _tell_nearest(source: Path) -> str:
    """The folder of a path that does not exist, and what in it is called alike."""
    whole = source.absolute()
    folder = next((one for one in whole.parents if one.is_dir()), whole.parent)
    wanted = whole.relative_to(folder).parts[0]
    try:
        there = [
            one.name
            for one in itertools.islice(folder.iterdir(), _MOST_SIBLINGS)
            if one.is_dir() or one.suffix.lower() in _TABLES
        ]
    except OSError:
        there = []
    shown = [name for name in there if not name.startswith(".")]
    near = difflib.get_close_matches(wanted, shown, n=3, cutoff=0.6)
    pass_one = "pass a folder of images, or a CSV path,label"
    if not near:
        return f"; {pass_one} (there is no '{shorten(wanted, 60)}' in {folder})"
    alike = " and ".join(f"'{shorten(name, 60)}'" for name in near)
    return f"; {folder} has {alike}: {pass_one}"


def read_source(
    listing: Listing,
    classes: Sequence[str] | None = None,
    labels_file: Path | None = None,
    skip_bad_images: bool = False,
    track: Track = untracked,
    sha256: Callable[[Path], str] = sha256_file,
) -> Reading:
    """Put the classes in order and hash every file.

    Args:
        listing: Images to read.
        classes: Class names of the model in logit order, if it has any.
        labels_file: Labels file of the user, which overrides them.
        skip_bad_images: True leaves unreadable files out instead of stopping.
        track: Progress, called for each file.
        sha256: Function that hashes one file.

    Raises:
        DataError: An unknown class, an unreadable file, content that is not what a manifest
            recorded.
    """
    if labels_file is None:
        listing = name_synsets(listing, classes or ())
    order = settle_classes(listing, classes, labels_file)
    index = LabelIndex(order.names, listing.numbered)
    digests = hash_files([entry.path for entry in listing.entries], track=track, sha256=sha256)
    sides: dict[Side | None, list[Sample]] = {}
    skipped: list[str] = []
    for entry, digest in zip(listing.entries, digests, strict=True):
        if isinstance(digest, OSError):
            reason = f"{entry.path}: can't be read ({digest.strerror or digest})"
            if not skip_bad_images:
                raise DataError(f"{reason}; repair it, or pass --skip-bad-images") from digest
            skipped.append(reason)
            continue
        _check_content(entry, digest)
        sample = Sample(entry.path, digest, index.find(entry.label), entry.group)
        sides.setdefault(entry.side, []).append(sample)
    return Reading(
        {side: tuple(samples) for side, samples in sides.items()},
        replace(listing, entries=()),  # the samples have their content
        order,
        tuple(skipped),
    )


def _check_content(entry: Entry, digest: str) -> None:
    if entry.sha256 not in (None, digest):
        raise DataError(
            f"{entry.where}: {entry.path} is not the image recorded there (its SHA-256 differs); "
            "restore it, or draw the set anew"
        )
