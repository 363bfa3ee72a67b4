"""A split that is made here: by seed, by class, and with groups kept whole."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from edge_convnext.data.images import Sample, rank

__all__ = ["split_by_seed"]


def split_by_seed(
    samples: Sequence[Sample], val_fraction: float, seed: int
) -> tuple[tuple[Sample, ...], tuple[Sample, ...], str]:
    """Hold out a fraction of every class; groups and equal images stay on one side.

    Args:
        samples: Labelled images.
        val_fraction: Part of each class to hold out, 0..1, as near as whole groups allow.
        seed: Seed of the split.

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
