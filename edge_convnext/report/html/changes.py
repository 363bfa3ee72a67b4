"""The answers that changed from FP32 to what was built, from the predictions beside a report."""

from __future__ import annotations

import csv
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge_convnext.core.bounded import require_regular
from edge_convnext.report.html.parts import Bullets, Thumbnails, Uri, Words, make_table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from edge_convnext.report.html.parts import Block, Limits, Table

__all__ = ["KINDS", "Change", "changes_blocks", "read_changes"]

KINDS = ("lost", "won", "other")  # what matters most is first
_MATRIX = 8  # classes that a matrix has at most
_MOST_BYTES = 200 << 20


@dataclass(frozen=True)
class Change:
    """An image that FP32 and the built precision answer differently."""

    sha256: str
    label: str
    before: str  # FP32's answer
    after: str

    @property
    def kind(self) -> str:
        """`lost`, `won`, or `other` where both are wrong."""
        if self.before == self.label:
            return "lost"
        return "won" if self.after == self.label else "other"


def read_changes(path: Path) -> tuple[Change, ...] | None:
    """Images whose answer changed, in the order of the file.

    Returns:
        None where there is no such file, or it is not one of predictions of two precisions: a page
        says so, and is made all the same.
    """
    try:
        if require_regular(path) > _MOST_BYTES:
            return None
        with path.open(encoding="utf-8", newline="") as file:
            rows = csv.DictReader(file)
            names = [name for name in rows.fieldnames or () if name.endswith("_top1")]
            built = next((name for name in names if name != "fp32_top1"), None)
            if "fp32_top1" not in names or built is None:
                return None
            return tuple(
                Change(row["sha256"], row["label"], row["fp32_top1"], row[built])
                for row in rows
                if row["fp32_top1"] != row[built]
            )
    except (OSError, KeyError, ValueError, csv.Error):
        return None


def changes_blocks(
    changes: Sequence[Change] | None, images: Mapping[str, str], limits: Limits
) -> list[Block]:
    """What changed from which class to which, and the images themselves where they are given."""
    if changes is None:
        told = "Answers to each image are not recorded beside this report (predictions.csv)."
        return [Words(told, "missing")]
    if not changes:
        return [Words("No image's answer changed.")]
    kinds = Counter(one.kind for one in changes)
    told = (
        f"{len(changes):,} answer{'' if len(changes) == 1 else 's'} changed: "
        f"{kinds['lost']:,} right to wrong, {kinds['won']:,} wrong to right, "
        f"{kinds['other']:,} from one wrong class to another."
    )
    blocks: list[Block] = [Words(told), _pairs(changes, limits)]
    if (matrix := _matrix(changes, limits)) is not None:
        blocks.insert(1, matrix)
    if shown := sorted((one for one in changes if one.sha256 in images), key=_rank):
        captions = tuple(
            (
                Uri(images[one.sha256]),
                f"{one.label}: FP32 says {one.before}, built says {one.after}",
                one.kind,
            )
            for one in shown
        )
        blocks.append(
            Thumbnails(f"{len(shown)} of {len(changes):,} images whose answer changed", captions)
        )
    else:
        told = "The images are shown with: edge-convnext report DIR --with-images --data DATA"
        blocks.append(Bullets((told,), title="Where are the images?"))
    return blocks


def _rank(one: Change) -> int:
    return KINDS.index(one.kind)


def _matrix(changes: Sequence[Change], limits: Limits) -> Table | None:
    """How many answers went from which class to which; None where that is too wide to read."""
    names = sorted({name for one in changes for name in (one.before, one.after)})
    if len(names) > _MATRIX:
        return None
    counts = Counter((one.before, one.after) for one in changes)
    rows = [(name, *(str(counts[name, other]) for other in names)) for name in names]
    headings = ("FP32 says, down; built says, across", *names)
    return make_table("Confusion matrix of what changed", headings, rows, limits, folded=False)


def _pairs(changes: Sequence[Change], limits: Limits) -> Table:
    counts = Counter((one.label, one.before, one.after, one.kind) for one in changes)
    rows = (
        (label, before, after, f"{count:,}", {"other": "both wrong"}.get(kind, kind))
        for (label, before, after, kind), count in counts.most_common()
    )
    headings = ("label", "FP32 says", "built says", "images", "what")
    return make_table("Answers that changed", headings, rows, limits)
