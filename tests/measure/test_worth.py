"""How much slower a candidate may be for being nearer to FP32."""

import math

import pytest

from edge_convnext.measure.worth import NEAR_DB, accepted_slowdown


@pytest.mark.parametrize(
    ("own_db", "other_db", "factor"),
    [
        (24.0, 24.0, 1.0),
        (27.2, 24.3, 1.058),  # EfficientNet-Lite0: 0.3 pp of agreement for a decibel
        (26.0, 18.0, 1.08),  # eight percent at most
        (10.0, 29.0, 1.0),  # further away is worth nothing, and is no discount
        (50.0, 29.0, 1.02),  # beyond 30 dB hardly an image is answered otherwise
        (math.inf, NEAR_DB, 1.0),
        (math.inf, math.inf, 1.0),
        (25.0, -math.inf, 1.0),  # nothing is known of the other
        (-math.inf, 25.0, 1.0),
    ],
)
def test_a_decibel_is_worth_two_percent_of_latency_up_to_eight(own_db, other_db, factor):
    assert accepted_slowdown(own_db, other_db) == pytest.approx(factor)
