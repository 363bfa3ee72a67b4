"""Criteria of accuracy: intervals over images, compared with a budget."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable

from edge_convnext.core.errors import ArtifactError
from edge_convnext.core.intervals import (
    images_to_settle,
    paired_difference_interval,
    proportion_interval,
)
from edge_convnext.core.percentages import show_pp
from edge_convnext.report.class_drops import ClassCount, judge_classes
from edge_convnext.report.gate.baseline import Baseline, share_images
from edge_convnext.report.gate.criteria import (
    Criterion,
    Decision,
    decide_above,
    decide_below,
)
from edge_convnext.report.gate.evidence import Evidence
from edge_convnext.report.guessing import below_guessing, guess_pct

__all__ = [
    "judge_agreement",
    "judge_baseline_class_drops",
    "judge_baseline_drop",
    "judge_class_drops",
    "judge_drop",
    "judge_guessing",
    "judge_top1",
]

_CONFIDENCE = 0.95
_WHICH = {"baseline": "the baseline", "best": "the best proven build"}


def judge_drop(evidence: Evidence, budget_pp: float) -> Criterion:
    """Top-1 of FP32 minus the shipped precision's, on the same images."""
    pairs = [(one.lost, one.won) for one in evidence.predictions]
    name = evidence.precision.upper()
    return _drop_criterion("top1_drop_pp", f"{name} against FP32", pairs, budget_pp)


def judge_baseline_drop(
    evidence: Evidence, baseline: Baseline, budget_pp: float, against: str = "baseline"
) -> Criterion:
    """Top-1 of the baseline minus this build's, on the images that both have.

    It sees what a comparison with this build's own FP32 can't: other weights, another class
    order, another mean.

    Args:
        evidence: Evidence of the build.
        baseline: Baseline that it is compared with.
        budget_pp: Largest drop to accept.
        against: Build of the baseline: `baseline` is the newest, `best` the best proven.

    Raises:
        ArtifactError: They share less than 90 % of the images.
    """
    pairs = [(lost, won) for _, lost, won in _against_baseline(evidence, baseline)]
    what = f"against {_WHICH[against]}"
    return _drop_criterion(f"top1_drop_vs_{against}_pp", what, pairs, budget_pp)


def judge_top1(evidence: Evidence, least_pct: float) -> Criterion:
    """Judge the share of images that are classed right."""
    right = sum(one.candidate == one.label for one in evidence.predictions)
    return _share_criterion(evidence, "top1_pct", "are classed right", right, least_pct)


def judge_guessing(evidence: Evidence) -> Criterion | None:
    """A criterion that fails under any limits: a model, or its FP32, is surely below guessing."""
    n, classes = len(evidence.predictions), evidence.report.model.num_classes
    sides = ((evidence.precision.upper(), evidence.top1_pct), ("FP32", evidence.fp32_top1_pct))
    for name, top1_pct in sides:
        hits = round(top1_pct * n / 100.0)
        if below_guessing(hits, n, classes):
            interval = _as_pct(proportion_interval(hits, n, _CONFIDENCE))
            return Criterion(
                "above_guessing_pct",
                "fail",
                top1_pct,
                interval,
                guess_pct(classes),
                f"{name} is right in {top1_pct:.2f} % of {n:,} images (95 % interval "
                f"{interval[0]:.2f} to {interval[1]:.2f}), below the {guess_pct(classes):.2f} % of "
                "guessing: look at labels, class order and preprocessing.",
            )
    return None


def judge_agreement(evidence: Evidence, least_pct: float) -> Criterion:
    """Judge the share of images with FP32's top-1 class."""
    same = sum(one.candidate == one.fp32 for one in evidence.predictions)
    return _share_criterion(evidence, "agreement_pct", "have FP32's class", same, least_pct)


def _share_criterion(
    evidence: Evidence, name: str, what: str, same: int, least_pct: float
) -> Criterion:
    n = len(evidence.predictions)

    def interval_of(m: int) -> tuple[float, float]:
        return _as_pct(proportion_interval(round(same * m / n), m, _CONFIDENCE))

    interval = interval_of(n)
    decision = decide_above(interval, least_pct)
    settling = _settling(decision, n, lambda m: decide_above(interval_of(m), least_pct))
    measured = 100.0 * same / n
    return Criterion(
        name,
        decision,
        measured,
        interval,
        least_pct,
        f"{measured:.2f} % of {n:,} images {what} (95 % interval {interval[0]:.2f} to "
        f"{interval[1]:.2f}); at least {least_pct:g} % was asked for{settling}.",
    )


def judge_class_drops(evidence: Evidence, budget_pp: float) -> Criterion:
    """The drop of the class that lost most against FP32."""
    changes = [(one.label, one.lost, one.won) for one in evidence.predictions]
    return _class_criterion("class_drop_pp", "", changes, budget_pp)


def judge_baseline_class_drops(
    evidence: Evidence, baseline: Baseline, budget_pp: float, against: str = "baseline"
) -> Criterion:
    """The drop of the class that lost most against the baseline.

    Two classes of many that changed places lower the top-1 of the whole set by little. Arguments
    are those of `judge_baseline_drop`.

    Raises:
        ArtifactError: They share less than 90 % of the images.
    """
    changes = _against_baseline(evidence, baseline)
    return _class_criterion(
        f"class_drop_vs_{against}_pp", f" against {_WHICH[against]}", changes, budget_pp
    )


def _against_baseline(evidence: Evidence, baseline: Baseline) -> list[tuple[str, bool, bool]]:
    """Label of each common image; whether only the baseline, and only this build, is right."""
    changes = []
    for one in evidence.predictions:
        before = baseline.said_of(one.sha256)
        if before is not None:
            was, is_ = before == one.label, one.candidate == one.label
            changes.append((one.label, was and not is_, is_ and not was))
    if share_images(evidence, baseline) is None:
        raise ArtifactError(
            f"{evidence.path}: shares {len(changes)} of {len(evidence.predictions)} images with "
            f"the baseline's {len(baseline.predictions)}; save a new baseline with these images"
        )
    return changes


def _class_criterion(
    name: str, against: str, changes: Iterable[tuple[str, bool, bool]], budget_pp: float
) -> Criterion:
    """Decide on the worst class, as the worst of so many: see `class_drops`."""
    found = judge_classes(_by_class(changes), budget_pp)
    failed = [one for one in found if one.past]
    unsure = [one for one in found if not one.past and not one.within]
    worst = (failed or unsure or found)[0]
    decision: Decision = "fail" if failed else "inconclusive" if unsure else "pass"
    others = len(failed or unsure) - 1
    more = f", and {others} more" if others > 0 else ""
    low, high = worst.interval_pp
    return Criterion(
        name,
        decision,
        worst.drop_pp,
        worst.interval_pp,
        budget_pp,
        f"class '{worst.name}' drops by {worst.drop_pp:.2f} pp{against} on its {worst.n:,} images "
        f"(interval {low:.2f} to {high:.2f}, 95 % over all classes){more}; the budget is "
        f"{budget_pp:g} pp per class.",
    )


def _by_class(changes: Iterable[tuple[str, bool, bool]]) -> list[ClassCount]:
    by_class: dict[str, list[tuple[bool, bool]]] = defaultdict(list)
    for label, one_lost, one_won in changes:
        by_class[label].append((one_lost, one_won))
    return [ClassCount(label, len(pairs), *_count(pairs)) for label, pairs in by_class.items()]


def _drop_criterion(
    name: str, what: str, pairs: list[tuple[bool, bool]], budget_pp: float
) -> Criterion:
    n = len(pairs)
    lost, won = _count(pairs)

    def interval_of(m: int) -> tuple[float, float]:
        rates = round(lost * m / n), round(won * m / n)
        return _as_pct(paired_difference_interval(*rates, m, _CONFIDENCE))

    interval = interval_of(n)
    decision = decide_below(interval, budget_pp)
    settling = _settling(decision, n, lambda m: decide_below(interval_of(m), budget_pp))
    drop = 100.0 * (lost - won) / n
    return Criterion(
        name,
        decision,
        drop,
        interval,
        budget_pp,
        f"top-1 {what}: a drop of {drop:.2f} pp on {n:,} images (95 % interval {interval[0]:.2f} "
        f"to {interval[1]:.2f}; {lost} lost, {won} won), with a budget of {show_pp(budget_pp)} pp"
        f"{settling}.",
    )


def _settling(decision: Decision, n: int, decide: Callable[[int], Decision]) -> str:
    """Say how many images would decide, where `n` with the same rates do not."""
    if decision != "inconclusive":
        return ""
    images = images_to_settle(lambda m: decide(m) != "inconclusive", n)
    if images is None:
        return "; no number of images would settle it, the rate is the limit"
    return f"; about {images:,} images would settle it if the rates stay"


def _count(pairs: Iterable[tuple[bool, bool]]) -> tuple[int, int]:
    lost = won = 0
    for one_lost, one_won in pairs:
        lost += one_lost
        won += one_won
    return lost, won


def _as_pct(interval: tuple[float, float]) -> tuple[float, float]:
    return 100.0 * interval[0], 100.0 * interval[1]
