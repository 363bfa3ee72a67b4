from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_convnext.core.metrics import (
    compare_logits,
    hits,
    per_class_top1_pct,
    sqnr_db,
    top_k_pct,
)

LOGITS = np.array([[3, 2, 1], [1, 3, 2], [2, 1, 3], [3, 1, 2]], np.float32)
LABELS = np.array([0, 2, 2, 1])


def test_top_k_counts_the_labels_among_the_k_largest():
    assert [top_k_pct(LOGITS, LABELS, k) for k in (1, 2, 3)] == [50.0, 75.0, 100.0]


def test_of_equal_logits_the_first_class_counts_as_argmax_has_it():
    logits = np.zeros((3, 3), np.float32)
    labels = np.array([0, 1, 2])
    assert hits(logits, labels).tolist() == [True, False, False]
    assert hits(logits, labels, 2).tolist() == [True, True, False]


@given(st.integers(1, 20), st.integers(1, 8), st.integers(0, 2**32 - 1))
def test_top_1_is_argmax_and_top_k_only_grows(images, classes, seed):
    draw = np.random.default_rng(seed)
    logits = draw.integers(-3, 3, (images, classes)).astype(np.float32)  # with ties
    labels = draw.integers(0, classes, images)
    np.testing.assert_array_equal(hits(logits, labels), logits.argmax(axis=1) == labels)
    shares = [top_k_pct(logits, labels, k) for k in range(1, classes + 1)]
    assert shares == sorted(shares)
    assert shares[-1] == 100.0


def test_a_class_without_images_has_no_accuracy():
    logits = np.eye(3, dtype=np.float32)[[0, 0, 2]]
    assert per_class_top1_pct(logits, np.array([0, 2, 2])) == [(1, 100.0), (0, None), (2, 50.0)]


@pytest.mark.parametrize(("scale", "expected_db"), [(1.1, 20.0), (2.0, 0.0), (0.99, 40.0)])
def test_sqnr_is_the_ratio_of_energies_in_decibels(scale, expected_db):
    reference = np.random.default_rng(0).standard_normal((10, 4)).astype(np.float32)
    candidate = (reference * scale).astype(np.float32)
    assert sqnr_db(reference, candidate) == pytest.approx(expected_db, abs=1e-3)


def test_sqnr_is_none_where_the_ratio_is_infinite():
    assert sqnr_db(LOGITS, LOGITS.copy()) is None
    assert sqnr_db(np.zeros_like(LOGITS), LOGITS) is None


def test_parity_tells_the_largest_error_and_the_equal_predictions():
    candidate = LOGITS.copy()
    candidate[3] = [1, 3.5, 2]
    parity = compare_logits(LOGITS, candidate)
    assert (parity.n_images, parity.max_abs_err, parity.agreement_pct) == (4, 2.5, 75.0)
    assert parity.sqnr_db == pytest.approx(10 * np.log10(56 / (4 + 6.25)))


def test_logits_of_different_models_are_not_compared():
    with pytest.raises(ValueError, match="can't compare"):
        compare_logits(LOGITS, LOGITS[:, :2])
