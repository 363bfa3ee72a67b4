"""For test suites: gate a build with one assertion.

from edge_convnext import Limits, assert_gate

def test_int8_is_as_accurate() -> None:
    assert_gate("build/atto-int8", Limits(max_drop_pp=0.5), baseline="baseline.json")
"""

from __future__ import annotations

from pathlib import Path

from edge_convnext.report.gate.baseline import read_baseline
from edge_convnext.report.gate.decide import GateResult, gate, is_strict
from edge_convnext.report.gate.limits import Limits
from edge_convnext.report.gate.outputs import to_text

__all__ = ["Limits", "assert_gate"]


def assert_gate(
    report: str | Path,
    limits: Limits | None = None,
    *,
    baseline: str | Path | None = None,
    strict: bool | None = None,
) -> GateResult:
    """Raise AssertionError, with every figure, unless a build keeps its limits.

    Args:
        report: `report.json`, or the folder of the build.
        limits: Limits to keep; None means a top-1 drop of at most 1 pp.
        baseline: File that `edge-convnext gate --save-baseline` wrote.
        strict: True lets inconclusive criteria fail too; None does so where the variable `CI` is
            true, as the command does.

    Returns:
        The result, to look at further.

    Raises:
        AssertionError: A limit is not kept.
        ArtifactError: The report can't be gated at all; see `gate.decide.gate`.
    """
    __tracebackhide__ = True  # pytest shows the caller's line
    earlier = read_baseline(Path(baseline)) if baseline else None
    result = gate(Path(report), limits, earlier)
    sure = is_strict(strict)
    if not result.passed(sure):
        raise AssertionError(to_text(result, sure))
    return result
