"""Folders as `build` writes them, with predictions made to order."""

import csv
import hashlib
from pathlib import Path

from edge_convnext.report.contract import Report
from edge_convnext.report.described import FileReport
from edge_convnext.report.manifest import write_manifest
from support.example_report import ACCURACY, example_fields


def make_build(
    folder: Path,
    n: int = 1000,
    lost: int = 0,
    won: int = 0,
    classes: int = 4,
    **changes,
) -> Path:
    """A build of INT8 where FP32 is right but for the first `won` images of each test set."""
    folder.mkdir(parents=True, exist_ok=True)
    names = [f"class {index}" for index in range(classes)]
    rows = []
    for index in range(n):
        label, other = names[index % classes], names[(index + 1) % classes]
        fp32 = other if index < won else label
        int8 = other if won <= index < won + lost else label
        rows.append([sha(index), label, fp32, "1.0000", int8, f"{index / n:.4f}"])
    return write_build(folder, rows, **changes)


def sha(index: int) -> str:
    return hashlib.sha256(str(index).encode()).hexdigest()


def write_build(folder: Path, rows: list[list[str]], **changes) -> Path:
    header = ["sha256", "label", "fp32_top1", "fp32_margin", "int8_top1", "int8_margin"]
    with (folder / "predictions.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([header, *rows])
    (folder / "model.int8.onnx").write_bytes(b"int8" * 1_000_000)
    lost = sum(row[2] == row[1] != row[4] for row in rows)
    won = sum(row[4] == row[1] != row[2] for row in rows)
    outputs = [
        FileReport.of(folder / name, folder).model_dump()
        for name in ("model.int8.onnx", "predictions.csv")
    ]
    accuracy = {**ACCURACY, "n_images": len(rows), "lost": lost, "won": won}
    classes = sorted({name for row in rows for name in (row[1], row[2], row[4])})
    model = {**example_fields()["model"], "classes": classes, "num_classes": len(classes)}
    fields = example_fields(**{"outputs": outputs, "accuracy": accuracy, "model": model, **changes})
    path = folder / "report.json"
    return write_report(Report.model_validate(fields), path)


def write_report(report: Report, path: Path) -> Path:
    """The report, and the manifest that answers for it."""
    report.write(path)
    names = [file.path for file in report.outputs]
    files = [path.parent / name for name in names if (path.parent / name).is_file()]
    write_manifest(path.parent, [path, *files])
    return path
