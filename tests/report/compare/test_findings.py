import pytest

from edge_convnext.report.compare.findings import (
    Finding,
    count_outcomes,
    outcome_of,
    sort_findings,
)


@pytest.mark.parametrize(
    ("interval", "even", "low_is_good", "outcome"),
    [
        ((-1.0, 1.0), 0.0, False, "same"),
        ((0.0, 1.0), 0.0, False, "same"),
        ((0.1, 1.0), 0.0, False, "better"),
        ((-1.0, -0.1), 0.0, False, "worse"),
        ((1.1, 1.2), 1.0, True, "worse"),
        ((0.8, 0.9), 1.0, True, "better"),
    ],
)
def test_an_interval_decides(interval, even, low_is_good, outcome):
    assert outcome_of(interval, even, low_is_good=low_is_good) == outcome


def test_what_explains_the_rest_comes_first_then_worse_unknown_better_same():
    found = [Finding(name, name, "") for name in ("same", "better", "unknown", "worse")]
    found.append(Finding("cause", "unknown", "", first=True))
    order = [one.measure for one in sort_findings(found)]
    assert order == ["cause", "worse", "unknown", "better", "same"]


def test_every_outcome_is_counted_also_where_there_is_none():
    assert count_outcomes(["worse", "same", "same"]) == {
        "better": 0, "same": 2, "worse": 1, "unknown": 0,
    }  # fmt: skip
