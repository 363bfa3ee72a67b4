"""Accuracy, image by image: paired where both builds answered the same images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from edge_convnext.core.errors import shorten
from edge_convnext.core.intervals import paired_difference_interval
from edge_convnext.report.class_drops import ClassCount, ClassDrop, judge_classes
from edge_convnext.report.compare.findings import Finding, Outcome, outcome_of
from edge_convnext.report.compare.sides import Answer, Side
from edge_convnext.report.gate.baseline import enough_shared
from edge_convnext.report.gate.comparable import exchanged_classes

__all__ = ["ClassChange", "Pair", "Paired", "accuracy_findings", "class_changes", "pair_answers"]

_NAMED = 3  # classes that changed places


@dataclass(frozen=True)
class Pair:
    """The two answers to one image."""

    was: Answer
    now: Answer

    @property
    def label(self) -> str | None:
        """The true class; None where neither knows it, or the two contradict each other."""
        known = {one for one in (self.was.label, self.now.label) if one is not None}
        return known.pop() if len(known) == 1 else None

    @property
    def relabelled(self) -> bool:
        """Whether the image has another true class than before."""
        return None not in (self.was.label, self.now.label) and self.was.label != self.now.label


@dataclass(frozen=True)
class Paired:
    """Answers to the images that both builds have."""

    pairs: tuple[Pair, ...]
    why_not: str | None = None  # reason why they can't be compared
    only_then: int = 0  # images that the earlier build alone has
    only_now: int = 0

    @property
    def relabelled(self) -> int:
        """Number of images with another true class than before; no accuracy counts them."""
        return sum(one.relabelled for one in self.pairs)


@dataclass(frozen=True)
class ClassChange:
    """What changed among the images of one class."""

    name: str
    n: int
    top1_before_pct: float
    top1_now_pct: float
    lost: int  # right before, wrong now
    won: int
    outcome: Outcome
    change_pp: float
    interval_pp: tuple[float, float]  # of the change; 95 % over all classes together


def pair_answers(before: Side, now: Side) -> Paired:
    """Pair the answers of two builds by the images' hashes."""
    if missing := [f"{one.called}: {one.no_answers}" for one in (before, now) if one.no_answers]:
        return Paired((), "; ".join(missing))
    then, later = dict(before.answers), {key for key, _ in now.answers}
    shared = [(then[key], answer) for key, answer in now.answers if key in then]
    alone = len(then.keys() - later), len(later - then.keys())
    sizes = len(now.answers), len(before.answers)
    if not enough_shared(len(shared), sizes, (now.halved, before.halved)):
        why = (
            f"{before.called} and {now.called} share {len(shared):,} images, of {sizes[1]:,} and "
            f"{sizes[0]:,}"
        )
        return Paired((), why, *alone)
    return Paired(tuple(Pair(*one) for one in shared), None, *alone)


def accuracy_findings(before: Side, now: Side, paired: Paired) -> list[Finding]:
    """Compare top-1, agreement with FP32 and the classes' places, the most telling first."""
    found = [*_exchanged(paired)]
    labelled = [one for one in paired.pairs if one.label is not None]
    words, own = (before.called, now.called), (before.top1_pct, now.top1_pct)
    rights, why = _rights(labelled, lambda one: one.said), paired.why_not
    found.append(_share("top1_pct", "Top-1", words, rights, own, why))
    found += _worst_class(class_changes(paired))
    if "fp32" not in (before.precision, now.precision):
        fp32 = (before.fp32_top1_pct, now.fp32_top1_pct)
        answered = [one for one in paired.pairs if one.was.fp32 and one.now.fp32]
        why = paired.why_not or (None if answered else "a baseline keeps no answers of FP32")
        rights = _rights([one for one in answered if one.label is not None], lambda one: one.fp32)
        found.append(_share("fp32_top1_pct", "FP32's top-1", words, rights, fp32, why))
        agreed = [(one.was.said == one.was.fp32, one.now.said == one.now.fp32) for one in answered]
        nothing = (None, None)
        found.append(_share("agreement_pct", "Agreement with FP32", words, agreed, nothing, why))
    return found


def _rights(pairs: Iterable[Pair], said: Callable[[Answer], str | None]) -> list[tuple[bool, bool]]:
    return [(said(one.was) == one.label, said(one.now) == one.label) for one in pairs]


def _share(
    measure: str,
    what: str,
    called: tuple[str, str],
    rights: Sequence[tuple[bool, bool]],
    own: tuple[float | None, float | None],
    why_not: str | None,
) -> Finding:
    """Compare a share of images, by the images where it changed.

    Args:
        measure: Name in JSON.
        what: Words for it.
        called: Words for the two builds.
        rights: Two truths for each image: it counted before, and it counts now.
        own: Shares in percent that each report states, for where there are no pairs.
        why_not: Reason why there are no pairs.
    """
    n = len(rights)
    if not n:
        why = why_not or "no image has a label that both agree on"
        stated = ""
        if None not in own:
            stated = f" (each on its own images: {own[0]:.2f} % and {own[1]:.2f} %)"
        return Finding(measure, "unknown", f"{what}: not compared, {why}{stated}.", *own)
    lost = sum(was and not now for was, now in rights)
    won = sum(now and not was for was, now in rights)
    shares = 100.0 * sum(was for was, _ in rights) / n, 100.0 * sum(now for _, now in rights) / n
    low, high = paired_difference_interval(won, lost, n)
    interval = 100.0 * low, 100.0 * high
    outcome = outcome_of(interval, 0.0, low_is_good=False)
    change = 100.0 * (won - lost) / n
    verdict = "no difference shown, " if outcome == "same" else ""
    text = (
        f"{what}: {verdict}{shares[0]:.2f} % in {called[0]}, {shares[1]:.2f} % in {called[1]}, "
        f"{change:+.2f} pp on the same {n:,} images (95 % interval {interval[0]:+.2f} to "
        f"{interval[1]:+.2f}; {lost:,} lost, {won:,} won)."
    )
    return Finding(measure, outcome, text, *shares, change, interval)


def _worst_class(changes: Sequence[ClassChange]) -> Iterable[Finding]:
    """Name the class that surely lost most, or else gained most."""
    if not changes:
        return
    worse = [one for one in changes if one.outcome == "worse"]
    better = [one for one in reversed(changes) if one.outcome == "better"]
    if not (named := worse or better):
        text = f"Classes: no difference shown in any of {len(changes):,}."
        yield Finding("worst_class_pp", "same", text)
        return
    one = named[0]
    low, high = one.interval_pp
    more = f", and {len(named) - 1:,} more" if len(named) > 1 else ""
    text = (
        f"Class '{shorten(one.name, 60)}' {'loses' if worse else 'gains'} "
        f"{abs(one.change_pp):.2f} pp on its {one.n:,} images (interval {low:+.2f} to {high:+.2f}, "
        f"95 % over all classes){more}."
    )
    figures = one.top1_before_pct, one.top1_now_pct, one.change_pp, one.interval_pp
    yield Finding("worst_class_pp", one.outcome, text, *figures)


def _exchanged(paired: Paired) -> Iterable[Finding]:
    """Tell of classes that became another one, in the labels and in the answers."""
    labels = Counter(
        (one.was.label, one.now.label)
        for one in paired.pairs
        if one.was.label is not None and one.now.label is not None
    )
    if moved := exchanged_classes(labels):
        text = (
            f"Whole classes have other labels: {_words(moved)}. Their images are left out of "
            "top-1; look at the labels before anything else."
        )
        yield Finding("labels", "unknown", text, first=True)
    if moved := exchanged_classes(Counter((one.was.said, one.now.said) for one in paired.pairs)):
        text = (
            f"Whole classes are answered as another one: {_words(moved)}. Look at the order of "
            "the classes first."
        )
        yield Finding("class_order", "worse", text, first=True)


def _words(moved: list[tuple[str, str]]) -> str:
    """Name the classes; two that took each other's place once."""
    told, words = set[tuple[str, str]](), []
    for then, now in moved:
        if (now, then) in told:
            continue
        told.add((then, now))
        names = f"'{shorten(then, 60)}'", f"'{shorten(now, 60)}'"
        mutual = (now, then) in moved
        words.append(
            f"{names[0]} and {names[1]} changed places" if mutual else " became ".join(names)
        )
    more = f" and {len(words) - _NAMED} more" if len(words) > _NAMED else ""
    return ", ".join(words[:_NAMED]) + more


def class_changes(paired: Paired) -> tuple[ClassChange, ...]:
    """Compare every class that has images, the largest loss first.

    Of many classes one looks bad by chance alone, so each is tested as one of so many (Holm), for
    losses and for gains.
    """
    by_class: dict[str, list[tuple[bool, bool]]] = {}
    for one in paired.pairs:
        if one.label is not None:
            right = (one.was.said == one.label, one.now.said == one.label)
            by_class.setdefault(one.label, []).append(right)
    losses = {one.name: one for one in judge_classes(_counts(by_class), 0.0)}
    gains = {one.name: one for one in judge_classes(_counts(by_class, swapped=True), 0.0)}
    changes = [
        _class_change(name, rights, losses[name], gains[name]) for name, rights in by_class.items()
    ]
    return tuple(sorted(changes, key=lambda one: (one.outcome != "worse", one.change_pp, one.name)))


def _class_change(
    name: str, rights: list[tuple[bool, bool]], loss: ClassDrop, gain: ClassDrop
) -> ClassChange:
    n = len(rights)
    outcome: Outcome = "worse" if loss.past else "better" if gain.past else "same"
    low, high = gain.interval_pp if gain.past else (-loss.interval_pp[1], -loss.interval_pp[0])
    return ClassChange(
        name,
        n,
        100.0 * sum(was for was, _ in rights) / n,
        100.0 * sum(now for _, now in rights) / n,
        sum(was and not now for was, now in rights),
        sum(now and not was for was, now in rights),
        outcome,
        -loss.drop_pp,
        (low, high),
    )


def _counts(
    by_class: dict[str, list[tuple[bool, bool]]], swapped: bool = False
) -> Iterable[ClassCount]:
    for name, rights in by_class.items():
        lost = sum(was and not now for was, now in rights)
        won = sum(now and not was for was, now in rights)
        yield ClassCount(name, len(rights), *((won, lost) if swapped else (lost, won)))
