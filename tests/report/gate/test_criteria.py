"""Every sentence and every figure of a gate, on evidence that is written down: limits held."""

import pytest

from edge_convnext.report.gate.criteria import decide_above, decide_below


@pytest.mark.parametrize(
    ("interval", "below", "above"),
    [
        ((0.5, 1.0), "pass", "inconclusive"), ((0.5, 1.1), "inconclusive", "inconclusive"),
        ((1.0, 2.0), "inconclusive", "pass"), ((1.1, 2.0), "fail", "pass"),
        ((0.1, 0.9), "pass", "fail"), ((1.0, 1.0), "pass", "pass"),
    ],
)  # fmt: skip
def test_an_interval_is_held_against_a_limit(interval, below, above):
    assert decide_below(interval, 1.0) == below
    assert decide_above(interval, 1.0) == above
