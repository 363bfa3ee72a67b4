"""Images that are in a data set twice: on both sides, or under two labels.

Images are equal if they decode to equal pixels: another comment, EXIF block or PNG level does not
matter. A copy that was encoded anew or resized has other pixels, and is not seen here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from edge_convnext.core.errors import DataError
from edge_convnext.data.images import ImageSet, Sample

if TYPE_CHECKING:
    from edge_convnext.data.splits import Splits

__all__ = ["UNSEEN", "drop_leaks"]

UNSEEN = "copies that were encoded anew or resized are not found"
_MOST_SHARED = 0.01  # of the evaluation side


@dataclass(frozen=True)
class _Leaks:
    """Evaluation images with a copy in training."""

    pairs: tuple[tuple[Sample, Sample], ...]  # evaluation, its first training copy
    copies: int  # training images that are such copies
    relabelled: int  # pairs of two labels

    @property
    def example(self) -> str:
        mine, other = self.pairs[0]
        return f"{mine.path} is {other.path}"


def drop_leaks(splits: Splits, allow: bool = False) -> Splits:
    """Leave evaluation images out of training, and name images under two labels.

    Args:
        splits: Sides after `see_images`; before that, only equal bytes are found.
        allow: True goes on where a given split shares more than 1 % of its evaluation side.

    Returns:
        Splits whose sides share no image, with what was done in `notes` and `note`.

    Raises:
        DataError: More than 1 % is shared, or training has no other image.
    """
    notes, said = _tell_labels(splits)
    train = splits.train
    if train is not None and (leaks := _find_leaks(train, splits.val)).pairs:
        share = len(leaks.pairs) / len(splits.val)
        if share > _MOST_SHARED and not splits.by_seed and not allow:
            raise DataError(
                f"{len(leaks.pairs)} of {len(splits.val)} evaluation images ({share:.1%}) are in "
                f"training too ({leaks.example}), so the accuracy would not be honest; take them "
                "out of one side, or pass --allow-duplicates to leave out the training copies"
            )
        kept = tuple(s for s in train.samples if s.content not in splits.val.contents)
        if not kept:
            raise DataError(
                f"every training image is in the evaluation set too ({leaks.example}); give the "
                "source other images to train or calibrate with"
            )
        train = ImageSet(kept, train.classes)
        other = f", {leaks.relabelled} under another label" if leaks.relabelled else ""
        notes.append(
            f"{len(leaks.pairs)} evaluation images are in training too{other} (first: "
            f"{leaks.example}); the {leaks.copies} training copies are left out ({UNSEEN})."
        )
        said.append(f"{leaks.copies} training copies of evaluation images left out{other}")
    note = "; ".join([splits.note, *said])
    return replace(splits, train=train, note=note, notes=(*splits.notes, *notes))


def _find_leaks(train: ImageSet, val: ImageSet) -> _Leaks:
    first = {sample.content: sample for sample in reversed(train.samples)}
    pairs = [(one, first[one.content]) for one in val.samples if one.content in first]
    copies = sum(sample.content in val.contents for sample in train.samples)
    relabelled = sum(mine.label != other.label for mine, other in pairs)
    return _Leaks(tuple(pairs), copies, relabelled)


def _tell_labels(splits: Splits) -> tuple[list[str], list[str]]:
    """Count and name images under two labels on one side, and count copies under one."""
    notes: list[str] = []
    said: list[str] = []
    for side, what in ((splits.train, "training"), (splits.val, "evaluation")):
        if side is None:
            continue
        first: dict[str, Sample] = {}
        twice: dict[str, tuple[Sample, Sample]] = {}
        copies = 0
        for sample in side.samples:
            earlier = first.setdefault(sample.content, sample)
            copies += earlier is not sample
            if earlier.label != sample.label:
                twice.setdefault(sample.content, (earlier, sample))
        if twice:
            pair = next(iter(twice.values()))
            notes.append(
                f"{len(twice)} {what} images lie under two labels (first: "
                f"{_named(pair, side.classes)}): one of them is wrong."
            )
            said.append(f"{len(twice)} {what} images under two labels")
        if copies:
            notes.append(f"{copies} {what} images are copies of others there.")
    return notes, said


def _named(pair: tuple[Sample, Sample], classes: Sequence[str]) -> str:
    shown = [
        f"{one.path} as {classes[one.label]}" if one.label is not None else str(one.path)
        for one in pair
    ]
    return " and ".join(shown)
