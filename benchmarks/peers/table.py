"""The results: a JSON file with every round, and a table for a reader."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from benchmarks.peers.accuracy import Candidate, threads_of
from benchmarks.peers.catalog import ENVIRONMENTS
from benchmarks.peers.task import Graph, Task
from benchmarks.peers.timing import Timings, ratio_to
from edge_convnext.core.files import write_text_atomic
from edge_convnext.core.image_size import show_size

__all__ = ["find_fastest", "make_rows", "render", "write_results"]

_HEAD = (
    "tool", "settings", "runtime", "build s", "MB", "top-1 drop pp", "agreement %", "SQNR dB",
    "p50 ms", "/ ours", "/ ours, same runtime",
)  # fmt: skip
_NAMES = {"onnxruntime": "ORT", "openvino": "OpenVINO", "openvino f32": "OpenVINO, f32 hint"}
_MEGABYTE = 1e6
_NOTES = """
- Every graph is made from the same float export and the same calibration images; ours from the
  checkpoint behind that export. The drop, agreement and SQNR are against the raw FP32 graph in
  ORT on the same images.
- ORT: a plain session, dynamic batch. OpenVINO: default hints, batch compiled in; without a
  precision hint it computes what is float in bfloat16 where the CPU can. Its f32 hint is shown
  for all as well.
- Latency: batch 1, all rows interleaved in one process, in a new random order each round.
  `/ ours` is the median over the rounds of a row's latency by that of our fastest row, with its
  95 % interval; the last column by our fastest in that runtime. Above 1.00 we are faster.
- Build seconds: from graph and decoded images to the INT8 graph, imports left out. Ours have
  folds, export, simplifying and parity checks in them, which the others have not.
"""


def find_fastest(
    candidates: Sequence[Candidate], timings: Timings, runtime: str | None = None
) -> str | None:
    """Our candidate with the lowest latency, by its label.

    Args:
        candidates: All.
        timings: Of those that run.
        runtime: Of one alone; None: of any.
    """
    own = [
        candidate.label
        for candidate in candidates
        if candidate.graph.ours
        and candidate.label in timings.latency_ms_p50
        and runtime in (None, candidate.runtime)
    ]
    return min(own, key=lambda label: timings.latency_ms_p50[label], default=None)


def make_rows(
    graphs: Sequence[Graph], candidates: Sequence[Candidate], timings: Timings
) -> list[dict[str, Any]]:
    """One row per graph and configuration; one for a graph that could not be made."""
    rows: list[dict[str, Any]] = []
    for graph in graphs:
        own = [candidate for candidate in candidates if candidate.graph == graph]
        common = {
            "tool": graph.tool,
            "settings": graph.variant,
            "ours": graph.ours,
            "versions": list(graph.versions),
            "build_s": graph.build_s,
        }
        if graph.path is None:
            rows.append({**common, "runtime": None, "failed": graph.reason})
            continue
        common["size_bytes"] = sum(file.stat().st_size for file in graph.files)
        told: set[str] = set()
        for candidate in own:
            row = {**common, **_measured(candidate, candidates, timings)}
            if row["failed"] is None or row["failed"] not in told:  # once for both hints
                rows.append(row)
            told.add(row["failed"])
    return rows


def render(rows: Sequence[Mapping[str, Any]]) -> str:
    """The rows as Markdown."""
    lines = ["| " + " | ".join(_HEAD) + " |", "|" + "---|" * len(_HEAD)]
    for row in rows:
        ms, build_s, size = row.get("latency_ms_p50"), row["build_s"], row.get("size_bytes")
        cells = [f"**{row['tool']}**" if row["ours"] else row["tool"], row["settings"]]
        cells += [_NAMES.get(row["runtime"], "-")]
        cells += [_number(build_s, ".1f"), _number(size and size / _MEGABYTE, ".1f")]
        if row["failed"] is not None:
            said = row["failed"].replace("|", "\\|")
            cells += [f"failed: {said}"] + ["-"] * (len(_HEAD) - len(cells) - 1)
        else:
            cells += [_drop(row), _number(row["agreement_pct"], ".2f")]
            cells += [_number(row["sqnr_db"], ".1f"), _number(ms, ".2f")]
            cells += [_ratio(row["ratio_to_ours"]), _ratio(row["ratio_to_ours_same_runtime"])]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def write_results(
    name: str,
    task: Task,
    graphs: Sequence[Graph],
    candidates: Sequence[Candidate],
    timings: Timings,
    folder: Path,
) -> Path:
    """Write `<date>-peers-<name>.json` and `.md`.

    Returns:
        The JSON file.
    """
    rows = make_rows(graphs, candidates, timings)
    date = datetime.now(timezone.utc).date().isoformat()
    weights, labels = task.recipe.load.weights or "", task.labels
    top1 = next((row["top1_pct"] for row in rows if row.get("top1_pct") is not None), None)
    calibration = task.inputs.calibration
    assert calibration is not None
    facts = {
        "date": date,
        "model": task.recipe.model,
        "weights": Path(weights).name,
        "image_size": task.inputs.info.preprocess.image_size,
        "calibration_images": len(calibration.images.samples),
        "evaluation_images": 0 if labels is None else len(labels),
        "fp32_top1_pct": top1,
        "threads": threads_of(task),
        "rounds": task.recipe.benchmark.rounds,
        "other_load_pct": timings.other_load_pct,
    }
    result = {**facts, "environment": task.machine, "peers": ENVIRONMENTS, "rows": rows}
    target = folder / f"{date}-peers-{name}.json"
    write_text_atomic(target, json.dumps(result, indent=1) + "\n")
    write_text_atomic(target.with_suffix(".md"), _page(name, facts, rows))
    sys.stderr.write(f"{target}\n")
    return target


def _measured(
    candidate: Candidate, candidates: Sequence[Candidate], timings: Timings
) -> dict[str, Any]:
    label, rounds, comparison = candidate.label, timings.round_ms, candidate.comparison
    best = find_fastest(candidates, timings)
    alike = find_fastest(candidates, timings, candidate.runtime)

    def ratio(ours: str | None) -> dict[str, Any] | None:
        if ours is None or label not in rounds:
            return None
        return asdict(ratio_to(rounds[ours], rounds[label]))

    return {
        "runtime": candidate.configuration,
        "failed": candidate.reason or timings.reasons.get(label),
        "top1_pct": candidate.top1_pct,
        "top1_drop_pp": comparison and comparison.top1_drop_pp,
        "top1_drop_ci95_pp": comparison and comparison.top1_drop_ci95_pp,
        "agreement_pct": candidate.agreement_pct,
        "sqnr_db": candidate.sqnr_db,
        "latency_ms_p50": timings.latency_ms_p50.get(label),
        "ratio_to_ours": ratio(best),
        "ratio_to_ours_same_runtime": ratio(alike),
        "round_latency_ms_p50": rounds.get(label),
    }


def _page(name: str, facts: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> str:
    images, load = facts["evaluation_images"], facts["other_load_pct"]
    said = f"{images:,} evaluation images, FP32 top-1 {_number(facts['fp32_top1_pct'], '.2f')} %"
    busy = "unknown" if load is None else f"{load:.0f} % of the CPU"
    return (
        f"# Peers, {name}, {facts['date']}\n\n"
        f"{facts['model']}, `{facts['weights']}`, {show_size(facts['image_size'])} px, "
        f"{facts['calibration_images']} calibration images, "
        f"{said if images else 'random weights: speed alone'}. {facts['threads']} threads, "
        f"{facts['rounds']} rounds, load of other programs during the timing: {busy}.\n\n"
        f"{render(rows)}\n{_NOTES}"
    )


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def _drop(row: Mapping[str, Any]) -> str:
    if row["top1_drop_pp"] is None:
        return "-"
    low, high = row["top1_drop_ci95_pp"]
    return f"{row['top1_drop_pp']:.2f} [{low:.2f}, {high:.2f}]"


def _ratio(fields: Mapping[str, Any] | None) -> str:
    if fields is None:
        return "-"
    if fields["ci95_lo"] is None:  # fewer than 6 rounds
        return f"{fields['median']:.2f}"
    return f"{fields['median']:.2f} [{fields['ci95_lo']:.2f}, {fields['ci95_hi']:.2f}]"
