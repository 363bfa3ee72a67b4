"""Tables of what a build found where its candidates run: what was refused, what runs in INT8."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_convnext.report.summary import MISSING, graph_name, number

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from edge_convnext.report.contract import Report
    from edge_convnext.report.measured import BenchmarkRow, Int8ProductsReport, MovedProduct

__all__ = [
    "PRODUCT_HEADINGS",
    "REFUSED_HEADINGS",
    "fastest_fit",
    "mark_refused",
    "product_rows",
    "refused_rows",
]

REFUSED_HEADINGS = ("artifact", "graph", "dB there", "dB in ONNX Runtime", "rule", "node", "why")
PRODUCT_HEADINGS = ("artifact", "planned", "found", "not as planned, and why")
_NAMED = 5  # of the products of a kind; report.json has them all


def refused_rows(report: Report) -> list[tuple[str, ...]]:
    """One for each candidate that is wrong where it would run; see `REFUSED_HEADINGS`."""
    return [
        (
            one.artifact,
            graph_name(one),
            number(one.sqnr_db, 1),
            number(one.onnxruntime_sqnr_db, 1),
            one.rule or MISSING,
            one.node or MISSING,
            one.reason,
        )
        for one in report.refused
    ]


def mark_refused(report: Report, artifact: str) -> str:
    """Name of a candidate that was timed, and whether it may not ship."""
    refused = artifact in report.refused_names
    return f"{artifact} (refused, may not ship)" if refused else artifact


def fastest_fit(report: Report, rows: Iterable[BenchmarkRow]) -> list[BenchmarkRow]:
    """The fastest of each precision in each runtime that may ship.

    Args:
        report: Report that tells what was refused.
        rows: Timings of one batch size.

    Returns:
        At most one for each precision and runtime, the fastest first.
    """
    found: dict[tuple[str, str], BenchmarkRow] = {}
    for row in sorted(rows, key=lambda row: row.latency_ms_p50):
        if row.artifact not in report.refused_names:
            found.setdefault((row.precision, row.runtime), row)
    return list(found.values())


def product_rows(report: Report) -> list[tuple[str, ...]]:
    """One for each INT8 candidate; see `PRODUCT_HEADINGS`."""
    return [
        (
            one.artifact,
            str(one.planned_int8_products),
            MISSING if one.found_int8_products is None else str(one.found_int8_products),
            _why(one),
        )
        for one in report.int8_products
    ]


def _why(one: Int8ProductsReport) -> str:
    if one.reason is not None:
        return one.reason
    return "; ".join([*_named(one.in_float, "in float"), *_named(one.beyond_plan, "in INT8")])


def _named(products: Sequence[MovedProduct], precision: str) -> list[str]:
    named = [f"{one.node} {precision}: {one.reason}" for one in products[:_NAMED]]
    more = len(products) - len(named)
    return [*named, *([f"and {more} more {precision}"] if more else [])]
