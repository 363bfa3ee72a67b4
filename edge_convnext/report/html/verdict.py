"""What ships, the intervals against their limits, and how far the verdict is from flipping."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_convnext.core.intervals import paired_difference_interval
from edge_convnext.core.percentages import show_pp
from edge_convnext.report.html.parts import Bullets, Figure, Picture, Section, Words, make_table
from edge_convnext.report.html.picture import axis, interval, label, make_scale, upright
from edge_convnext.report.next_steps import next_steps
from edge_convnext.report.shipped import shipped_words
from edge_convnext.report.summary import (
    footnote,
    headings,
    summary_rows,
    title,
    verdict_line,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edge_convnext.report.contract import Report
    from edge_convnext.report.html.parts import Block, Limits
    from edge_convnext.report.measured import AccuracyReport, BenchmarkReport

__all__ = ["max_drop_pp", "verdict_section"]

_NAMED = 3  # of classes
_DEFAULT_DROP_PP = 1.0  # of recipes from before the field
_ACCURACY_ALONE = "Budget and images below speak of the accuracy alone"
_OPEN_SPEED = {
    "likely": "the speed is only likely, and so is the verdict",
    "not": "the speed decides the verdict, for it is not faster",
}


def max_drop_pp(report: Report) -> float:
    """The accuracy budget that the build was asked to keep, in percentage points."""
    stated = report.recipe.get("evaluate")
    value = stated.get("max_drop_pp") if isinstance(stated, dict) else None
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    return _DEFAULT_DROP_PP


def verdict_section(report: Report, limits: Limits) -> Section:
    """The verdict in a sentence, its intervals, and the table of what was compared."""
    line = verdict_line(report).removeprefix("Verdict: ")
    rows = (
        (f"{row.model}{' (chosen)' if row.chosen else ''}", *row.cells()[1:])
        for row in summary_rows(report)
    )
    compared = make_table("What was compared", headings(report), rows, limits, folded=False)
    blocks: list[Block] = [
        Words(f"{line[:1].upper()}{line[1:]}.", "lead"),
        *([Words(report.banner, "warning")] if report.banner else []),
        Bullets(report.verdict.reasons[: limits.lines]),
        *([Words(f"{shipped}.")] if (shipped := shipped_words(report)) else []),
        *_next(report),
        *_pictures(report, limits),
        Bullets(tuple(_distance(report)), heading="How far it is from flipping"),
        compared,
        Words(f"{footnote(report)}."),
        Words(f"{title(report)}."),
    ]
    if report.notes:
        blocks.append(Bullets(report.notes[: limits.lines], title=_notes(len(report.notes))))
    return Section("verdict", "Verdict", tuple(blocks), "report.json: verdict, accuracy, benchmark")


def _notes(count: int) -> str:
    return f"{count} note{'' if count == 1 else 's'} that a reader must know to judge the figures"


def _pictures(report: Report, limits: Limits) -> Iterator[Block]:
    accuracy, benchmark = report.accuracy, report.benchmark
    budget = max_drop_pp(report)
    drop = accuracy.top1_drop_ci95_pp if accuracy else None
    if accuracy is None or drop is None:
        yield Words("The interval of the top-1 drop was not measured.", "missing")
    else:
        yield _against(
            "drop",
            ("Top-1 drop, pp", "FP32 minus what was built; left of the budget is good"),
            (drop, accuracy.top1_drop_pp),
            (budget, f"budget {show_pp(budget)} pp"),
            _side(drop[1] <= budget, drop[0] > budget),
            limits,
        )
    speed = benchmark.speedup_vs_best_float_ci95 if benchmark else None
    if benchmark is None or speed is None:
        yield Words("The interval of the speed was not measured.", "missing")
    else:
        yield _against(
            "speed",
            ("Speed over the float, times", "right of 1 is faster"),
            (speed, benchmark.speedup_vs_best_float),
            (1.0, "as fast as the float"),
            _side(speed[0] > 1.0, speed[1] <= 1.0, report.verdict.speed_skewed),
            limits,
        )


def _side(within: bool, past: bool, skewed: str | None = None) -> tuple[str, str]:
    """Colour of an interval, and in words on which side of its limit it lies."""
    if skewed:
        return "plain", "timed on a busy machine, it shows nothing"
    if within:
        return "good", "wholly on the good side"
    return ("bad", "wholly past the limit") if past else ("plain", "on both sides of the limit")


def _against(
    name: str,
    words: tuple[str, str],
    found: tuple[tuple[float, float], float | None],
    limit: tuple[float, str],
    side: tuple[str, str],
    limits: Limits,
) -> Figure:
    """One interval against its limit."""
    (low, high), estimate = found
    (what, how), (css, where) = words, side
    scale = make_scale([low, high, limit[0], *([] if estimate is None else [estimate])])
    x = scale.at(limit[0])
    cells = ("" if estimate is None else f"{estimate:.2f}", f"{low:.2f}", f"{high:.2f}")
    said = f"{what}: {cells[0]}, 95 % interval {cells[1]} to {cells[2]}: {where}"
    shapes = [
        upright(x, 16, 52, "limit", limit[1]),
        label(limit[1], x, 12, "limit-text", "end" if x > 50 else "start"),
        *interval(scale, (low, high), estimate, 34, css, said),
        *axis(scale, 56, 20, what),
    ]
    picture = Picture(
        name, f"{what}: {how}", f"{said}; {limit[1]}", 90, tuple(shapes), ((css, where),)
    )
    table = make_table(
        what, ("estimate", "95 % from", "to", "limit"), [(*cells, f"{limit[0]:g}")], limits
    )
    return Figure(picture, table)


def _distance(report: Report) -> list[str]:
    """How much would have to change for another verdict, from what was measured."""
    accuracy, benchmark = report.accuracy, report.benchmark
    verdict = report.verdict
    found = [*_budget(accuracy, max_drop_pp(report))]
    if found and verdict.speed in _OPEN_SPEED:
        found.insert(0, f"{_ACCURACY_ALONE}: {_OPEN_SPEED[verdict.speed]}.")
    found += [] if verdict.speed_skewed else _speed(benchmark)
    if verdict.images_to_show:
        found.append(f"Images: about {verdict.images_to_show:,} in all would settle the accuracy.")
    if verdict.rounds_to_show:
        found.append(f"Rounds: about {verdict.rounds_to_show:,} would settle the speed.")
    if verdict.speed_skewed:
        found.append(f"Speed: time it again on a quiet machine; {verdict.speed_skewed}.")
    return found or ["Nothing was measured that a verdict could rest on."]


def _next(report: Report) -> Iterator[Bullets]:
    """What to do now; the classes that lose much are named."""
    steps, past = next_steps(report), report.verdict.classes_past
    if past:
        more = f" and {len(past) - _NAMED} more" if len(past) > _NAMED else ""
        steps.append(f"Look at what is lost in {', '.join(past[:_NAMED])}{more}.")
    if steps:
        yield Bullets(tuple(steps), heading="What to do next")


def _budget(accuracy: AccuracyReport | None, budget: float) -> Iterator[str]:
    interval_pp = accuracy.top1_drop_ci95_pp if accuracy else None
    if accuracy is None or interval_pp is None or accuracy.top1_drop_pp is None:
        return
    drop, high = accuracy.top1_drop_pp, interval_pp[1]
    yield (
        f"Budget: it is shown to be kept at {high:.2f} pp and above, and kept by the estimate at "
        f"{drop:.2f} pp and above; asked for was {show_pp(budget)} pp."
    )
    lost, won = accuracy.lost, accuracy.won
    room = (budget - drop) * accuracy.n_images / 100.0
    if lost is None or won is None or lost + won > accuracy.n_images or not 0 <= room < 1e15:
        return
    shown = _more_lost(lost, won, accuracy.n_images, budget)
    likely = int(room) + 1
    if shown:
        more = f"Images: {_images(shown)} more answered wrongly"
        yield f"{more}, and the budget is no longer shown to be kept."
    yield f"Images: {_images(likely)} more answered wrongly, and the estimate is past the budget."


def _more_lost(lost: int, won: int, n: int, budget: float) -> int:
    """The least number of further losses with which the interval is past the budget; 0: it is."""

    def past(more: int) -> bool:
        return 100.0 * paired_difference_interval(lost + more, won, n)[1] > budget

    low, high = 0, max(0, n - lost - won)
    if past(0) or not past(high):
        return 0
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if past(middle) else (middle, high)
    return high


def _images(count: int) -> str:
    return f"{count:,} image{'' if count == 1 else 's'}"


def _speed(benchmark: BenchmarkReport | None) -> Iterator[str]:
    speed = benchmark.speedup_vs_best_float_ci95 if benchmark else None
    if benchmark is None or speed is None or not benchmark.speedup_vs_best_float:
        return
    low, high = speed
    if low > 1.0:
        longer = 100.0 * (low - 1.0)
        if benchmark.forms_not_raced:
            yield (
                f"Speed: past 1.00x until it is {longer:.0f} % slower, but only likely: its other "
                f"forms ({', '.join(benchmark.forms_not_raced)}) were not raced."
            )
            return
        yield f"Speed: shown from 1.00x on; it stays shown until it is {longer:.0f} % slower."
    elif high > 1.0:
        yield f"Speed: the interval reaches from {low:.2f}x to {high:.2f}x, to both sides of 1."
    elif high > 0.0:
        faster = 100.0 * (1.0 / high - 1.0)
        yield f"Speed: not faster; {faster:.0f} % faster, and its interval would reach 1.00x."
