"""All parts of `gpu.py` as Markdown: one table per model and batch, the fastest first."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edge_convnext.core.intervals import median_interval

_PARTS = ("classic", "rtx", "torch")


def write_tables(folder: Path) -> str:
    """Read every part in a folder, and write `gpu.md` beside them."""
    parts = {path.stem: json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))}
    lines = _device(parts)
    rows = [
        {**row, "part": name}
        for name in _PARTS
        for row in parts.get(name, {}).get("rows", ())
        if "gpu_ms" in row
    ]
    bytes_s = _bandwidth(parts.get("peaks", {}))
    for model, batch in dict.fromkeys((row["model"], row["batch"]) for row in rows):
        own = _last_race([row for row in rows if (row["model"], row["batch"]) == (model, batch)])
        lines += ["", f"### {model}, batch {batch}", ""]
        lines += _table(sorted(own, key=lambda row: row["gpu_ms"]["p50"]), bytes_s)
        lines += _verdict(own)
    lines += _failures(parts)
    text = "\n".join(lines) + "\n"
    (folder / "gpu.md").write_text(text, encoding="utf-8")
    return text


def _last_race(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of an engine that was raced twice, the later and larger race."""
    keys = ("part", "form", "placement", "precision", "variant")
    latest = {tuple(row.get(key) for key in keys): row for row in rows}
    return list(latest.values())


def _device(parts: Mapping[str, Any]) -> list[str]:
    lines = []
    for name, part in parts.items():
        device, library = part.get("device"), part.get("tensorrt", "")
        lines.append(f"- {name}: {device} {library}; before {part.get('gpu_before')}")
    peaks = parts.get("peaks", {})
    for row in peaks.get("copy", ()):
        lines.append(f"- copy of {row['bytes'] >> 20} MiB: {row['gb_s_read_and_written']:.0f} GB/s")
    for row in peaks.get("matmul", ()):
        lines.append(f"- {row['type']} product of {row['n']}: {row['tera_ops_s']:.0f} Tops/s")
    return lines


def _bandwidth(peaks: Mapping[str, Any]) -> float | None:
    return max((1e9 * row["gb_s_read_and_written"] for row in peaks.get("copy", ())), default=None)


def _table(rows: Sequence[Mapping[str, Any]], bytes_s: float | None) -> list[str]:
    head = ["runtime", "precision", "form", "INT8", "variant", "GPU ms", "rounds", "end to end ms"]
    head += ["img/s", "engine MB", "layers", "moved MB", "at copy speed ms", "SQNR dB"]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for row in rows:
        turns = row["gpu_ms"]["rounds_p50"]
        ms = row["gpu_ms"]["p50"]
        moved = sum(row.get(key) or 0 for key in ("activation_bytes", "weight_bytes"))
        cells = [row["runtime"], row["precision"], row["form"], row.get("placement") or "-"]
        cells += [row.get("variant") or "-", f"{ms:.4f}", f"{min(turns):.4f} to {max(turns):.4f}"]
        cells.append(f"{row['e2e_ms']['p50']:.3f}" if "e2e_ms" in row else "-")
        cells.append(f"{1e3 * row['batch'] / ms:.0f}")
        size = row.get("engine_bytes")
        cells.append(f"{size / 1e6:.1f}" if size else "-")
        cells.append(row.get("kernels") or "-")
        cells.append(f"{moved / 1e6:.1f}" if moved else "-")
        cells.append(f"{1e3 * moved / bytes_s:.4f}" if moved and bytes_s else "-")
        parity = row.get("parity") or {}
        cells.append(f"{parity['sqnr_db']:.1f}" if parity.get("sqnr_db") is not None else "-")
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return lines


def _verdict(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The best INT8 against the best FP16 of the same library, by paired rounds."""
    lines = []
    for part in ("classic", "rtx"):
        own = [row for row in rows if row["part"] == part and "error" not in row]
        best = {
            precision: min(
                (row for row in own if row["precision"] == precision),
                key=lambda row: row["gpu_ms"]["p50"],
                default=None,
            )
            for precision in ("fp16", "int8")
        }
        fast, slow = best["int8"], best["fp16"]
        if fast is None or slow is None:
            continue
        pairs = zip(slow["gpu_ms"]["rounds_p50"], fast["gpu_ms"]["rounds_p50"], strict=False)
        ratios = [before / after for before, after in pairs]
        interval = median_interval(ratios)
        said = f" (95 % interval {interval[0]:.3f} to {interval[1]:.3f})" if interval else ""
        lines += [
            "",
            f"{slow['runtime']}: best INT8 ({fast['form']}, {fast.get('placement')}) has "
            f"{statistics.median(ratios):.3f}x{said} the speed of the best FP16 ({slow['form']}).",
        ]
    return lines


def _failures(parts: Mapping[str, Any]) -> list[str]:
    lines = []
    for name, part in parts.items():
        for key in ("steps", "builds", "rows", "capabilities"):
            for row in part.get(key, ()):
                if "error" in row:
                    what = row.get("step") or row.get("label") or row.get("capability")
                    what = what or f"{row.get('model')} b{row.get('batch')} {row.get('form')}"
                    last = row["error"].strip().split("\n")[-1]
                    lines.append(f"- {name}, {what}: {last[:300]}")
        lines += [f"- {name}, left out: {one}" for one in part.get("left_out", ())]
    return ["", "### What failed or was left out", "", *lines] if lines else []
