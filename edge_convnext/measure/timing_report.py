"""A race as a report states it, of a build and of a board."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edge_convnext.report.contract import BenchmarkRow, Candidate

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge_convnext.measure.benchmark import BenchmarkResult, Ratio

__all__ = ["report_interval", "report_race", "report_ratio"]

_MEASURED = tuple(name for name in BenchmarkRow.model_fields if name not in Candidate.model_fields)


def report_race(
    timings: BenchmarkResult, candidate_of: Callable[[str], Candidate]
) -> dict[str, Any]:
    """Fields of a `BenchmarkReport`: every row, which of them judge, and what may skew them.

    Args:
        timings: Of all rounds.
        candidate_of: The candidate of a row, by the name that it raced under.
    """
    judged = timings.judged
    return {
        "rows": tuple(
            BenchmarkRow(
                **candidate_of(row.artifact).model_dump(),
                **{name: getattr(row, name) for name in _MEASURED},
            )
            for row in timings.rows
        ),
        "judge_loads": judged.loads if judged else None,
        "judge_rounds": judged.total if judged else None,
        "other_load_pct": timings.other_load_pct,
        "throttled_periods": timings.throttled_periods,
    }


def report_ratio(field: str, ratio: Ratio | None) -> dict[str, Any]:
    """Point estimate and interval, both from the same rounds; nothing where there is none."""
    return {} if ratio is None else {field: ratio.median, f"{field}_ci95": report_interval(ratio)}


def report_interval(ratio: Ratio) -> tuple[float, float] | None:
    """The 95 % interval; None with too few rounds for one."""
    if ratio.ci95_lo is None or ratio.ci95_hi is None:
        return None
    return ratio.ci95_lo, ratio.ci95_hi
