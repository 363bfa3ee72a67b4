"""The card itself: metadata for the hub, then what was measured, in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import yaml

from edge_convnext.core.contention import why_skewed
from edge_convnext.core.image_size import show_size
from edge_convnext.core.text import escape_markdown, printable
from edge_convnext.report.card.stated import (
    Stated,
    base_model_of,
    licence_fields,
    licence_sentence,
    public_name,
    split_words,
)
from edge_convnext.report.contract import Report
from edge_convnext.report.measured import AccuracyReport, PrecisionAccuracy
from edge_convnext.report.shipped import shipped_file
from edge_convnext.report.summary import headings, summary_rows, verdict_line

__all__ = ["card_text", "metadata_of", "model_files"]

_TASK = "image-classification"
_EVALUATED = "the evaluation images of the build"


def metadata_of(report: Report, stated: Stated) -> dict[str, Any]:
    """The metadata block; what is not known is left out."""
    base = base_model_of(report, stated)
    quantized = base is not None and report.verdict.ship == "int8"
    found: dict[str, Any] = {
        **licence_fields(report, stated),
        "pipeline_tag": _TASK,
        "tags": ["onnx", "edge-convnext", *(["int8"] if _has_int8(report) else [])],
    }
    if base is not None:
        found["base_model"] = base
    if quantized:
        found["base_model_relation"] = "quantized"
    if stated.datasets:
        found["datasets"] = list(stated.datasets)
    if report.accuracy is not None:
        found["metrics"] = ["accuracy"]
        found["model-index"] = [_results(report, report.accuracy, stated)]
    return found


def _has_int8(report: Report) -> bool:
    return report.recipe.get("precision") == "int8"


def _results(report: Report, accuracy: AccuracyReport, stated: Stated) -> dict[str, Any]:
    """Accuracy of every evaluated precision, as the hub shows it: between 0 and 1."""
    kind = stated.datasets[0] if len(stated.datasets) == 1 else "imagefolder"
    metrics = [
        {
            "type": "accuracy",
            "name": f"Top-1 accuracy, {name.upper()}",
            "value": round(part.top1_pct / 100.0, 6),
        }
        for name, part in _parts(accuracy)
    ]
    dataset = {"type": kind, "name": _EVALUATED, "split": "validation"}
    results = [{"task": {"type": _TASK}, "dataset": dataset, "metrics": metrics}]
    return {"name": printable(public_name(report)), "results": results}


def _parts(accuracy: AccuracyReport) -> Iterable[tuple[str, PrecisionAccuracy]]:
    for name, part in (("fp32", accuracy.fp32), ("fp16", accuracy.fp16), ("int8", accuracy.int8)):
        if part is not None:
            yield name, part


def card_text(report: Report, stated: Stated) -> str:
    """The whole README.md; it names no path and no host of the build."""
    front = yaml.safe_dump(metadata_of(report, stated), sort_keys=False, allow_unicode=True)
    parts = [
        f"---\n{front}---",
        f"# {escape_markdown(public_name(report))}",
        *([f"> {escape_markdown(report.banner)}"] if report.banner else []),
        escape_markdown(f"{verdict_line(report)}."),
        _bullets(report.verdict.reasons),
        "## The model",
        _bullets(_model_lines(report)),
        "## Files",
        _table(("file", "MB", "SHA-256"), _file_rows(report)),
        "## Use",
        _use(report),
        "## What was measured",
        _table(headings(report), (row.cells() for row in summary_rows(report))),
        _bullets(_measured_lines(report)),
        "Figures by machine, precision and runtime are in `perf.yaml` and `numerics.yaml`.",
        "## Licence",
        escape_markdown(licence_sentence(report, stated)),
        "## What this card can't say",
        "What the model is for, on which images it must not be used, and whom its mistakes hurt. "
        "Whoever publishes it adds that.",
    ]
    return "\n\n".join(parts) + "\n"


def _model_lines(report: Report) -> Iterable[str]:
    model = report.model
    yield f"{model.params:,} parameters, {model.num_classes:,} classes."
    channels = "" if model.in_channels == 3 else f", {model.in_channels} channels"
    yield f"Images of {show_size(model.image_size)} px{channels}."
    yield f"Weights: SHA-256 {model.weights.sha256}."
    if len(model.classes) == model.num_classes <= 20:
        yield f"Classes, in the order of the outputs: {', '.join(model.classes)}."


def _file_rows(report: Report) -> Iterable[tuple[str, ...]]:
    for file in model_files(report):
        yield (
            file,
            *next(
                (f"{one.bytes / 1e6:.2f}", one.sha256) for one in report.outputs if one.path == file
            ),
        )


def model_files(report: Report) -> tuple[str, ...]:
    """The models beside the report, which have no path of the user in them."""
    kinds = (".onnx", ".tflite", ".engine", ".engine.json")
    return tuple(one.path for one in report.outputs if one.path.endswith(kinds))


def _use(report: Report) -> str:
    there = model_files(report)
    fallback = f"model.{report.recipe.get('precision')}.onnx"  # of an undecided build
    name = shipped_file(report) or (fallback if fallback in there else None)
    if name not in there:
        return "See edge-convnext's `deploy` for programs that run these files."
    return (
        "```python\nimport edge_convnext\n\n"
        f'model = edge_convnext.load_model("{name}")\n'
        'print(model.predict(["image.jpg"])[0].label)\n```\n\n'
        "The file states its classes and its preprocessing."
    )


def _measured_lines(report: Report) -> Iterable[str]:
    seen, accuracy = report.environment, report.accuracy
    yield f"On {seen.cpu_model}, {seen.cores} cores, {report.created:%Y-%m-%d}."
    if accuracy is not None:
        yield f"Accuracy on {accuracy.n_images:,} images: {split_words(report) or 'not described'}."
    else:
        yield f"No accuracy was measured: {report.stage('evaluate').reason}."
    if report.benchmark is None:
        yield f"No latency was measured: {report.stage('benchmark').reason}."
    tools = {name: seen.versions[name] for name in sorted(seen.versions)}
    if disturbed := report.benchmark and why_skewed(
        report.benchmark.other_load_pct, report.benchmark.throttled_periods
    ):
        yield f"The timings were disturbed: {disturbed}."
    yield "Versions: " + ", ".join(f"{name} {version}" for name, version in tools.items()) + "."


def _bullets(sentences: Iterable[str]) -> str:
    return "\n".join(f"- {escape_markdown(one)}" for one in sentences)


def _table(names: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    cells = [tuple(names), ("---",) * len(names), *(tuple(map(escape_markdown, r)) for r in rows)]
    return "\n".join(f"| {' | '.join(row)} |" for row in cells)
