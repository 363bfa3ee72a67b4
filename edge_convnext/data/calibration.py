"""Calibration sets: drawn from the training side or given, never from what is evaluated."""

from __future__ import annotations

import csv
import io
import os
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edge_convnext.data.images import ImageSet, Sample, rank
from edge_convnext.data.samples import list_source, read_source
from edge_convnext.errors import DataError
from edge_convnext.files import sha256_file, write_text_atomic
from edge_convnext.progress import Track, untracked

__all__ = [
    "CalibrationSet",
    "check_explicit_calibration",
    "draw_calibration",
    "load_calibration",
    "write_calibration_csv",
]


@dataclass(frozen=True)
class CalibrationSet:
    """Images whose activations set the ranges of the quantizers."""

    images: ImageSet
    left_out: int  # images of the pool that are in the evaluation set too
    note: str  # where they come from, for the report


def load_calibration(
    source: Path,
    data: Path | None = None,
    skip_bad_images: bool = False,
    track: Track = untracked,
    sha256: Callable[[Path], str] = sha256_file,
) -> tuple[ImageSet, tuple[str, ...]]:
    """Read an explicit calibration source; labels, if any, only serve to balance the draw.

    Args:
        source: A flat or class-per-folder directory, a CSV, or a recorded `calibration.csv`.
            Of a source with a split, the training side.
        data: The data source, folder or CSV: where a manifest's paths are looked for when they
            don't lie beside it.
        skip_bad_images: Leave unreadable files out instead of stopping.
        track: Told of each file that is hashed.
        sha256: Hashes one file.

    Returns:
        The images, and the unreadable files that were left out, each with the reason.

    Raises:
        DataError: Anything wrong with the source, or it has an evaluation side alone.
    """
    root = data.parent if data is not None and data.is_file() else data
    listing = list_source(source, labelled=False, data_root=root)
    reading = read_source(listing, skip_bad_images=skip_bad_images, track=track, sha256=sha256)
    samples = reading.sides.get("train") or reading.sides.get(None)
    if not samples:
        raise DataError(f"{source}: no readable image on its training side to calibrate with")
    return ImageSet(samples, reading.classes), reading.skipped


def check_explicit_calibration(calibration: ImageSet, evaluation: ImageSet) -> None:
    """Refuse a calibration set that shares an image or a group with the evaluation set.

    Raises:
        DataError: They overlap; the message names the first image and how many there are.
    """
    groups = {sample.group for sample in evaluation.samples if sample.group is not None}
    same = [sample for sample in calibration.samples if sample.sha256 in evaluation.hashes]
    related = [sample for sample in calibration.samples if sample.group in groups]
    for found, what in ((same, "are in the evaluation set"), (related, "share a group with it")):
        if found:
            raise DataError(
                f"{found[0].path}: this and {len(found) - 1} other calibration images {what}, "
                "so the measured accuracy would not be honest; calibrate with training images"
            )


def draw_calibration(
    pool: ImageSet, evaluation: ImageSet | None, size: int, seed: int
) -> CalibrationSet:
    """Draw a seeded, class-stratified calibration set.

    Every class gives the same number of images, or all it has. The order mixes the classes:
    any beginning of the set is a smaller draw with the same seed.

    Args:
        pool: Training images, or an explicit set; images of equal content count once.
        evaluation: Images that must not be drawn.
        size: Images wanted; all of the pool where it has fewer.
        seed: Another seed, another draw.

    Raises:
        DataError: Every image of the pool is in the evaluation set.
    """
    barred = evaluation.hashes if evaluation else frozenset()
    allowed = {s.sha256: s for s in reversed(pool.samples) if s.sha256 not in barred}
    left_out = sum(sample.sha256 in barred for sample in pool.samples)
    if not allowed:
        raise DataError(
            f"all {left_out} images to calibrate with are in the evaluation set too; "
            "pass --calibration with others"
        )
    drawn = _interleave_classes(list(allowed.values()), seed)[:size]
    note = f"{len(drawn)} of {len(allowed)} images, seed {seed}"
    return CalibrationSet(ImageSet(tuple(drawn), pool.classes), left_out, note)


def write_calibration_csv(calibration: CalibrationSet, path: Path, relative_to: Path) -> None:
    """Record a set as `path,sha256`, which `load_calibration` reads back.

    Args:
        calibration: What to record.
        path: Where to write it.
        relative_to: Folder that the recorded paths start from.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["path", "sha256"])
    for sample in calibration.images.samples:
        relative = Path(os.path.relpath(sample.path, relative_to)).as_posix()
        writer.writerow([relative, sample.sha256])
    write_text_atomic(path, text.getvalue())


def _interleave_classes(samples: list[Sample], seed: int) -> list[Sample]:
    """First the first image of every class, then every second, each in its seeded order."""
    ranked = sorted(samples, key=lambda sample: rank("calibration", seed, sample.sha256))
    taken: Counter[int | None] = Counter()
    rounds: list[int] = []
    for sample in ranked:
        rounds.append(taken[sample.label])
        taken[sample.label] += 1
    order = sorted(range(len(ranked)), key=rounds.__getitem__)  # stable: ranked within a round
    return [ranked[index] for index in order]
