"""Calibration sets: drawn from the training side or given, never from what is evaluated."""

from __future__ import annotations

import csv
import io
import os
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from edge_convnext.core.errors import DataError, shorten
from edge_convnext.core.files import sha256_file, write_text_atomic
from edge_convnext.core.progress import Track, untracked
from edge_convnext.data.images import ImageSet, Sample, rank
from edge_convnext.data.leaks import UNSEEN
from edge_convnext.data.samples import list_source, read_source
from edge_convnext.data.splits import Splits

__all__ = [
    "CalibrationSet",
    "check_explicit_calibration",
    "draw_calibration",
    "load_calibration",
    "tell_calibration",
    "write_calibration_csv",
]


_FEW_IMAGES = 10


@dataclass(frozen=True)
class CalibrationSet:
    """Images whose activations set the ranges of the quantizers."""

    images: ImageSet
    left_out: int  # images of the pool that are also in the evaluation set
    note: str  # where they come from, for the report
    notes: tuple[str, ...] = ()  # sentences on why the set says little


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
            From a source with a split, the training side is taken.
        data: Data source, a folder or a CSV. Paths of a manifest that do not lie beside it are
            looked for there.
        skip_bad_images: True leaves unreadable files out instead of stopping.
        track: Progress, called for each file that is hashed.
        sha256: Function that hashes one file.

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

    Images are equal if they decode to equal pixels; `leaks` says which copies are not seen.

    Raises:
        DataError: They overlap; the message names the first image and how many there are.
    """
    groups = {sample.group for sample in evaluation.samples if sample.group is not None}
    same = [one for one in calibration.samples if one.content in evaluation.contents]
    related = [sample for sample in calibration.samples if sample.group in groups]
    for found, what in ((same, "are in the evaluation set"), (related, "share a group with it")):
        if found:
            raise DataError(
                f"{found[0].path}: this and {len(found) - 1} other calibration images {what}, "
                "so the measured accuracy would not be honest; calibrate with training images "
                f"({UNSEEN})"
            )


def draw_calibration(
    pool: ImageSet, evaluation: ImageSet | None, size: int, seed: int
) -> CalibrationSet:
    """Draw a seeded, class-stratified calibration set.

    Every class gives the same number of images, or all it has. The order mixes the classes, so
    any beginning of the set is a smaller draw with the same seed.

    Args:
        pool: Training images, or an explicit set; equal images count once.
        evaluation: Images that must not be drawn.
        size: Number of images wanted; all of the pool where it has fewer.
        seed: Seed of the draw.

    Raises:
        DataError: Every image of the pool is in the evaluation set.
    """
    barred = evaluation.contents if evaluation else frozenset()
    allowed = {s.content: s for s in reversed(pool.samples) if s.content not in barred}
    left_out = sum(sample.content in barred for sample in pool.samples)
    if not allowed:
        raise DataError(
            f"all {left_out} images to calibrate with are in the evaluation set too; "
            "pass --calibration with others"
        )
    drawn = _interleave_classes(list(allowed.values()), seed)[:size]
    note = f"{len(drawn)} of {len(allowed)} images, seed {seed}"
    return CalibrationSet(ImageSet(tuple(drawn), pool.classes), left_out, note)


def tell_calibration(calibration: CalibrationSet, splits: Splits | None) -> CalibrationSet:
    """Add notes on a set that says little: few images, copies, one colour, one class of several.

    Args:
        calibration: Calibration set after `look_at_images`.
        splits: Labelled data. Its training labels give classes to images without labels.
    """
    samples = calibration.images.samples
    count, distinct = len(samples), len(calibration.images.contents)
    flat = sum(sample.flat for sample in samples)
    notes = []
    if distinct < count:
        notes.append(f"{count - distinct} of the {count} calibration images are copies of others.")
    if distinct < _FEW_IMAGES:
        notes.append(
            f"{distinct} different calibration images set every range of the quantizers: values "
            "beyond theirs are clipped. A few hundred, of all classes, are usual."
        )
    if flat:
        notes.append(
            f"{flat} of the {count} calibration images are of one colour: they say nothing about "
            "photographs."
        )
    return replace(calibration, notes=(*notes, *_tell_classes(calibration.images, splits)))


def write_calibration_csv(calibration: CalibrationSet, path: Path, relative_to: Path) -> None:
    """Record a set as `path,sha256`, which `load_calibration` reads back.

    Args:
        calibration: Calibration set to record.
        path: File to write.
        relative_to: Folder that the recorded paths start from.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["path", "sha256"])
    for sample in calibration.images.samples:
        relative = Path(os.path.relpath(sample.path, relative_to)).as_posix()
        writer.writerow([relative, sample.sha256])
    write_text_atomic(path, text.getvalue())


def _tell_classes(images: ImageSet, splits: Splits | None) -> list[str]:
    if splits is None:
        names = [images.classes[one.label] for one in images.samples if one.label is not None]
        wanted = len(images.classes)
    else:
        sides = [side for side in (splits.train, splits.val) if side is not None]
        known = {one.content: one.label for side in sides for one in side.samples}
        labels = [known.get(one.content) for one in images.samples]
        own = [images.classes[s.label] if s.label is not None else "" for s in images.samples]
        named = set(splits.val.classes)
        names = [
            splits.val.classes[label] if label is not None else name
            for label, name in zip(labels, own, strict=True)
            if label is not None or name in named
        ]
        wanted = len({label for label in known.values() if label is not None})
    covered = sorted(set(names))
    if len(names) < len(images) or not covered or 2 * len(covered) > min(wanted, len(images)):
        return []  # the class of some is not known
    if len(covered) == wanted:
        return []
    shown = ", ".join(shorten(name, 60) for name in covered[:3])
    return [
        f"The calibration images are of {len(covered)} of the {wanted} classes ({shown}"
        f"{', …' if len(covered) > 3 else ''}): larger values of the others are clipped."
    ]


def _interleave_classes(samples: list[Sample], seed: int) -> list[Sample]:
    """Order by rounds: the first image of every class, then the second of each, and so on."""
    ranked = sorted(samples, key=lambda sample: rank("calibration", seed, sample.sha256))
    taken: Counter[int | None] = Counter()
    rounds: list[int] = []
    for sample in ranked:
        rounds.append(taken[sample.label])
        taken[sample.label] += 1
    order = sorted(range(len(ranked)), key=rounds.__getitem__)  # stable: ranked within a round
    return [ranked[index] for index in order]
