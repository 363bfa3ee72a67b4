"""Accuracy per class: what each loses, sorted, with intervals; and the answers that changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_convnext.core.percentages import show_pp
from edge_convnext.report.class_drops import ClassCount, judge_classes
from edge_convnext.report.html.changes import changes_blocks
from edge_convnext.report.html.parts import Figure, Picture, Section, Words, make_table
from edge_convnext.report.html.picture import ROW, Bar, axis, bars, make_scale, upright
from edge_convnext.report.html.verdict import max_drop_pp
from edge_convnext.report.summary import MISSING, number

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edge_convnext.report.class_drops import ClassDrop
    from edge_convnext.report.contract import Report
    from edge_convnext.report.html.changes import Change
    from edge_convnext.report.html.parts import Block, Limits, Table
    from edge_convnext.report.measured import AccuracyReport, PrecisionAccuracy

__all__ = ["classes_section"]

_DRAWN, _GAINED = 12, 4
_SOURCE = "report.json: accuracy; predictions.csv"


def classes_section(
    report: Report, changes: Sequence[Change] | None, images: Mapping[str, str], limits: Limits
) -> Section:
    """Accuracy of the whole, of each class, and the answers that changed.

    Args:
        report: Report of a build or a board.
        changes: Images whose answer changed; None where no predictions lie beside the report.
        images: Pictures as data: URIs, by SHA-256 of the image.
        limits: Largest amounts to show.
    """
    accuracy = report.accuracy
    if accuracy is None:
        reason = report.stage("evaluate").reason or "the evaluate stage did not run"
        missing = Words(f"Accuracy was not measured: {reason}.", "missing")
        return Section("accuracy", "Accuracy", (missing,), _SOURCE)
    blocks: list[Block] = [_overall(accuracy, limits), *_per_class(report, accuracy, limits)]
    blocks += changes_blocks(changes, images, limits)
    return Section("accuracy", "Accuracy", tuple(blocks), _SOURCE)


def _overall(accuracy: AccuracyReport, limits: Limits) -> Table:
    kinds = (("fp32", accuracy.fp32), ("fp16", accuracy.fp16), ("int8", accuracy.int8))
    rows = [
        (name, number(one.top1_pct, 2), number(one.top5_pct, 2), f"{accuracy.n_images:,}")
        for name, one in kinds
        if one is not None
    ]
    headings = ("precision", "top-1 %", "top-5 %", "images")
    return make_table("Accuracy on the same images", headings, rows, limits, folded=False)


def _per_class(report: Report, accuracy: AccuracyReport, limits: Limits) -> list[Block]:
    built = accuracy.int8 or accuracy.fp16
    if built is None:
        return [_table(accuracy, None, {}, limits)]
    counts = [
        ClassCount(name, one.n, one.lost, one.won)
        for name, one in built.per_class.items()
        if one.n > 0 and one.lost is not None and one.won is not None
        and one.lost + one.won <= one.n
    ]  # fmt: skip
    if not counts:
        missing = "How many images of each class were lost and won is not recorded in this report."
        return [Words(missing, "missing"), _table(accuracy, built, {}, limits)]
    budget = max_drop_pp(report)
    judged = judge_classes(counts, budget)
    table = _table(accuracy, built, {one.name: one for one in judged}, limits)
    told = Words(
        f"Intervals hold for all {len(judged):,} classes with images together at 95 %. The line is "
        f"the budget of the whole, {show_pp(budget)} pp."
    )
    return [told, Figure(_picture(judged, budget), table)]


def _picture(judged: Sequence[ClassDrop], budget: float) -> Picture:
    drawn = _drawn(judged)
    scale = make_scale([0.0, budget, *(end for one in drawn for end in one.interval_pp)])
    rows = [
        Bar(
            one.name,
            one.drop_pp,
            f"{one.drop_pp:+.2f} pp of {one.n:,}",
            "bad" if one.past else "good" if one.drop_pp <= 0 else "plain",
            one.interval_pp,
        )
        for one in drawn
    ]
    bottom = len(rows) * ROW
    x = scale.at(budget)
    shapes = [*bars(rows, scale), upright(x, 0, bottom, "limit", f"budget {show_pp(budget)} pp")]
    few = f": {len(drawn)} of {len(judged):,}, those that changed most"
    said = "; ".join(f"{row.name}: {row.shown}" for row in rows)
    return Picture(
        anchor="classes",
        title=f"Top-1 drop by class, pp{'' if len(drawn) == len(judged) else few}",
        description=said,
        height=bottom + 35,
        shapes=(*axis(scale, bottom, 0, "drop of top-1, pp; right of 0 is lost"), *shapes),
        legend=(("bad", "surely past the budget"), ("plain", "loses"), ("good", "loses nothing"),
                ("limit", "the accuracy budget")),
    )  # fmt: skip


def _drawn(judged: Sequence[ClassDrop]) -> list[ClassDrop]:
    """Of many classes those that lose most, and a few that gain most; the largest loss first."""
    ordered = sorted(judged, key=lambda one: -one.drop_pp)
    if len(ordered) <= _DRAWN:
        return ordered
    gained = [one for one in ordered if one.drop_pp < 0][-_GAINED:]
    rest = [one for one in ordered if one not in gained]
    lost = [one for one in rest if one.drop_pp > 0]
    return [*(lost or rest)[: _DRAWN - len(gained)], *gained]


def _table(
    accuracy: AccuracyReport,
    built: PrecisionAccuracy | None,
    judged: dict[str, ClassDrop],
    limits: Limits,
) -> Table:
    """All classes, those that lose most first; those without images last."""
    rows = []
    for name, before in accuracy.fp32.per_class.items():
        after = built.per_class.get(name) if built else None
        one = judged.get(name)
        lost_won = (_count(after.lost), _count(after.won)) if after else (MISSING, MISSING)
        ends = f"{one.interval_pp[0]:.2f} to {one.interval_pp[1]:.2f}" if one else MISSING
        cells = (
            *(name, f"{before.n:,}", number(before.top1_pct, 2)),
            *(number(after.top1_pct if after else None, 2), *lost_won),
            *(number(one.drop_pp if one else None, 2), ends),
        )
        rows.append((one.drop_pp if one else float("-inf"), before.n, cells))
    rows.sort(key=lambda row: (-row[0], -row[1]))
    name = "built" if built is None else "int8" if built is accuracy.int8 else "fp16"
    headings = ("class", "images", "fp32 top-1 %", f"{name} top-1 %")
    more = ("only fp32 right", f"only {name} right", "drop pp", "95 % pp, all classes together")
    cells_only = (cells for _, _, cells in rows)
    return make_table("Every class", (*headings, *more), cells_only, limits)


def _count(number_of: int | None) -> str:
    return MISSING if number_of is None else f"{number_of:,}"
