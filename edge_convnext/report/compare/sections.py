"""A comparison as sections of text: the terminal, Markdown and HTML show the same ones."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from edge_convnext.core.text import printable
from edge_convnext.report.compare.compare import Comparison, PairComparison
from edge_convnext.report.compare.findings import OUTCOMES, Outcome
from edge_convnext.report.compare.sides import Side
from edge_convnext.report.compare.speeds import chosen_row
from edge_convnext.report.summary import MISSING, number

__all__ = ["Section", "comparison_sections"]

_LISTED = 20  # rows of a long table, where not all are shown


@dataclass(frozen=True)
class Section:
    """A heading, sentences, and a table; text from outside has no control characters."""

    title: str
    sentences: tuple[str, ...] = ()
    headings: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    folded: bool = False  # shown where somebody asks for it

    def short(self) -> Section:
        """The section with the first rows of its table, and a sentence on the rest."""
        more = len(self.rows) - _LISTED
        if more <= 0:
            return self
        told = f"{more:,} more rows are in the files of --html and --json."
        return replace(self, rows=self.rows[:_LISTED], sentences=(*self.sentences, told))


def comparison_sections(comparison: Comparison) -> tuple[Section, ...]:
    """Lay a comparison out: for each pair the counts, what was found, what changed."""
    several = len(comparison.pairs) > 1
    which = [f", {one.now.called} against {one.before.called}" for one in comparison.pairs]
    pairs = list(zip(comparison.pairs, which if several else [""], strict=True))
    found = [_counts(pair, words) for pair, words in pairs]
    found.append(_overview(comparison.sides))
    for pair, words in pairs:
        found += _pair(pair, words)
    return tuple(_clean(one) for one in found if one.sentences or one.rows)


def _counts(pair: PairComparison, which: str) -> Section:
    counts = [
        ("measures", pair.counts),
        *([("classes", pair.class_counts)] if pair.classes else []),
    ]
    return Section(
        f"Better, same, worse{which}",
        (pair.headline,),
        ("", *OUTCOMES),
        tuple(_count_cells(name, found) for name, found in counts),
    )


def _pair(pair: PairComparison, which: str) -> Iterable[Section]:
    yield Section(
        f"What was compared{which}", (), ("", "what"),
        tuple((one.outcome, one.text) for one in pair.findings),
    )  # fmt: skip
    changes = tuple((one.area, one.what, one.before, one.now) for one in pair.changes)
    nothing = () if changes else ("Nothing that was recorded differs.",)
    called = pair.before.called, pair.now.called
    yield Section(
        f"What changed{which}",
        (*nothing, *filter(None, [pair.graphs])),
        ("part", "what", *called),
        changes,
    )
    yield _classes(pair, which)
    yield _timings(pair, which)
    yield _stages(pair, which)


def _count_cells(name: str, counts: dict[Outcome, int]) -> tuple[str, ...]:
    return (name, *(f"{counts[one]:,}" for one in OUTCOMES))


def _overview(sides: Iterable[Side]) -> Section:
    """What each side is, one line each."""
    sides = tuple(sides)
    headings = (
        "", "what", "made", "model", "top-1 %", "FP32 top-1 %", "ships", "ms", "MB", "machine",
    )  # fmt: skip
    notes = tuple(f"{one.called}: {note}" for one in sides for note in one.notes)
    return Section("Compared", notes, headings, tuple(map(_side_cells, sides)))


def _side_cells(side: Side) -> tuple[str, ...]:
    report = side.report
    chosen = chosen_row(report)
    ships = MISSING
    if report is not None:
        ships = ", ".join(filter(None, (report.verdict.ship, report.verdict.confidence)))
    return (
        side.called,
        " ".join(filter(None, (side.kind, side.name, side.label and f"({side.label})"))),
        side.created.strftime("%Y-%m-%d %H:%M") if side.created else MISSING,
        f"{side.model} {side.precision}",
        number(side.top1_pct, 2),
        number(side.fp32_top1_pct, 2),
        ships,
        number(chosen.latency_ms_p50, 2) if chosen else MISSING,
        number(side.size_bytes / 1e6, 2) if side.size_bytes is not None else MISSING,
        side.speed.fingerprint[:8],
    )


def _classes(pair: PairComparison, which: str) -> Section:
    """Each class, the largest loss first; those where nothing flipped are left to JSON."""
    touched = [one for one in pair.classes if one.lost or one.won]
    rows = tuple(
        (
            one.outcome,
            one.name,
            f"{one.n:,}",
            number(one.top1_before_pct, 2),
            number(one.top1_now_pct, 2),
            f"{one.change_pp:+.2f}",
            f"{one.interval_pp[0]:+.2f} to {one.interval_pp[1]:+.2f}",
            f"{one.lost:,}",
            f"{one.won:,}",
        )
        for one in touched
    )
    still = len(pair.classes) - len(touched)
    sentence = (f"In {still:,} of {len(pair.classes):,} classes no image changed sides.",)
    headings = (
        "", "class", "images", f"{pair.before.called} %", f"{pair.now.called} %", "change pp",
        "95 % over all classes", "lost", "won",
    )  # fmt: skip
    return Section(f"Classes{which}", sentence if pair.classes else (), headings, rows, True)


def _timings(pair: PairComparison, which: str) -> Section:
    title = f"Times of the candidates{which}"
    if pair.why_no_timings is not None:
        return Section(title, (f"Not side by side: {pair.why_no_timings}.",), folded=True)
    called = pair.before.called, pair.now.called
    sentence = (
        "Two runs on one machine, not interleaved: what else it did then is in the ratios. The "
        "comparison above rests on speed-ups within each run."
    )
    rows = tuple(
        (
            one.artifact,
            str(one.batch),
            number(one.before_ms, 2),
            number(one.now_ms, 2),
            MISSING if one.ratio is None else f"{one.ratio:.2f}x",
            number(one.before_bytes / 1e6, 2),
            number(one.now_bytes / 1e6, 2),
        )
        for one in pair.timings
    )
    headings = (
        "candidate", "batch", *(f"{one} ms" for one in called), "ratio",
        *(f"{one} MB" for one in called),
    )  # fmt: skip
    return Section(title, (sentence,), headings, rows, True)


def _stages(pair: PairComparison, which: str) -> Section:
    same = pair.before.speed.fingerprint == pair.now.speed.fingerprint
    called = pair.before.called, pair.now.called
    rows = []
    for one in pair.stages:
        ratio = MISSING
        if same and (one.before_status, one.now_status) == ("done", "done"):
            ratio = f"{one.now_s / one.before_s:.2f}x" if one.before_s and one.now_s else MISSING
        rows.append(
            (
                one.name,
                _stage_cell(one.before_status, one.before_s),
                _stage_cell(one.now_status, one.now_s),
                ratio,
            )
        )
    why = "" if same else " No ratios: the machines differ."
    sentence = (f"Seconds of each stage; what came from the cache is no time of work.{why}",)
    headings = ("stage", *called, "ratio")
    return Section(f"Stages{which}", sentence if rows else (), headings, tuple(rows), True)


def _stage_cell(status: str, seconds: float | None) -> str:
    return f"{seconds:.1f} s" if status == "done" and seconds is not None else status


def _clean(section: Section) -> Section:
    return replace(
        section,
        title=printable(section.title),
        sentences=tuple(map(printable, section.sentences)),
        headings=tuple(map(printable, section.headings)),
        rows=tuple(tuple(map(printable, row)) for row in section.rows),
    )
