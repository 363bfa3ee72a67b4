"""Decide what to ship from what was measured: a pure function, no thresholds of its own.

INT8 (or FP16) ships when it is faster than the best float of all runtimes and loses no more
accuracy than the budget. Each of the two is *shown* where the whole 95 % interval lies on the good
side of its limit, and *likely* where only the estimate does. The verdict is as sure as the weaker
one. If one of the two is missing, the verdict is open. If one of the two fails, it is settled.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge_convnext.core.contention import why_skewed
from edge_convnext.core.errors import shorten
from edge_convnext.core.intervals import FEWEST_FOR_MEDIAN
from edge_convnext.core.percentages import show_pp
from edge_convnext.report.class_drops import ClassCount, ClassDrop, classes_past, judge_classes
from edge_convnext.report.contract import VerdictReport
from edge_convnext.report.how_many_more import (
    images_to_show,
    images_to_show_classes,
    rounds_to_show,
)
from edge_convnext.report.measured import AccuracyReport, BenchmarkReport
from edge_convnext.report.speed_words import rival_words, why_loose

if TYPE_CHECKING:
    from edge_convnext.core.artifacts import Precision
    from edge_convnext.report.contract import Confidence, Judgement

__all__ = ["Requirement", "decide"]

_NAMED = 3  # of classes past the limit


@dataclass(frozen=True)
class Requirement:
    """The verdict that a user requires."""

    precision: Precision
    confidence: Confidence = "shown"  # at least

    @classmethod
    def of(cls, shown: Precision | None, likely: Precision | None) -> Requirement | None:
        """Make it from `--require` and `--require-likely`; `shown` requires more."""
        if shown is not None:
            return cls(shown)
        return None if likely is None else cls(likely, "likely")

    def __str__(self) -> str:
        """Its name in a sentence."""
        least = "shown" if self.confidence == "shown" else "at least likely"
        return f"{self.precision.upper()}, {least}"

    def is_met(self, ship: str, confidence: Confidence | None) -> bool:
        """Whether a verdict meets it; a build of FP32 alone has nothing to show."""
        return ship == self.precision and (confidence != "likely" or self.confidence == "likely")


@dataclass(frozen=True)
class _Judged:
    """One question of the verdict."""

    word: Judgement | None  # None: not measured
    reasons: tuple[str, ...]
    sure: bool = False  # with `not`: the whole interval shows it, not only the estimate
    needed: int | None = None  # number of images or rounds that would settle it
    skewed: str | None = None
    past: tuple[str, ...] = ()  # classes


def decide(
    precision: Precision,
    accuracy: AccuracyReport | None,
    benchmark: BenchmarkReport | None,
    max_drop_pp: float,
    require: Requirement | None = None,
    not_measured: tuple[str, ...] = (),
    batch: int = 1,
    max_class_drop_pp: float | None = None,
    refused: tuple[str, ...] = (),
) -> VerdictReport:
    """Choose between the requested precision and the float it would replace.

    Args:
        precision: Precision of the build.
        accuracy: Accuracy against FP32; None when nothing was evaluated.
        benchmark: Timings against the best float; None when nothing was timed.
        max_drop_pp: Largest top-1 drop to accept, in percentage points.
        require: Verdict that the user requires, if any.
        not_measured: Sentences that say why accuracy or timings are missing.
        batch: Batch size that the speed is of.
        max_class_drop_pp: Largest top-1 drop of any class to accept. Without it, classes that
            surely lose more than `max_drop_pp` are named, and decide nothing.
        refused: Why no candidate of that precision is left to ship; empty where one is.

    Returns:
        The verdict; `passed` says whether `require` is met.
    """
    if precision == "fp32":
        return _verdict("fp32", None, ["Only FP32 was asked for."], require)
    if refused:
        return _verdict("fp32", "shown", list(refused), require)
    name = precision.upper()
    speed = _judge_speed(name, benchmark, batch)
    mean = _judge_accuracy(name, accuracy, max_drop_pp)
    classes = _judge_classes(precision, accuracy, max_drop_pp, max_class_drop_pp)
    within = mean if classes is None else _joined(mean, classes)
    reasons = [*speed.reasons, *within.reasons, *not_measured]
    ship, confidence = _choose(precision, (speed, within))
    if ship == "float":
        best_float = benchmark.row(benchmark.best_float, batch) if benchmark else None
        ship = best_float.precision if best_float else "fp32"
    verdict = _verdict(ship, confidence, reasons, require)
    return verdict.model_copy(
        update={
            "accuracy": within.word,
            "speed": speed.word,
            "images_to_show": within.needed,
            "rounds_to_show": speed.needed,
            "speed_skewed": speed.skewed,
            "classes_past": classes.past if classes is not None else (),
        }
    )


def _choose(precision: Precision, judged: tuple[_Judged, ...]) -> tuple[str, Confidence | None]:
    """What ships, `float` for the best one, and how sure that is."""
    if failed := [one for one in judged if one.word == "not"]:
        return "float", "shown" if any(one.sure for one in failed) else "likely"
    words = [one.word for one in judged]
    if None in words:
        return "undecided", None
    return precision, "likely" if "likely" in words else "shown"


def _verdict(
    ship: str, confidence: Confidence | None, reasons: list[str], require: Requirement | None
) -> VerdictReport:
    passed = require is None or require.is_met(ship, confidence)
    if not passed:
        reasons = [*reasons, f"Required was {require}."]
    return VerdictReport.model_validate(
        {"ship": ship, "confidence": confidence, "passed": passed, "reasons": tuple(reasons)}
    )


def _joined(mean: _Judged, classes: _Judged) -> _Judged:
    """Accuracy of the whole set and of the classes, as good as the worse of the two."""
    both = [one for one in (mean, classes) if one.word != "shown"]
    reasons = (*mean.reasons, *classes.reasons)
    if mean.word is None or not both:
        return _Judged(mean.word, reasons)
    failed = [one for one in both if one.word == "not"]
    numbers = [one.needed for one in failed or both if one.needed is not None]
    needed = max(numbers) if len(numbers) == len(failed or both) else None
    if failed:
        return _Judged("not", reasons, any(one.sure for one in failed), needed)
    word: Judgement | None = None if any(one.word is None for one in both) else "likely"
    return _Judged(word, reasons, needed=needed)


def _judge_accuracy(name: str, accuracy: AccuracyReport | None, max_drop_pp: float) -> _Judged:
    if accuracy is None or accuracy.top1_drop_pp is None or accuracy.top1_drop_ci95_pp is None:
        return _Judged(None, (f"The accuracy of {name} was not measured.",))
    drop, (low, high) = accuracy.top1_drop_pp, accuracy.top1_drop_ci95_pp
    within = drop <= max_drop_pp
    reason = (
        f"Top-1 {_moves(drop)} (95 % interval of the drop {low:.2f} to {high:.2f} pp) on "
        f"{accuracy.n_images:,} images, {'within' if within else 'past'} the budget of "
        f"{show_pp(max_drop_pp)} pp."
    )
    if high <= max_drop_pp or low > max_drop_pp:
        return _Judged("shown" if within else "not", (reason,), sure=True)
    needed = images_to_show(accuracy, max_drop_pp)
    advice = (
        "more images would show it"
        if needed is None
        else f"about {needed:,} images in all would show it, if the rates stay"
    )
    reason += f" The interval reaches to both sides of the budget: {advice}."
    return _Judged("likely" if within else "not", (reason,), needed=needed)


def _moves(drop_pp: float) -> str:
    if drop_pp == 0.0:
        return "stays the same"
    return f"{'drops' if drop_pp > 0 else 'rises'} by {abs(drop_pp):.2f} pp"


def _judge_classes(
    precision: Precision,
    accuracy: AccuracyReport | None,
    max_drop_pp: float,
    max_class_drop_pp: float | None,
) -> _Judged | None:
    """Judge each class against the limit; None where there is nothing to say about them."""
    counts = _class_counts(precision, accuracy)
    if not counts:
        if max_class_drop_pp is None or accuracy is None:
            return None
        return _Judged(None, ("What each class loses was not measured.",))
    limit = max_drop_pp if max_class_drop_pp is None else max_class_drop_pp
    found = judge_classes(counts, limit)
    past = [one for one in found if one.past]
    names = tuple(one.name for one in past)
    if max_class_drop_pp is None:
        advice = _name(past, "more than the whole may: --max-class-drop decides by it")
        return _Judged("shown", (advice,), past=names) if past else None
    per_class = f"the limit of {show_pp(limit)} pp per class"
    if past:
        return _Judged("not", (_name(past, f"past {per_class}"),), sure=True, past=names)
    if estimated := classes_past(counts, limit):
        likely = [one for one in found if one.name in estimated]
        return _Judged("not", (_name(likely, f"past {per_class} by the estimate"),))
    if all(one.within for one in found):
        return _Judged("shown", (f"Every class keeps {per_class}.",))
    unsure = [one for one in found if not one.within]
    needed = images_to_show_classes(counts, accuracy.n_images, limit) if accuracy else None
    advice = "more images of these classes" if needed is None else f"about {needed:,} images in all"
    text = f"where that reaches past {per_class}: {advice} would show it"
    return _Judged("likely", (_name(unsure, text),), needed=needed)


def _class_counts(precision: Precision, accuracy: AccuracyReport | None) -> list[ClassCount]:
    built = getattr(accuracy, precision, None)
    return [
        ClassCount(name, one.n, one.lost, one.won)
        for name, one in (built.per_class.items() if built else ())
        if one.n > 0 and one.lost is not None and one.won is not None
    ]


def _name(classes: list[ClassDrop], what: str) -> str:
    """Name the worst few of some classes, each with its figures."""
    listed = "; ".join(
        f"class '{shorten(one.name, 60)}' {_moves(one.drop_pp)} (interval "
        f"{one.interval_pp[0]:.2f} to {one.interval_pp[1]:.2f} pp) on its {one.n:,} images"
        for one in classes[:_NAMED]
    )
    more = f"; and {len(classes) - _NAMED} more" if len(classes) > _NAMED else ""
    return f"{listed[:1].upper()}{listed[1:]}{more}, {what} (95 % over all classes, Holm)."


def _judge_speed(name: str, benchmark: BenchmarkReport | None, batch: int) -> _Judged:
    if benchmark is None or benchmark.speedup_vs_best_float is None:
        return _Judged(None, (f"{name} was not timed against the best float at batch {batch}.",))
    ratio, interval = benchmark.speedup_vs_best_float, benchmark.speedup_vs_best_float_ci95
    loose = why_loose(benchmark, interval)
    where = rival_words(benchmark, batch, loose is None)
    if interval is None:
        found = f"has {ratio:.2f}x the speed of" if loose is None else "was timed against"
        text = (
            f"{name} {found} {where}, without an interval: fewer than {FEWEST_FOR_MEDIAN} rounds "
            f"give none, and so no verdict on speed. Pass --rounds {FEWEST_FOR_MEDIAN} or more."
        )
        return _Judged(None, (text,))
    low, high = interval
    faster, over = ratio > 1.0, benchmark.observations
    figures = f"{ratio:.2f}x (95 % interval over {over} {low:.2f} to {high:.2f})"
    if loose is not None:
        figures = f"{low:.2f}x to {high:.2f}x (95 % interval over {over})"
    measured = f"{name} has {figures} the speed of {where}"
    if skewed := why_skewed(benchmark.other_load_pct, benchmark.throttled_periods):
        text = (
            f"{measured}: {'faster' if faster else 'not faster'} by the estimate alone, for "
            f"{skewed}. Time it again on a quiet machine."
        )
        return _Judged("likely" if faster else "not", (text,), skewed=skewed)
    if low > 1.0 and benchmark.forms_not_raced:
        forms = ", ".join(benchmark.forms_not_raced)
        text = f"{measured}. Its other forms ({forms}) were not raced; without --quick they are."
        return _Judged("likely", (text,))
    if low > 1.0:
        return _Judged("shown", (f"{measured}.",))
    if high <= 1.0:
        return _Judged("not", (f"{measured}: not faster.",), sure=True)
    needed = rounds_to_show(benchmark, batch)
    advice = (
        "They are too near each other for more rounds to show it."
        if needed is None
        else f"About {needed:,} rounds would show it, if their spread stays."
    )
    what = "faster by the estimate, not beyond" if faster else "not faster by the estimate, within"
    word: Judgement = "likely" if faster else "not"
    return _Judged(word, (f"{measured}: {what} that interval. {advice}",), needed=needed)
