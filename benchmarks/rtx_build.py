"""What `edge-convnext build --target rtx` made, beside the best plans that were found by hand.

    edge-convnext build --model atto --precision int8 --target rtx --image-size 224 …
    python benchmarks/rtx_build.py build/atto-int8/report.json build/pico-int8/report.json

writes `benchmarks/results/<date>-rtx-build.json` and `.md`, from the reports alone. `best` is of
the first study of such plans, made by hand: an engine matches one if it has no more kernels and
moves no more bytes. Nothing is timed.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edge_convnext.core.files import write_text_atomic
from edge_convnext.report.contract import Report
from edge_convnext.report.stages import EngineReport, VariantReport

RESULTS = Path(__file__).parent / "results"
# Kernels and MB of activations, with float16 images and logits.
_SIZE, _CLASSES = 224, 1000
BEST: dict[tuple[str, str, int], tuple[tuple[int, float], ...]] = {
    ("convnextv2_atto", "fp16", 1): ((84, 29.9),),
    ("convnextv2_atto", "int8", 1): ((86, 26.8), (92, 29.5), (84, 27.9)),
    ("convnextv2_atto", "fp16", 8): ((87, 267.0),),
    ("convnextv2_atto", "int8", 8): ((94, 234.0),),
    ("convnextv2_pico", "fp16", 1): ((84, 47.4),),
    ("convnextv2_pico", "int8", 1): ((86, 43.5), (92, 46.8)),
    ("convnextv2_pico", "fp16", 8): ((88, 425.0),),
    ("convnextv2_pico", "int8", 8): ((95, 380.0),),
}
_ROUNDED_MB = {1: 0.05, 8: 0.5}  # by batch size: the study gives one decimal, or none


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("reports", nargs="+", type=Path)
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    reports = [Report.read(path) for path in arguments.reports]
    rows = [row for report in reports for row in list_rows(report)]
    target = arguments.out / f"{max(one.created for one in reports):%Y-%m-%d}-rtx-build.json"
    first = reports[0].environment.model_dump(mode="json")
    content = {"rows": rows, "environment": first}
    write_text_atomic(target, json.dumps(content, indent=1) + "\n")
    write_text_atomic(target.with_suffix(".md"), render(rows))
    print(target)


def list_rows(report: Report) -> list[dict[str, Any]]:
    """One row per engine of a build."""
    return [
        describe(report, variant, variant.engine)
        for variant in report.stage("engine").variants
        if variant.engine is not None
    ]


def describe(report: Report, variant: VariantReport, engine: EngineReport) -> dict[str, Any]:
    """Of one engine: its plan, kernels, bytes, and the accuracy of its Q/DQ."""
    assert variant.precision is not None
    assert variant.batch is not None
    assert engine.activation_bytes is not None
    moved_mb = engine.activation_bytes / 1e6
    known = BEST.get((report.model.name, variant.precision, variant.batch), ())
    comparable = (report.model.image_size, report.model.num_classes) == (_SIZE, _CLASSES)
    best = known if comparable else ()
    slack = _ROUNDED_MB.get(variant.batch, 0.0)
    matched = [row for row in best if engine.kernels <= row[0] and moved_mb <= row[1] + slack]
    graph = next(
        one
        for one in report.stage("quantize" if variant.placement else "typed").variants
        if (one.form, one.placement) == (variant.form, variant.placement)
        and one.batch in (None, variant.batch)
    )
    scores = report.accuracy.candidates if report.accuracy else ()
    own = (variant.form, variant.placement, variant.precision)
    score = next((one for one in scores if (one.form, one.placement, one.precision) == own), None)
    return {
        "model": report.model.name,
        "weights": report.model.weights.source,
        "image_size": report.model.image_size,
        "classes": report.model.num_classes,
        "batch": variant.batch,
        "precision": variant.precision,
        "form": variant.form,
        "placement": variant.placement,
        "kernels": engine.kernels,
        "int8_kernels": engine.int8_kernels,
        "activation_mb": round(moved_mb, 2),
        "weight_mb": round((engine.weight_bytes or 0) / 1e6, 2),
        "best": best,
        "matches": matched,
        "as_planned": "not as planned" not in (variant.reason or ""),
        "parity_sqnr_db": graph.parity.sqnr_db if graph.parity else None,
        "parity_images": graph.parity.n_images if graph.parity else None,
        "drop_pp": score.top1_drop_pp if score else None,
        "agreement_pct": score.agreement_pct if score else None,
        "sqnr_db": score.sqnr_db if score else None,
        "n_images": report.accuracy.n_images if report.accuracy and score else None,
    }


def render(rows: Sequence[dict[str, Any]]) -> str:
    """The rows as a Markdown table."""
    head = [
        "model",
        "weights",
        "classes",
        "batch",
        "precision",
        "plan",
        "kernels",
        "INT8",
        "activations MB",
    ]
    head += ["weights MB", "best (kernels, MB)", "matched", "drop pp", "agree %", "dB", "images"]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for row in rows:
        best = ", ".join(f"{kernels}/{moved:.1f}" for kernels, moved in row["best"])
        matched = ", ".join(f"{kernels}/{moved:.1f}" for kernels, moved in row["matches"])
        judged = row["n_images"] is not None
        cells = [
            row["model"].removeprefix("convnextv2_"),
            row["weights"],
            row["classes"],
            row["batch"],
            row["precision"],
            ".".join(filter(None, (row["form"], row["placement"]))),
            row["kernels"],
            row["int8_kernels"],
            f"{row['activation_mb']:.1f}",
            f"{row['weight_mb']:.1f}",
            best or "-",
            matched or ("none" if best else "-"),
            f"{row['drop_pp']:.2f}" if judged else "-",
            f"{row['agreement_pct']:.2f}" if judged else "-",
            _decibels(row["sqnr_db"] if judged else row["parity_sqnr_db"]),
            row["n_images"] if judged else row["parity_images"],
        ]
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    sizes = ", ".join(sorted({f"{row['image_size']} px" for row in rows}))
    note = (
        f"\n{sizes}. Bytes are those of every tensor that a kernel reads or writes, caches left "
        "aside. Nothing was timed: no engine was run. INT8: drop, agreement and dB of the Q/DQ "
        "graph with a float32 body in ONNX Runtime, against FP32 on the evaluation images. Without "
        "labelled images, and for FP16, dB of the graph's logits on the parity images.\n\n"
        "The best plans are of 1,000 classes, written down to 0.1 MB at batch 1 and to 1 MB at "
        "batch 8, and compared to within that. With few classes, TensorRT computes the head's "
        "product in a generated kernel and adds the bias in one more, of a few bytes.\n"
    )
    return "\n".join(lines) + "\n" + note


def _decibels(sqnr_db: float | None) -> str:
    return "-" if sqnr_db is None else f"{sqnr_db:.1f}"


if __name__ == "__main__":
    main()
