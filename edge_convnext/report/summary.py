"""Text of both views of a report: the summary table's cells, titles, notes.

The terminal and the Markdown view take their words from here, so they can't disagree.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge_convnext.core.errors import shorten
from edge_convnext.core.image_size import show_size
from edge_convnext.report.speed_words import interval_note, show_vs_raw
from edge_convnext.report.words import MISSING, count, number, plain

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pydantic import JsonValue

    from edge_convnext.report.contract import Report, VerdictReport
    from edge_convnext.report.measured import BenchmarkRow, CandidateAccuracy, CandidateReport

__all__ = [
    "MISSING",
    "RECOVERY_HEADINGS",
    "SummaryRow",
    "count",
    "footnote",
    "graph_name",
    "headings",
    "made_line",
    "number",
    "plain",
    "recovery_rows",
    "show_date",
    "state_text",
    "summary_rows",
    "title",
    "verdict_line",
]

RECOVERY_HEADINGS = (
    "recovered", "kept", "dB before", "after", "agree % before", "after", "learnt from", "judged on"
)  # fmt: skip
_REFERENCE = "reference"
_GRAPHS = "onnx:"  # begins the names of models that came as a graph
_RIVAL = "rival float"
_UNFIT = f"{_RIVAL}, wrong there: may not ship"


@dataclass(frozen=True)
class SummaryRow:
    """One line of the summary, as text; `-` where nothing was measured."""

    model: str
    graph: str
    top1_pct: str
    drop_pp: str
    agreement_pct: str
    latency_ms: str
    p90_ms: str
    throughput: str
    speedup: str | None  # None: raw FP32 was not timed, and there is no such column
    chosen: bool = False
    artifact: str | None = None  # name of its timing or score in the report

    def cells(self) -> tuple[str, ...]:
        """The cells from left to right, of the columns that `headings` names."""
        speedup = () if self.speedup is None else (self.speedup,)
        return (
            self.model,
            self.graph,
            self.top1_pct,
            self.drop_pp,
            self.agreement_pct,
            self.latency_ms,
            self.p90_ms,
            self.throughput,
            *speedup,
        )


def summary_rows(report: Report) -> list[SummaryRow]:
    """The FP32 reference, the best float, its hardest rival, the built precision per runtime."""
    benchmark, accuracy = report.benchmark, report.accuracy
    batch = _batches(report)[0]
    rows = {row.artifact: row for row in benchmark.rows if row.batch == batch} if benchmark else {}
    scores = {score.artifact: score for score in accuracy.candidates} if accuracy else {}
    raw = benchmark.raw_fp32 if benchmark else None
    chosen = benchmark.chosen if benchmark else None
    labels: dict[str | None, str] = {}
    if raw is not None or accuracy is not None:
        labels[raw] = _REFERENCE
    if benchmark and benchmark.best_float and benchmark.best_float != raw:
        labels[benchmark.best_float] = "best float"
    if benchmark and benchmark.hardest_float:
        unfit = benchmark.hardest_float in report.refused_names
        labels.setdefault(benchmark.hardest_float, _UNFIT if unfit else _RIVAL)
    for name in _best_per_runtime(report, rows, scores):
        labels.setdefault(name, (rows.get(name) or scores[name]).precision)
    return [
        _summary_row(report, label, rows.get(name or ""), scores.get(name or ""), name == chosen)
        for name, label in labels.items()
    ]


def _best_per_runtime(
    report: Report, rows: dict[str, BenchmarkRow], scores: dict[str, CandidateAccuracy]
) -> Iterable[str]:
    """The fastest of the built precision that may ship in each runtime, with the chosen one."""
    precision = report.recipe.get("precision")
    chosen = report.benchmark.chosen if report.benchmark else None
    best: dict[str, str] = {}
    names = dict.fromkeys((*rows, *scores))  # without timings the first one is the chosen one
    for name in sorted(names, key=lambda name: (name != chosen, _p50(rows.get(name)))):
        candidate = rows.get(name) or scores[name]
        if candidate.precision == precision and name not in report.refused_names:
            best.setdefault(candidate.runtime, name)
    return best.values()


def _p50(row: BenchmarkRow | None) -> float:
    return row.latency_ms_p50 if row else float("inf")


def _summary_row(
    report: Report,
    label: str,
    row: BenchmarkRow | None,
    score: CandidateAccuracy | None,
    chosen: bool,
) -> SummaryRow:
    benchmark, accuracy = report.benchmark, report.accuracy
    small, large = _batches(report)
    raw = benchmark.row(benchmark.raw_fp32, small) if benchmark else None
    at_large = benchmark.row(row.artifact, large) if benchmark and row else None
    candidate = row or score
    top1_pct = score.top1_pct if score else None
    if label == _REFERENCE and accuracy:
        top1_pct = accuracy.fp32.top1_pct
    vs_raw = show_vs_raw(benchmark, row, chosen) if benchmark and row else None
    return SummaryRow(
        model=label,
        graph=graph_name(candidate) if candidate else _where(report),
        top1_pct=number(top1_pct, 2),
        drop_pp=_drop(score.top1_drop_pp, score.top1_drop_ci95_pp) if score else MISSING,
        agreement_pct=number(score.agreement_pct, 2) if score else MISSING,
        latency_ms=number(row.latency_ms_p50, 2) if row else MISSING,
        p90_ms=number(row.latency_ms_p90, 2) if row else MISSING,
        throughput=number(at_large.throughput_img_s, 0) if at_large else MISSING,
        speedup=(vs_raw or MISSING) if raw else None,
        chosen=chosen,
        artifact=candidate.artifact if candidate else None,
    )


def _batches(report: Report) -> tuple[int, int]:
    """The smallest timed batch size, for latency, and the largest, for throughput."""
    batches = [row.batch for row in report.benchmark.rows] if report.benchmark else []
    return min(batches, default=1), max(batches, default=1)


def graph_name(candidate: CandidateReport) -> str:
    """Form, runtime and float type of a candidate, such as `conv openvino bf16`."""
    return " ".join(filter(None, (candidate.form, candidate.runtime, candidate.precision_hint)))


def headings(report: Report) -> tuple[str, ...]:
    """Headings of the summary table's columns."""
    small, large = _batches(report)
    raw = report.benchmark is not None and report.benchmark.raw_fp32 is not None
    return (
        "model",
        "graph",
        "top-1 %",
        "drop pp [95 %]",
        "agree %",
        f"ms b{small}",
        "p90",
        f"img/s b{large}",
        *(["vs raw"] if raw else []),
    )


def _where(report: Report) -> str:
    """What answers for the model as it came."""
    return "ONNX Runtime" if report.model.name.startswith(_GRAPHS) else "torch"


def footnote(report: Report) -> str:
    """How to read the summary table."""
    small, _ = _batches(report)
    benchmark = report.benchmark
    raw = benchmark is not None and benchmark.raw_fp32 is not None
    speed = ", speed of the raw FP32 export in ONNX Runtime" if raw else ""
    text = f"reference: accuracy in {_where(report)}{speed}; ms: median and p90; b: batch size"
    if benchmark is not None:
        text += f"; rows are the fastest at batch {small}"
        if benchmark.hardest_float not in (benchmark.best_float, benchmark.raw_fp32):
            text += f"; {_RIVAL}: beaten least surely, so the verdict is against it"
    return text if benchmark is None else f"{text}{interval_note(benchmark)}"


def title(report: Report) -> str:
    """The model in one line."""
    model = report.model
    licence = f", {model.weights.licence}" if model.weights.licence else ""
    return (
        f"{model.name}, {model.params / 1e6:.1f} M parameters, {model.num_classes} classes, "
        f"{show_size(model.image_size)} px; weights: {model.weights.source}{licence}"
    )


def made_line(report: Report) -> str:
    """What the user calls the build, where that is known, and when it was made."""
    date = show_date(report)
    return f"{report.label}, made {date}" if report.label else f"Made {date}"


def show_date(report: Report) -> str:
    """When a report was made, to the minute, with its time zone."""
    return f"{report.created:%Y-%m-%d %H:%M %Z}"


def verdict_line(report: Report) -> str:
    """What to ship, in one line."""
    verdict = report.verdict
    what = "undecided" if verdict.ship == "undecided" else f"ship {verdict.ship}"
    if verdict.confidence is not None:
        what += f", {verdict.confidence}{_to_show(verdict)}"
    if verdict.classes_past and "not" not in (verdict.accuracy, verdict.speed):
        what += f"; {_past(verdict.classes_past)} than the budget"
    return f"Verdict: {what}{'' if verdict.passed else ' (the requirement is not met)'}"


def _past(classes: tuple[str, ...]) -> str:
    """Name classes that lose more than the budget, though the precision ships."""
    if len(classes) > 1:
        return f"{len(classes)} classes lose more"
    return f"class '{shorten(classes[0], 60)}' loses more"


def _to_show(verdict: VerdictReport) -> str:
    """What would make a likely verdict shown: more of all that it rests on, or of what failed."""
    if verdict.confidence != "likely":
        return ""
    failed = "not" in (verdict.accuracy, verdict.speed)
    open_ = "not" if failed else "likely"
    needed = []
    if verdict.accuracy == open_:
        needed.append(f"{verdict.images_to_show:,} images" if verdict.images_to_show else None)
    if verdict.speed == open_:
        rounds = f"{verdict.rounds_to_show:,} rounds" if verdict.rounds_to_show else None
        needed.append("timings on a quiet machine" if verdict.speed_skewed else rounds)
    known = [one for one in needed if one is not None]
    if not known or (len(known) < len(needed) and not failed):
        return ""
    return f": {(' or ' if failed else ' and ').join(known)} would show it"


def recovery_rows(report: Report) -> list[tuple[str, ...]]:
    """What fine-tuning did to each INT8 graph; cells of `RECOVERY_HEADINGS`."""
    return [
        (
            one.graph,
            "yes" if one.kept else "no",
            *("equal" if each.sqnr_db is None else number(each.sqnr_db, 1) for each in pair),
            *(number(each.agreement_pct, 2) for each in pair),
            f"{one.n_training:,}",
            f"{one.after.n_images:,}",
        )
        for one in report.recoveries
        for pair in [(one.before, one.after)]
    ]


def state_text(value: JsonValue) -> str:
    """A value of a board's state, on one line: `cpu-thermal 49.5, gpu-thermal 50.1`."""
    if isinstance(value, dict):
        named = {key: each for key, each in value.items() if each is not None}
        if isinstance(now := named.get("current_hz"), int):  # a clock
            return f"{named.get('name')} {now / 1e6:.0f} MHz"
        name = [str(named.pop("name"))] if "name" in named else []
        facts = [f"{key.replace('_', ' ')} {state_text(each)}" for key, each in named.items()]
        return " ".join([*name, ", ".join(facts)])
    if isinstance(value, list):
        return "; ".join(map(state_text, value))
    if isinstance(value, float):
        return f"{value:.1f}"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return MISSING if value is None else str(value)


def _drop(drop_pp: float, interval: tuple[float, float]) -> str:
    return f"{drop_pp:.2f} [{interval[0]:.2f}, {interval[1]:.2f}]"
