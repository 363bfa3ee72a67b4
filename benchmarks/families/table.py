"""The measurements as one table: a line a network and runtime."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from benchmarks.peers.timing import ratio_to

__all__ = ["list_lines", "render"]

_HEAD = (
    "network", "M parameters", "G MACs", "runtime", "float ms", "bf16", "ours", "NNCF", "ORT",
    "ours / NNCF", "ours / ORT", "ours dB", "NNCF dB", "ORT dB",
    "agreement %", "drop pp", "INT8 products", "plan",
    "RTX FP16", "RTX INT8", "images", "load %",
)  # fmt: skip
_RUNTIMES = ("onnxruntime", "openvino")
_NAMES = {"onnxruntime": "ONNX Runtime", "openvino": "OpenVINO"}
_NOTES = """
- float ms: median latency of the raw FP32 export, batch 1, one thread (OpenVINO: f32 hint).
- bf16, ours, NNCF, ORT: times as fast as that, median over the rounds; every graph of a network is
  timed in turns in one process. The faster of the runtime's two float hints counts. NNCF: its
  defaults. ORT: the better of `quantize_static` with its defaults and U8S8 per channel after
  `quant_pre_process`, by time; in OpenVINO its files run as well.
- ours / NNCF, ours / ORT: ratio of latencies with its 95 % interval; below 1.00 ours is faster.
- dB: logits against the raw FP32 graph's in ONNX Runtime, on the same images.
- agreement %: images with the same top-1 class as that graph; drop pp: its top-1 minus the graph's,
  where the weights are trained. Of ours / NNCF / ORT.
- INT8 products: convolutions and matrix products that the runtime computes in INT8, of those
  planned so.
- RTX: kernels and MB of activations of TensorRT for RTX's engine at batch 1. No engine was run.
- images: that calibrated. load: of other programs during the timing; the ratios of a busy machine
  are less sure.
- Random weights: the dB compare quantizers, and say nothing of accuracy. Trained ones are marked *.
"""


def list_lines(results: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """One line a network and runtime; one for a network whose build failed."""
    for result in results:
        if "failed" in result:
            yield {"network": result["network"], "failed": result["failed"]}
            continue
        for runtime in _RUNTIMES:
            yield {"network": result["network"], **_line(result, runtime)}


def _line(result: Mapping[str, Any], runtime: str) -> dict[str, Any]:
    rows = [row for row in result["rows"]
            if row["runtime"] is not None and row["runtime"].partition(" ")[0] == runtime
            and row.get("round_latency_ms_p50")]  # fmt: skip
    floats = {row["runtime"]: row for row in rows if row["tool"] == "raw FP32"}
    # OpenVINO without a hint computes in bfloat16 where the CPU can; then both are there.
    slow = floats.get(f"{runtime} f32") or floats.get(runtime)
    half = floats.get(runtime) if f"{runtime} f32" in floats else None
    ours = _fastest(row for row in rows if row["ours"])
    nncf = _fastest(row for row in rows if row["tool"] == "NNCF")
    ort = _fastest(row for row in rows if row["tool"] == "ONNX Runtime")
    products = [one for one in result["int8_products"] if one["runtime"] == runtime]
    shown = max(products, key=lambda one: one["planned_int8_products"], default=None)
    return {
        "params": result["params"],
        "macs": result["macs"],
        "calibration_images": result["calibration_images"],
        "other_load_pct": result["other_load_pct"],
        "runtime": runtime,
        "float_ms": slow and slow["latency_ms_p50"],
        "bf16_speedup": _ratio(half, slow),
        "ours_speedup": _ratio(ours, slow),
        "ours_speedup_vs_best_float": _ratio(ours, _fastest(one for one in (slow, half) if one)),
        "nncf_speedup": _ratio(nncf, slow),
        "ort_speedup": _ratio(ort, slow),
        "ours_over_nncf": _ratio(nncf, ours),
        "ours_over_ort": _ratio(ort, ours),
        "ours_sqnr_db": ours and ours["sqnr_db"],
        "nncf_sqnr_db": nncf and nncf["sqnr_db"],
        "ort_sqnr_db": ort and ort["sqnr_db"],
        "agreement_pct": [row and row["agreement_pct"] for row in (ours, nncf, ort)],
        "top1_drop_pp": [row and row["top1_drop_pp"] for row in (ours, nncf, ort)],
        "int8_products": shown and [shown["found_int8_products"], shown["planned_int8_products"]],
        "plan": ours and ours["settings"].removeprefix("plan ").strip("`"),
        **{f"rtx_{name}": _engine(result, name) for name in ("fp16", "int8")},
    }


def _fastest(rows: Any) -> dict[str, Any] | None:
    return min(rows, key=lambda row: row["latency_ms_p50"], default=None)


def _ratio(fast: Mapping[str, Any] | None, slow: Mapping[str, Any] | None) -> Any:
    """How many times as fast the first is: median and 95 % interval over the rounds."""
    if fast is None or slow is None:
        return None
    ratio = ratio_to(fast["round_latency_ms_p50"], slow["round_latency_ms_p50"])
    return [ratio.median, ratio.ci95_lo, ratio.ci95_hi]


def _engine(result: Mapping[str, Any], precision: str) -> list[float] | None:
    own = [one for one in result["engines"]
           if one["precision"] == precision and one.get("kernels")]  # fmt: skip
    first = min(own, key=lambda one: one["batch"] or 0, default=None)
    return first and [first["kernels"], round((first["activation_bytes"] or 0) / 1e6, 1)]


def render(results: Sequence[Mapping[str, Any]], facts: Mapping[str, Any]) -> str:
    """The page: facts, table, notes."""
    lines = ["| " + " | ".join(_HEAD) + " |", "|" + "---|" * len(_HEAD)]
    for line in list_lines(results):
        if "failed" in line:
            cells = [line["network"], f"failed: {line['failed']}".replace("|", "\\|")]
            cells += ["-"] * (len(_HEAD) - 2)
        else:
            cells = _cells(line)
        lines.append("| " + " | ".join(cells) + " |")
    return (
        f"# Families, {facts['date']}\n\n{facts['cpu_model']}, one thread, batch 1.\n\n"
        + "\n".join(lines)
        + f"\n{_NOTES}"
    )


def _cells(line: Mapping[str, Any]) -> list[str]:
    engines = [line[name] for name in ("rtx_fp16", "rtx_int8")]
    return [
        line["network"],
        f"{line['params'] / 1e6:.2f}",
        f"{line['macs'] / 1e9:.2f}",
        _NAMES[line["runtime"]],
        _number(line["float_ms"], ".2f"),
        *(_times(line[name]) for name in ("bf16_speedup", "ours_speedup", "nncf_speedup",
                                          "ort_speedup")),
        *(_interval(line[name]) for name in ("ours_over_nncf", "ours_over_ort")),
        *(_number(line[name], ".1f") for name in ("ours_sqnr_db", "nncf_sqnr_db", "ort_sqnr_db")),
        " / ".join(_number(one, ".1f") for one in line["agreement_pct"]),
        " / ".join(_number(one, ".2f") for one in line["top1_drop_pp"]),
        _counted(line["int8_products"]),
        line["plan"] or "-",
        *("-" if one is None else f"{one[0]}, {one[1]:.1f} MB" for one in engines),
        str(line["calibration_images"]),
        _number(line["other_load_pct"], ".0f"),
    ]  # fmt: skip


def _counted(products: Sequence[int | None] | None) -> str:
    if products is None:
        return "-"
    found, planned = products
    return f"{'?' if found is None else found} of {planned}"


def _times(ratio: Sequence[float] | None) -> str:
    return "-" if ratio is None else f"{ratio[0]:.2f}x"


def _interval(ratio: Sequence[float] | None) -> str:
    if ratio is None:
        return "-"
    if ratio[1] is None:
        return f"{ratio[0]:.2f}"
    return f"{ratio[0]:.2f} [{ratio[1]:.2f}, {ratio[2]:.2f}]"


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)
