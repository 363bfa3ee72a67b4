import pytest
from support.gate_parts import PATH, baseline_of, digest, evidence_of, predictions

from edge_convnext.core.errors import ArtifactError
from edge_convnext.core.intervals import paired_difference_interval, proportion_interval
from edge_convnext.report.gate import accuracy
from edge_convnext.report.gate.criteria import Criterion
from edge_convnext.report.gate.evidence import Prediction


def pct(interval):
    return tuple(100.0 * limit for limit in interval)


def test_a_drop_is_told_with_its_counts_and_its_interval():
    found = accuracy.judge_drop(evidence_of(predictions(200, 3, 1)), 5.0)
    interval = pct(paired_difference_interval(3, 1, 200))
    assert found == Criterion(
        "top1_drop_pp", "pass", 1.0, interval, 5.0,
        f"top-1 INT8 against FP32: a drop of 1.00 pp on 200 images (95 % interval "
        f"{interval[0]:.2f} to {interval[1]:.2f}; 3 lost, 1 won), with a budget of 5.00 pp.",
    )  # fmt: skip
    assert accuracy.judge_drop(evidence_of(predictions(200, 60, 1)), 5.0).decision == "fail"


def test_what_can_not_be_told_yet_says_how_many_images_would_settle_it():
    found = accuracy.judge_drop(evidence_of(predictions(1000, 6, 1)), 1.0)
    assert found.decision == "inconclusive"
    *_, images = [
        int(word.replace(",", ""))
        for word in found.reason.split()
        if word[0].isdigit() and "," in word
    ]
    assert found.reason.endswith(f"; about {images:,} images would settle it if the rates stay.")

    def high(n):
        return 100 * paired_difference_interval(round(0.006 * n), round(0.001 * n), n)[1]

    assert high(images) <= 1.0 < high(images // 2)
    even = accuracy.judge_drop(evidence_of(predictions(200, 4, 2)), 1.0)
    assert even.reason.endswith("; no number of images would settle it, the rate is the limit.")


@pytest.mark.parametrize(
    ("judge_share", "name", "what", "share"),
    [
        (accuracy.judge_top1, "top1_pct", "are classed right", 96),
        (accuracy.judge_agreement, "agreement_pct", "have FP32's class", 92),
    ],
)
def test_a_share_is_told_with_its_interval(judge_share, name, what, share):
    pairs = predictions(100, 4, 4)
    found = judge_share(evidence_of(pairs), 80.0)
    interval = pct(proportion_interval(share, 100))
    assert found == Criterion(
        name, "pass", share, interval, 80.0,
        f"{share}.00 % of 100 images {what} (95 % interval {interval[0]:.2f} to "
        f"{interval[1]:.2f}); at least 80 % was asked for.",
    )  # fmt: skip
    assert judge_share(evidence_of(pairs), 99.5).decision == "fail"
    unsure = judge_share(evidence_of(pairs), share - 1.0)
    assert unsure.decision == "inconclusive"
    assert "images would settle it if the rates stay." in unsure.reason


CLASSES = [
    *predictions(100, 2, 0, "a", start=0), *predictions(100, 40, 0, "b", "a", start=100),
    *predictions(100, 30, 0, "c", "a", start=200), *predictions(100, 0, 3, "d", "a", start=300),
]  # fmt: skip


def test_the_class_that_lost_most_decides_and_the_others_are_counted():
    found = accuracy.judge_class_drops(evidence_of(CLASSES), 5.0)
    assert (found.name, found.decision, found.measured, found.limit) == (
        "class_drop_pp", "fail", 40.0, 5.0,
    )  # fmt: skip
    low, high = found.interval
    assert low > 5.0
    assert found.reason == (
        f"class 'b' drops by 40.00 pp on its 100 images (interval {low:.2f} to {high:.2f}, 95 % "
        "over all classes), and 1 more; the budget is 5 pp per class."
    )
    kept = accuracy.judge_class_drops(evidence_of(CLASSES), 90.0)
    assert (kept.decision, kept.measured) == ("pass", 40.0)
    assert "and " not in kept.reason
    unsure = accuracy.judge_class_drops(evidence_of(CLASSES[:100]), 2.0)
    assert (unsure.decision, unsure.measured) == ("inconclusive", 2.0)
    mixed = accuracy.judge_class_drops(evidence_of(CLASSES), 35.0)
    assert mixed.decision == "inconclusive"
    assert "class 'b'" in mixed.reason
    assert ", and 1 more;" in mixed.reason


def answers(*rows):
    """(label, fp32, candidate) of each image."""
    return [Prediction(digest(at), *row, 1.0) for at, row in enumerate(rows)]


def test_a_baseline_is_compared_image_by_image():
    before = answers(*[("a", "a", "a")] * 18, ("a", "a", "b"), ("b", "b", "b"))
    now = answers(*[("a", "a", "a")] * 16, *[("a", "a", "b")] * 2, ("a", "b", "a"), ("b", "a", "a"))
    evidence, baseline = evidence_of(now), baseline_of(before)
    found = accuracy.judge_baseline_drop(evidence, baseline, 30.0)
    interval = pct(paired_difference_interval(3, 1, 20))
    assert (found.name, found.measured, found.interval) == (
        "top1_drop_vs_baseline_pp", 10.0, pytest.approx(interval),
    )  # fmt: skip
    assert found.reason.startswith("top-1 against the baseline: a drop of 10.00 pp on 20 images")
    best = accuracy.judge_baseline_drop(evidence, baseline, 30.0, "best")
    assert best.name == "top1_drop_vs_best_pp"
    assert best.reason.startswith("top-1 against the best proven build: ")
    classes = accuracy.judge_baseline_class_drops(evidence, baseline, 30.0)
    assert (classes.name, classes.measured) == ("class_drop_vs_baseline_pp", 100.0)
    assert "class 'b' drops by 100.00 pp against the baseline on its 1 images" in classes.reason
    worst = accuracy.judge_baseline_class_drops(evidence, baseline, 30.0, "best")
    assert worst.name == "class_drop_vs_best_pp"
    assert " against the best proven build on its " in worst.reason


def test_a_baseline_of_other_images_is_refused():
    now, before = predictions(100), predictions(100, start=11)
    with pytest.raises(ArtifactError) as caught:
        accuracy.judge_baseline_drop(evidence_of(now), baseline_of(before), 1.0)
    assert str(caught.value) == (
        f"{PATH}: shares 89 of 100 images with the baseline's 100; save a new baseline with these "
        "images"
    )
    accuracy.judge_baseline_drop(evidence_of(now), baseline_of(predictions(100, start=10)), 1.0)
