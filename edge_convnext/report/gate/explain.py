"""Which images and classes flipped, the worst first."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from edge_convnext.report.gate.baseline import Baseline
from edge_convnext.report.gate.evidence import Evidence

__all__ = ["ClassFlips", "Explanation", "Flip", "explain"]


@dataclass(frozen=True)
class Flip:
    """An image whose class changed."""

    sha256: str
    label: str
    before: str
    now: str
    margin: float  # margin of the new logits: how sure the change is

    @property
    def lost(self) -> bool:
        """It was right before."""
        return self.before == self.label


@dataclass(frozen=True)
class ClassFlips:
    """What changed among the images of one class."""

    label: str
    n: int
    lost: int  # right before, wrong now
    won: int  # wrong before, right now

    @property
    def drop_pp(self) -> float:
        """Drop of this class's top-1."""
        return 100.0 * (self.lost - self.won) / self.n


@dataclass(frozen=True)
class Explanation:
    """Everything that changed against `against`."""

    against: str  # "fp32" or "the baseline"
    classes: tuple[ClassFlips, ...]  # largest drop first; those without a flip are left out
    flips: tuple[Flip, ...]  # lost images first, the surest first


def explain(evidence: Evidence, baseline: Baseline | None = None) -> Explanation:
    """Compare image by image with the baseline, or with the build's own FP32 without one."""
    flips, lost, won = [], Counter[str](), Counter[str]()
    for one in evidence.predictions:
        before = one.fp32 if baseline is None else baseline.said_of(one.sha256)
        if before is None or before == one.candidate:
            continue
        flip = Flip(one.sha256, one.label, before, one.candidate, one.margin)
        flips.append(flip)
        lost[one.label] += flip.lost
        won[one.label] += one.candidate == one.label
    counts = Counter(one.label for one in evidence.predictions)
    touched = {flip.label for flip in flips}
    classes = [ClassFlips(name, counts[name], lost[name], won[name]) for name in touched]
    return Explanation(
        "fp32" if baseline is None else "the baseline",
        tuple(sorted(classes, key=lambda one: (-one.drop_pp, -one.lost, one.label))),
        tuple(sorted(flips, key=lambda flip: (not flip.lost, -flip.margin, flip.sha256))),
    )
