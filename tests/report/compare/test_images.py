"""Pairs of answers: what is counted, what is left out, what is named."""

from dataclasses import replace

import pytest
from support.comparisons import side

from edge_convnext.core.intervals import paired_difference_interval
from edge_convnext.report.compare.images import accuracy_findings, class_changes, pair_answers


def found(before, now):
    return {one.measure: one for one in accuracy_findings(before, now, pair_answers(before, now))}


def rows(*counts):
    """Images as `(label, said)` times a count."""
    return [one for label, said, count in counts for one in [(label, said)] * count]


def test_top1_has_the_paired_interval_of_the_same_images():
    before = side(rows(("a", "a", 90), ("a", "b", 10)))
    now = side(rows(("a", "a", 80), ("a", "b", 15), ("a", "a", 5)), called="B")
    one = found(before, now)["top1_pct"]
    low, high = paired_difference_interval(5, 10, 100)
    assert one.interval == pytest.approx((100 * low, 100 * high))
    assert (one.before, one.now, one.change, one.outcome) == (90.0, 85.0, -5.0, "same")
    assert "no difference shown, 90.00 % in A, 85.00 % in B, -5.00 pp" in one.text
    assert "10 lost, 5 won" in one.text


def test_images_are_paired_by_hash_not_by_place():
    before = side(rows(("a", "a", 50), ("b", "b", 50)))
    now = replace(before, answers=tuple(reversed(before.answers)), called="B")
    paired = pair_answers(before, now)
    assert all(one.was == one.now for one in paired.pairs)
    assert (paired.only_then, paired.only_now) == (0, 0)


def test_other_images_are_not_compared_and_both_figures_are_told():
    before, now = side(rows(("a", "a", 100))), side(rows(("a", "a", 100)), start=50, called="B")
    one = found(before, now)["top1_pct"]
    assert one.outcome == "unknown"
    assert "A and B share 50 images, of 100 and 100" in one.text
    assert "90.00 % and 90.00 %" in one.text
    paired = pair_answers(before, now)
    assert (paired.only_then, paired.only_now) == (50, 50)
    assert class_changes(paired) == ()


def test_half_of_the_images_is_enough_where_the_other_half_was_searched():
    before, now = side(rows(("a", "a", 100))), side(rows(("a", "a", 50)), called="B", halved=True)
    assert found(before, now)["top1_pct"].outcome == "same"


def test_a_side_without_answers_says_why():
    before = side([], no_answers="nobody looked")
    one = found(before, side(rows(("a", "a", 9)), called="B"))["top1_pct"]
    assert one.outcome == "unknown"
    assert "A: nobody looked" in one.text


def test_fp32_and_agreement_need_answers_of_fp32():
    before, now = side(rows(("a", "a", 40)), fp32=None), side(rows(("a", "a", 40)), called="B")
    both = found(before, now)
    assert both["fp32_top1_pct"].outcome == both["agreement_pct"].outcome == "unknown"
    assert "a baseline keeps no answers of FP32" in both["agreement_pct"].text
    floats = (replace(before, precision="fp32"), replace(now, precision="fp32"))
    assert "agreement_pct" not in found(*floats)


def test_classes_that_changed_places_in_the_answers_are_named_first():
    before = side(rows(("a", "a", 30), ("b", "b", 30), ("c", "c", 30)))
    now = side(rows(("a", "b", 30), ("b", "a", 30), ("c", "c", 30)), called="B")
    first = accuracy_findings(before, now, pair_answers(before, now))[0]
    assert (first.measure, first.outcome, first.first) == ("class_order", "worse", True)
    assert "'a' and 'b' changed places" in first.text


def test_classes_that_changed_places_in_the_labels_are_named_and_left_out():
    before = side(rows(("a", "a", 30), ("b", "b", 30), ("c", "c", 30)))
    now = side(rows(("b", "a", 30), ("a", "b", 30), ("c", "c", 30)), called="B")
    paired = pair_answers(before, now)
    first, second = accuracy_findings(before, now, paired)[:2]
    assert (first.measure, first.first) == ("labels", True)
    assert "'a' and 'b' changed places" in first.text
    assert paired.relabelled == 60
    assert second.measure == "top1_pct"
    assert "the same 30 images" in second.text


def test_many_classes_that_became_others_are_cut():
    names = "abcdef"
    before = side([(one, one) for one in names for _ in range(9)])
    now = side([(one, "x") for one in names for _ in range(9)], called="B")
    text = accuracy_findings(before, now, pair_answers(before, now))[0].text
    assert "'a' became 'x'" in text
    assert "and 3 more" in text


def test_a_class_that_collapses_is_named_though_the_mean_holds():
    before = side(rows(("a", "a", 40), ("b", "b", 960)))
    now = side([*rows(("a", "c", 16), ("a", "a", 24)), *rows(("b", "b", 960))], called="B")
    both = found(before, now)
    assert both["worst_class_pp"].outcome == "worse"
    assert "Class 'a' loses 40.00 pp on its 40 images" in both["worst_class_pp"].text
    changes = class_changes(pair_answers(before, now))
    assert [(one.name, one.outcome) for one in changes] == [("a", "worse"), ("b", "same")]
    assert changes[0].interval_pp[1] < 0.0
    assert (changes[0].lost, changes[0].won, changes[0].change_pp) == (16, 0, -40.0)
    gained = found(now, before)["worst_class_pp"]
    assert gained.outcome == "better"
    assert "gains 40.00 pp" in gained.text
    assert gained.interval[0] > 0.0
