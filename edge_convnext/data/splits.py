"""A training and an evaluation side: as the source splits them, or split here by seed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from edge_convnext.core.class_names import letters_of, natural_key
from edge_convnext.core.errors import DataError, shorten
from edge_convnext.core.files import sha256_file
from edge_convnext.core.origins import Fact, Origin
from edge_convnext.core.progress import Track, untracked
from edge_convnext.core.sections import DataConfig
from edge_convnext.data.batches import Look
from edge_convnext.data.images import ImageSet, Sample
from edge_convnext.data.samples import Reading, list_source, read_source
from edge_convnext.data.seeded_splits import split_by_seed
from edge_convnext.data.split_names import split_words

__all__ = [
    "Splits",
    "drop_bad_images",
    "load_splits",
    "require_training_classes",
    "see_images",
]


@dataclass(frozen=True)
class Splits:
    """Two disjoint image sets over the same classes."""

    train: ImageSet | None  # None where the source has only an evaluation side
    val: ImageSet
    note: str  # how they were split, for the report
    skipped: tuple[str, ...] = ()  # images left out as bad, with the reason
    by_seed: bool = False  # split here, not by the source
    facts: tuple[Fact, ...] = ()  # classes, their order and the sides, each with its origin
    notes: tuple[str, ...] = ()  # sentences on what was left out, counted or looks wrong
    # Other orders that the same class names may have, where nothing states the one in use.
    other_orders: tuple[tuple[str, ...], ...] = ()


def load_splits(
    source: Path,
    config: DataConfig,
    seed: int,
    classes: Sequence[str] | None = None,
    track: Track = untracked,
    sha256: Callable[[Path], str] = sha256_file,
) -> Splits:
    """Read a labelled source, and settle which images train and which evaluate.

    Args:
        source: Class-per-folder directory, or CSV.
        config: Section whose `labels`, `val_fraction` and `skip_bad_images` are used.
        seed: Seed of the split, where the source has none.
        classes: Class names of the checkpoint in logit order; `config.labels` overrides them.
            Without either, names are sorted.
        track: Progress, called for each file that is hashed.
        sha256: Function that hashes one file.

    Raises:
        DataError: The source can't be used; the message says why in one line.
    """
    labels = Path(config.labels) if config.labels else None
    reading = read_source(
        list_source(source), classes, labels, config.skip_bad_images, track, sha256
    )
    if not reading.sides:
        raise DataError(f"{source}: none of its {len(reading.skipped)} images can be read")
    if len(reading.classes) < 2:
        raise DataError(
            f"{source}: only one class, {', '.join(map(shorten, reading.classes))}: there is "
            "nothing to tell apart; pass the folder that holds the class folders"
        )
    splits = (
        _take_split(source, reading)
        if "val" in reading.sides
        else _split_here(source, reading, config.val_fraction, seed)
    )
    left_out = reading.listing.left_out
    return replace(
        splits,
        note=f"{splits.note}; not read: {left_out}" if left_out else splits.note,
        skipped=reading.skipped,
        facts=(*splits.facts, *reading.order.facts),
        notes=(*reading.listing.notes, *reading.order.notes, *splits.notes),
        other_orders=reading.order.other_orders,
    )


def see_images(splits: Splits, looks: Mapping[str, Look]) -> Splits:
    """Add to every sample what `look_at_images` saw, which decides which images are equal."""
    train = _see(splits.train, looks) if splits.train else None
    return replace(splits, train=train, val=_see(splits.val, looks))


def require_training_classes(splits: Splits) -> None:
    """Refuse a training side of one class, or one without a class that is evaluated.

    Raises:
        DataError: The training side has one class, or none of the evaluation's classes.
    """
    labels = {sample.label for sample in (splits.train.samples if splits.train else ())}
    judged = {sample.label for sample in splits.val.samples}
    if splits.train is not None and len(labels) > 1 and not labels & judged:
        here, there = (_show(splits.val.classes[i or 0] for i in sorted(one, key=lambda i: i or 0))
                       for one in (labels, judged))  # fmt: skip
        raise DataError(
            f"no class is on both sides (training: {here}; evaluation: {there}), so nothing that "
            "is learnt would be evaluated; give the classes the same names on both"
        )
    if splits.train is not None and len(labels) < 2:
        name = splits.train.classes[next(iter(labels)) or 0] if labels else "none"
        raise DataError(
            f"the training side has images of one class alone ({shorten(name)}), so there is "
            "nothing to learn; pass the folder that holds the class folders, or a CSV path,label"
        )


def drop_bad_images(splits: Splits, bad: Mapping[str, str], skip: bool) -> Splits:
    """Drop the images that `find_bad_images` named, or refuse them.

    Args:
        splits: Sides that were searched.
        bad: Reasons by SHA-256.
        skip: True leaves them out and lists them, instead of stopping.

    Raises:
        DataError: There are some and `skip` is false, or a side has no image left.
    """
    sides = [side for side in (splits.train, splits.val) if side is not None]
    found = [
        f"{sample.path}: {bad[sample.sha256]}"
        for side in sides
        for sample in side.samples
        if sample.sha256 in bad
    ]
    if not found:
        return splits
    if not skip:
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        raise DataError(f"{found[0]}{more}; repair or remove it, or pass --skip-bad-images")
    train = _without(splits.train, bad) if splits.train else None
    val = _without(splits.val, bad)
    if len(val) == 0 or (train is not None and len(train) == 0):
        raise DataError(f"{found[0]}: and no image is left on that side; all of them are bad")
    return replace(splits, train=train, val=val, skipped=(*splits.skipped, *found))


def _split_here(source: Path, reading: Reading, fraction: float, seed: int) -> Splits:
    pool = reading.sides.get(None) or reading.sides["train"]
    train, val, note = split_by_seed(pool, fraction, seed)
    if not train or not val:
        raise DataError(
            f"{source}: {len(pool)} images (groups kept whole) can't be split in two; "
            "add images, or give a split"
        )
    if "train" in reading.sides:
        note = f"{note} (the source has a training side only)"
    return Splits(
        ImageSet(train, reading.classes),
        ImageSet(val, reading.classes),
        note,
        by_seed=True,
        facts=(Fact("split", note, Origin("seed", str(seed))),),
        notes=tuple(f"The source splits {said}." for said in (reading.listing.split_by,) if said),
    )


def _take_split(source: Path, reading: Reading) -> Splits:
    train, val = reading.sides.get("train"), reading.sides["val"]
    notes = _check_groups(source, train or (), val, reading.listing.strict_groups)
    if train:
        notes += _check_names(source, train, val, reading)
    return Splits(
        ImageSet(train, reading.classes) if train else None,
        ImageSet(val, reading.classes),
        reading.listing.split_by or "",
        facts=reading.listing.facts,
        notes=tuple(notes),
    )


def _check_groups(
    source: Path, train: Sequence[Sample], val: Sequence[Sample], strict: bool
) -> list[str]:
    first = {sample.group: sample for sample in reversed(train) if sample.group is not None}
    found = [sample for sample in val if sample.group is not None and sample.group in first]
    if not found:
        return []
    group = str(found[0].group)
    other = first[group]
    where = f"(train: {other.path.name}, val: {found[0].path.name})"
    if strict:
        raise DataError(f"{source}: group '{group}' is on both sides {where}; put it on one")
    return [f"{len(found)} evaluation images are of groups in training too, such as '{group}'."]


def _check_names(
    source: Path, train: Sequence[Sample], val: Sequence[Sample], reading: Reading
) -> list[str]:
    """Note classes of one side alone; refuse those that are really one class, or a split."""
    here, there = ({reading.classes[one.label or 0] for one in side} for side in (train, val))
    both, alone = here & there, here ^ there
    by_data = not reading.order.facts or reading.order.facts[0].origin.kind != "labels file"
    spelt = {letters_of(name): name for name in there - here if letters_of(name)}
    for name in sorted(here - there) if reading.order.facts and by_data else ():
        if near := spelt.get(letters_of(name)):
            raise DataError(
                f"{source}: '{shorten(name)}' (training) and '{shorten(near)}' (evaluation) "
                "differ in case or separators alone; give them one name"
            )
    words = split_words(alone)  # one of many, such as `bullet_train`, is a class
    if 2 * len(both) < len(both | alone) and 2 * len(words) >= len(alone):
        raise DataError(
            f"{source}: classes of one side alone look like splits: {_show(words)}; pass the "
            "folder that has the splits right in it, or a CSV path,label,split"
        )
    alone_by_side = ((here - there, "training"), (there - here, "evaluation"))
    return [
        f"Classes with images on the {side} side alone: {_show(sorted(names, key=natural_key))}."
        for names, side in alone_by_side
        if names
    ]


def _show(names: Iterable[str]) -> str:
    shown = [shorten(name, 60) for name in names]
    return ", ".join(shown[:5]) + (f" and {len(shown) - 5} more" if len(shown) > 5 else "")


def _without(images: ImageSet, bad: Mapping[str, str]) -> ImageSet:
    kept = tuple(sample for sample in images.samples if sample.sha256 not in bad)
    return ImageSet(kept, images.classes)


def _see(images: ImageSet, looks: Mapping[str, Look]) -> ImageSet:
    def see(sample: Sample) -> Sample:
        look = looks.get(sample.sha256)
        return replace(sample, pixels=look.pixels or None, flat=look.flat) if look else sample

    return ImageSet(tuple(map(see, images.samples)), images.classes)
