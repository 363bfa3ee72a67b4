"""What the report says of candidates that are wrong where they would run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_convnext.measure.to_report import report_refused
from edge_convnext.runtimes.load import find_runtime

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

    from edge_convnext.build.sieve import Ruling
    from edge_convnext.core.artifacts import Precision
    from edge_convnext.measure.candidates import Candidate
    from edge_convnext.report.measured import RefusedCandidate

__all__ = ["refused_notes", "report_refusals", "why_none_is_left"]


def report_refusals(
    rulings: Iterable[Ruling],
    label: Callable[[Candidate], str],
    timed: Collection[str] = (),
) -> Iterator[RefusedCandidate]:
    """Each candidate that was refused, as the report states it.

    Args:
        rulings: Rulings of a `Sieve`.
        label: Name of a candidate in this report.
        timed: Names of the candidates that were raced.
    """
    for one in rulings:
        if one.wrong is not None:
            name = label(one.candidate)
            yield report_refused(
                one.candidate, name, one.wrong, one.found, one.finding,
                timed=one.candidate.name in timed,
            )  # fmt: skip


def refused_notes(refused: Iterable[RefusedCandidate]) -> list[str]:
    """A sentence for each: what may not ship, and why."""
    how = {True: "Raced for INT8 to beat, and not shipped", False: "Not raced, and not shipped"}
    return [f"{how[one.timed]}: {_sentence(one)}" for one in refused]


def why_none_is_left(
    precision: Precision, chosen: Candidate | None, refused: Sequence[RefusedCandidate]
) -> tuple[str, ...]:
    """Why there is no candidate of the precision that was asked for; empty where there is one."""
    if chosen is not None:
        return ()
    own = [_sentence(one) for one in refused if one.precision == precision]
    start = f"No {precision.upper()} model is right where it would run."
    return (start, *own) if own else ()


def _sentence(one: RefusedCandidate) -> str:
    hint = f", {one.precision_hint}" if one.precision_hint else ""
    what = f"{one.precision.upper()} {one.form}{f'.{one.placement}' if one.placement else ''}"
    return f"{what} in {find_runtime(one.runtime).LABEL}{hint}: {one.reason}."
