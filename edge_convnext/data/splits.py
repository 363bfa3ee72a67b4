"""A training and an evaluation side: as the source splits them, or split here by seed."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from edge_convnext.data.images import ImageSet, Sample, rank
from edge_convnext.data.samples import Reading, list_source, read_source
from edge_convnext.errors import DataError
from edge_convnext.files import sha256_file
from edge_convnext.origins import Fact
from edge_convnext.progress import Track, untracked
from edge_convnext.recipe import DataConfig

__all__ = ["Splits", "drop_bad_images", "load_splits", "split_by_seed"]


@dataclass(frozen=True)
class Splits:
    """Two disjoint image sets over the same classes."""

    train: ImageSet | None  # None where the source has an evaluation side alone
    val: ImageSet
    note: str  # how they were split, for the report
    skipped: tuple[str, ...] = ()  # images left out as bad, with the reason
    by_seed: bool = False  # split here, not by the source
    facts: tuple[Fact, ...] = ()  # who says what the classes, their order and the sides are
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
    """Read a labelled source and settle what trains and what evaluates.

    Args:
        source: A class-per-folder directory or a CSV.
        config: `labels`, `val_fraction` and `skip_bad_images` are read.
        seed: Of the split, where the source has none.
        classes: Names in logit order that the checkpoint carries; `config.labels` overrides
            their names. Without either: sorted names.
        track: Told of each file that is hashed.
        sha256: Hashes one file.

    Raises:
        DataError: Anything wrong with the source, in one line.
    """
    labels = Path(config.labels) if config.labels else None
    reading = read_source(
        list_source(source), classes, labels, config.skip_bad_images, track, sha256
    )
    if not reading.sides:
        raise DataError(f"{source}: none of its {len(reading.skipped)} images can be read")
    if "val" in reading.sides:
        return _take_split(source, reading)
    pool = reading.sides.get(None) or reading.sides["train"]
    train, val, note = split_by_seed(pool, config.val_fraction, seed)
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
        reading.skipped,
        by_seed=True,
    )


def split_by_seed(
    samples: Sequence[Sample], val_fraction: float, seed: int
) -> tuple[tuple[Sample, ...], tuple[Sample, ...], str]:
    """Hold out a fraction of every class; groups and equal images stay on one side.

    Args:
        samples: Labelled images.
        val_fraction: Part of each class to hold out, 0..1; as near as whole groups allow.
        seed: Another seed, another split.

    Returns:
        Training side, evaluation side (both in the order of `samples`), and a note. A class
        with one image or one group stays in training.
    """
    strata: dict[int | None, list[list[int]]] = defaultdict(list)
    for unit in _find_units(samples):
        counts = Counter(samples[index].label for index in unit)
        strata[counts.most_common(1)[0][0]].append(unit)
    held_out: set[int] = set()
    for units in strata.values():
        units.sort(key=lambda unit: min(rank("split", seed, samples[i].sha256) for i in unit))
        held_out.update(index for unit in _choose(units, val_fraction) for index in unit)
    train = tuple(sample for index, sample in enumerate(samples) if index not in held_out)
    val = tuple(sample for index, sample in enumerate(samples) if index in held_out)
    return train, val, _describe(samples, strata, val_fraction, seed)


def drop_bad_images(splits: Splits, bad: Mapping[str, str], skip: bool) -> Splits:
    """Act on `find_bad_images`' verdict.

    Args:
        splits: What was searched.
        bad: SHA-256 to reason.
        skip: Leave them out and list them, instead of stopping.

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
        raise DataError(f"{found[0]}{more}; mend or remove it, or pass --skip-bad-images")
    train = _without(splits.train, bad) if splits.train else None
    val = _without(splits.val, bad)
    if len(val) == 0 or (train is not None and len(train) == 0):
        raise DataError(f"{found[0]}: and no image is left on that side; all of them are bad")
    return replace(splits, train=train, val=val, skipped=(*splits.skipped, *found))


def _take_split(source: Path, reading: Reading) -> Splits:
    train, val = reading.sides.get("train"), reading.sides["val"]
    first = {sample.group: sample for sample in reversed(train or ()) if sample.group is not None}
    for sample in val:
        if sample.group is not None and (other := first.get(sample.group)):
            raise DataError(
                f"{source}: group '{sample.group}' is on both sides "
                f"(train: {other.path.name}, val: {sample.path.name}); put it on one"
            )
    return Splits(
        ImageSet(train, reading.classes) if train else None,
        ImageSet(val, reading.classes),
        reading.split_by or "",
        reading.skipped,
    )


def _find_units(samples: Sequence[Sample]) -> list[list[int]]:
    """Indices that must stay together: one group, equal content, and chains of these."""
    parents = list(range(len(samples)))

    def root(index: int) -> int:
        while parents[index] != index:
            parents[index] = parents[parents[index]]
            index = parents[index]
        return index

    first: dict[tuple[str, str], int] = {}
    for index, sample in enumerate(samples):
        for key in (("content", sample.sha256), ("group", sample.group)):
            if key[1] is not None:
                parents[root(index)] = root(first.setdefault((key[0], key[1]), index))
    units: dict[int, list[int]] = defaultdict(list)
    for index in range(len(samples)):
        units[root(index)].append(index)
    return list(units.values())


def _choose(units: list[list[int]], fraction: float) -> list[list[int]]:
    """Take units in order while each brings the total nearer to its target.

    At least one and not all of them, where there are two or more.
    """
    if len(units) < 2:
        return []
    target = fraction * sum(len(unit) for unit in units)
    chosen: list[list[int]] = []
    total = 0
    for unit in units:
        if abs(total + len(unit) - target) < abs(total - target):
            chosen.append(unit)
            total += len(unit)
    if not chosen:
        return [min(units, key=len)]
    return chosen if len(chosen) < len(units) else chosen[:-1]


def _describe(
    samples: Sequence[Sample],
    strata: Mapping[int | None, list[list[int]]],
    fraction: float,
    seed: int,
) -> str:
    groups = len({sample.group for sample in samples if sample.group is not None})
    kept = f"{groups} groups kept whole" if groups else "no groups given"
    single = sum(len(units) < 2 for units in strata.values())
    rest = f"; {single} classes of one image or group stay in training" if single else ""
    return f"split here by seed {seed}: {fraction:.0%} of each class held out, {kept}{rest}"


def _without(images: ImageSet, bad: Mapping[str, str]) -> ImageSet:
    kept = tuple(sample for sample in images.samples if sample.sha256 not in bad)
    return ImageSet(kept, images.classes)
