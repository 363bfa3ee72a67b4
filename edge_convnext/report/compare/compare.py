"""`edge_convnext.compare`: builds, boards' reports and baselines, each against the first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from string import ascii_uppercase

from edge_convnext.core.errors import ArtifactError
from edge_convnext.core.files import AnyPath
from edge_convnext.report.compare.changes import (
    Change,
    StageTime,
    find_changes,
    graphs_note,
    stage_times,
)
from edge_convnext.report.compare.findings import (
    Finding,
    Outcome,
    count_outcomes,
    sort_findings,
)
from edge_convnext.report.compare.images import (
    ClassChange,
    accuracy_findings,
    class_changes,
    pair_answers,
)
from edge_convnext.report.compare.sides import Side, read_side
from edge_convnext.report.compare.speeds import (
    Timing,
    board_findings,
    latency_finding,
    size_finding,
    timings_of_both,
)

__all__ = ["Comparison", "PairComparison", "compare", "compare_sides"]


@dataclass(frozen=True)
class PairComparison:
    """One build against the first."""

    before: Side
    now: Side
    findings: tuple[Finding, ...]  # the most telling first
    classes: tuple[ClassChange, ...]  # the largest loss first
    changes: tuple[Change, ...]
    graphs: str | None  # where the graphs begin to differ
    stages: tuple[StageTime, ...]
    timings: tuple[Timing, ...]
    why_no_timings: str | None

    @property
    def counts(self) -> dict[Outcome, int]:
        """How many measures are better, same, worse and unknown."""
        return count_outcomes(one.outcome for one in self.findings)

    @property
    def class_counts(self) -> dict[Outcome, int]:
        """The same of the classes."""
        return count_outcomes(one.outcome for one in self.classes)

    @property
    def headline(self) -> str:
        """The sentence to read if only one is read."""
        counts = self.counts
        first = self.findings[0]
        if first.first or counts["worse"]:
            return first.text
        gains = [one.text for one in self.findings if one.outcome == "better"]
        if gains:
            return gains[0]
        unknown = counts["unknown"]
        if not counts["same"]:
            return f"Nothing could be compared: {first.text}"
        rest = f" in what could be compared; {unknown} could not" if unknown else ""
        return f"No difference shown{rest}."


@dataclass(frozen=True)
class Comparison:
    """Builds beside each other, each compared with the first."""

    sides: tuple[Side, ...]
    pairs: tuple[PairComparison, ...]


def compare(*paths: AnyPath) -> Comparison:
    """Compare builds, boards' reports or baselines with the first of them.

    Args:
        paths: Two to 26 folders of builds or of boards' reports, `report.json` files, or files
            of `gate --save-baseline`.

    Returns:
        What is better, same, worse and unknown, and what changed. Nothing is decided.

    Raises:
        ArtifactError: There are too few or too many; one is none of these, or was changed since
            it was written.
    """
    if not 2 <= len(paths) <= len(ascii_uppercase):
        raise ArtifactError(
            f"{len(paths)} given: compare takes 2 to {len(ascii_uppercase)} builds, boards' "
            "reports or baselines"
        )
    letters = zip(ascii_uppercase, map(Path, paths), strict=False)
    return compare_sides([read_side(path, letter) for letter, path in letters])


def compare_sides(sides: Sequence[Side]) -> Comparison:
    """`compare` on what was read before; the first is what the others are compared with."""
    return Comparison(tuple(sides), tuple(_compare(sides[0], one) for one in sides[1:]))


def _compare(before: Side, now: Side) -> PairComparison:
    paired = pair_answers(before, now)
    timings, why_no_timings = timings_of_both(before, now)
    findings = [
        *accuracy_findings(before, now, paired),
        latency_finding(before, now),
        *board_findings(before, now),
        size_finding(before, now),
    ]
    return PairComparison(
        before,
        now,
        sort_findings(findings),
        class_changes(paired),
        find_changes(before, now, paired),
        graphs_note(before, now),
        stage_times(before, now),
        timings,
        why_no_timings,
    )
