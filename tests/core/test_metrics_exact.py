"""Figures of more images than are taken at a time."""

import numpy as np
import pytest

from edge_convnext.core import metrics
from edge_convnext.core.metrics import agreement_pct, compare_logits, hits, sqnr_db, top_k_pct


@pytest.fixture(autouse=True)
def three_rows_at_a_time(monkeypatch):
    monkeypatch.setattr(metrics, "_ROWS", 3)


def test_every_block_of_rows_counts_towards_sqnr():
    reference = np.full((7, 2), 2.0, np.float32)
    candidate = reference.copy()
    candidate[6] = 1.0  # only the last block differs
    assert sqnr_db(reference, candidate) == pytest.approx(10 * np.log10(7 * 2 * 4 / 2))
    candidate[2] = 4.0
    assert sqnr_db(reference, candidate) == pytest.approx(10 * np.log10(7 * 2 * 4 / 10))


def test_sqnr_is_summed_in_float64():
    reference = np.full((2, 1), 1e4, np.float32)
    reference[1] = 1.0
    candidate = reference.copy()
    candidate[0] += 1.0
    assert sqnr_db(reference, candidate) == pytest.approx(10 * np.log10(1e8 + 1), rel=1e-12)


def test_hits_of_every_block_are_told_as_booleans():
    logits = np.eye(4, dtype=np.float32)[[0, 1, 2, 3, 0, 1, 2]]
    found = hits(logits, np.array([0, 0, 2, 3, 3, 1, 2]))
    assert found.dtype == np.bool_
    assert found.tolist() == [True, False, True, True, False, True, True]


def test_the_share_of_one_image_in_three_is_no_rounded_number():
    logits = np.eye(3, dtype=np.float32)
    assert top_k_pct(logits, np.array([0, 0, 0])) == 100 / 3
    assert agreement_pct(logits, logits[[0, 2, 1]]) == 100 / 3


def test_the_largest_error_is_of_every_block_and_of_either_sign():
    reference = np.zeros((5, 2), np.float32)
    candidate = reference.copy()
    candidate[4, 1], candidate[0, 0] = -2.5, 1.0
    parity = compare_logits(reference + 1, candidate + 1)
    assert (parity.n_images, parity.max_abs_err) == (5, 2.5)
    assert parity.agreement_pct == 100.0  # of equal logits the first


@pytest.mark.parametrize(("left", "right"), [((0, 2), (0, 2)), ((1, 2), (2, 2)), ((1, 2), (1, 3))])
def test_what_can_not_be_compared_is_told_with_its_shapes(left, right):
    with pytest.raises(ValueError, match=r"^can't compare logits .* with ") as caught:
        compare_logits(np.zeros(left, np.float32), np.zeros(right, np.float32))
    assert str(caught.value) == f"can't compare logits {left} with {right}"
