"""The cost model of `edge-convnext tune --target rtx`: what it ranks first, and if it is right.

    python benchmarks/cost_model.py rank [--models atto pico] [--batches 1 8] [--devices …]
    python benchmarks/cost_model.py compare MEASURED.json --gpu h100 [--out FILE.json]

`rank` needs no GPU, times nothing, and writes `benchmarks/results/<date>-gpu-cost-model.json` and
`.md`. `compare` takes times that a GPU measured, a list of

    {"model", "batch", "precision", "form", "placement", "gpu_ms_p50", "kernels" (optional)}

and prints both orders of each model and batch, their rank correlation, and the regret: what the
model's pick takes longer than the fastest. `kernels` is a `kernel_table` as engines have it in the
JSON file beside them; without it the plan is compiled here, by TensorRT for RTX. A file with such
a list under "rows" serves too, and `gpu_ms: {"p50": …}` for the time. Of several variants of one
plan the fastest counts.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from edge_convnext.build.tuning.cost_fit import compare_rankings, fit
from edge_convnext.build.tuning.cost_model import Calibration, Gpu, cost_plan, find_model_gpu
from edge_convnext.build.tuning.gpu_files import GpuTuneReport
from edge_convnext.build.tuning.gpu_search import GpuSearch
from edge_convnext.build.tuning.gpu_tune import plan_capability, prepare_batch, tune_gpu
from edge_convnext.build.tuning.space import gpu_plan
from edge_convnext.core.cache import Cache, default_cache_folder
from edge_convnext.core.files import write_text_atomic
from edge_convnext.core.progress import untracked
from edge_convnext.core.recipe import Recipe
from edge_convnext.devices.doctor import environment
from edge_convnext.networks.recipe_file import resolve_recipe
from edge_convnext.runtimes.tensorrt.builder_log import Kernel
from edge_convnext.runtimes.tensorrt.kernel_table import kernels_from_rows

RESULTS = Path(__file__).parent / "results"
DEVICES = ("orin-nano-8gb", "agx-orin-64gb", "rtx-4090")
IMAGE_SIZE = 224
# Not in the table of devices: TensorRT for RTX has no engines for them. Recalled, unverified.
_RECALLED = ("bandwidth", "INT8 peak", "FP32 peak", "L2")
OTHERS = {
    "h100": Gpu("H100 SXM", "9.0", 3350.0, 1979.0, 67.0, 50.0, _RECALLED),
    "h200": Gpu("H200", "9.0", 4800.0, 1979.0, 67.0, 50.0, _RECALLED),
}
_SHOWN = 3
_KEPT = ("kernels", "activation_bytes", "weight_bytes", "memory_bytes", "ops", "modelled_ms")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    commands = parser.add_subparsers(dest="command", required=True)
    ranking = commands.add_parser("rank")
    ranking.add_argument("--models", nargs="+", default=["atto", "pico"])
    ranking.add_argument("--batches", nargs="+", type=int, default=[1, 8])
    ranking.add_argument("--devices", nargs="+", default=list(DEVICES))
    ranking.add_argument("--out", type=Path, default=RESULTS)
    comparing = commands.add_parser("compare")
    comparing.add_argument("measured", type=Path)
    comparing.add_argument("--gpu", required=True, help=f"{', '.join(OTHERS)}, or a listed device")
    comparing.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    if arguments.command == "rank":
        write_ranking(arguments.models, arguments.batches, arguments.devices, arguments.out)
        return
    rows = json.loads(arguments.measured.read_text(encoding="utf-8"))
    gpu = OTHERS.get(arguments.gpu) or find_model_gpu(arguments.gpu, None)
    result = compare(rows if isinstance(rows, list) else rows["rows"], gpu)
    print(render_comparison(result))
    if arguments.out:
        arguments.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def write_ranking(
    models: Sequence[str], batches: Sequence[int], devices: Sequence[str], folder: Path
) -> None:
    """Search for every model and device, and write what came first."""
    cache = Cache(default_cache_folder(os.environ))
    machine = environment()
    date = datetime.now(timezone.utc).date().isoformat()
    target = folder / f"{date}-gpu-cost-model.json"
    folder.mkdir(parents=True, exist_ok=True)
    reports = []
    for model in models:
        for device in devices:
            gpu = find_model_gpu(device, None)
            recipe = recipe_of(model)
            sys.stderr.write(f"{model} on {device}\n")
            found = tune_gpu(recipe, gpu, batches, cache, every=True)
            reports.append(shorten(GpuTuneReport(recipe, found, {}).to_json()))
        # A search takes minutes: what one model gave is kept if the next is interrupted.
        result = {"date": date, "timed": False, "environment": machine, "searches": reports}
        write_text_atomic(target, json.dumps(result, indent=1) + "\n")
        write_text_atomic(target.with_suffix(".md"), render_ranking(reports))
        sys.stderr.write(f"{target}\n")


def shorten(report: Mapping[str, Any]) -> dict[str, Any]:
    """A search with one line of figures for each plan that is no candidate."""
    trials = [
        {
            **{key: row[key] for key in ("precision", "batch", "form", "placement", "reason")},
            **{key: row["cost"][key] for key in _KEPT if row["cost"]},
        }
        for row in report["trials"]
    ]
    return {**report, "trials": trials}


def recipe_of(model: str) -> Recipe:
    """Random weights: no plan and no time of the model depends on them."""
    stated = {"model": model, "load.weights": "random", "preprocess.image_size": IMAGE_SIZE}
    return resolve_recipe(None, stated)


def compare(rows: Sequence[Mapping[str, Any]], gpu: Gpu) -> dict[str, Any]:
    """Set the model against measured plans: as assumed, fitted on them, and on other models."""
    known = select(rows)
    plans = [_kernels_of(row) for row in known]
    times = [_time_ms(row) for row in known]
    fitted = fit(plans, times, gpu) if len(plans) > 3 else None
    groups = []
    for model, batch in dict.fromkeys((row["model"], row["batch"]) for row in known):
        own = [at for at, row in enumerate(known) if (row["model"], row["batch"]) == (model, batch)]
        rest = [at for at, row in enumerate(known) if row["model"] != model]
        if len(own) < 2:
            continue
        held_out = (
            fit([plans[at] for at in rest], [times[at] for at in rest], gpu)
            if len(rest) > 3
            else None
        )
        measured = [times[at] for at in own]
        modelled = {
            name: [cost_plan(plans[at], gpu, one).modelled_ms for at in own]
            for name, one in (
                ("assumed", Calibration()), ("fitted", fitted), ("held out", held_out)
            )
            if one is not None
        }  # fmt: skip
        groups.append(
            {
                "model": model,
                "batch": batch,
                "plans": [_label(known[at]) for at in own],
                "measured_ms": measured,
                "modelled_ms": modelled,
                "agreement": {
                    name: asdict(compare_rankings(ours, measured))
                    for name, ours in modelled.items()
                },
            }
        )
    calibration = asdict(fitted) if fitted else None
    return {"gpu": asdict(gpu), "skipped": len(rows) - len(known), "fitted": calibration,
            "groups": groups}  # fmt: skip


def select(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Rows that were timed and have a plan that can be modelled: each plan once."""
    best: dict[tuple[Any, ...], Mapping[str, Any]] = {}
    for row in rows:
        precision = "int8" if row.get("placement") else "fp16"
        if _time_ms(row) is None or not row.get("form") or row.get("precision") != precision:
            continue
        if not isinstance(row["batch"], int):
            continue
        key = tuple(row.get(name) for name in ("model", "batch", "form", "placement"))
        if key not in best or _time_ms(row) < _time_ms(best[key]):
            best[key] = row
    return list(best.values())


def _time_ms(row: Mapping[str, Any]) -> Any:
    """GPU time of one inference; None for a plan that failed."""
    if "gpu_ms_p50" in row:
        return row["gpu_ms_p50"]
    found = row.get("gpu_ms")
    return found["p50"] if isinstance(found, dict) else found


def _kernels_of(row: Mapping[str, Any]) -> tuple[Kernel, ...]:
    """From the row, or compiled here; weights are random, which changes no plan."""
    if isinstance(row.get("kernels"), list):  # a count stands there too
        return kernels_from_rows(row["kernels"])
    cache, machine = Cache(default_cache_folder(os.environ)), environment()
    batch = int(row["batch"])
    prepared = prepare_batch(recipe_of(row["model"]), batch, cache, machine["versions"], untracked)
    gpu = find_model_gpu("rtx-3090", None)  # of the plans' compute capability; not costed here
    capability = plan_capability(gpu.capability)
    search = GpuSearch(prepared, gpu, Calibration(), capability, machine["fingerprint"])
    return search.read_plan(gpu_plan(row["form"], row.get("placement"), batch))


def _label(row: Mapping[str, Any]) -> str:
    return " ".join(filter(None, (row["precision"], row["form"], row.get("placement"))))


def render_comparison(result: Mapping[str, Any]) -> str:
    """Both orders of each group, with correlations and regret."""
    lines = [f"{result['gpu']['name']}; {result['skipped']} rows without a plan left out"]
    if result["fitted"]:
        one = result["fitted"]
        shares = [f"{100 * one[name]:.0f} %" for name in ("bandwidth_share", "peak_share")]
        lines.append(
            f"fitted: launch {one['launch_us']:.2f} us, {shares[0]} of the bandwidth, "
            f"{shares[1]} of the peak"
        )
    for group in result["groups"]:
        lines.append(f"\n{group['model']}, batch {group['batch']}\n")
        names = list(group["modelled_ms"])
        lines.append("| plan | measured ms (rank) | " + " | ".join(f"{n} ms (rank)" for n in names))
        lines.append("|---|---|" + "---|" * len(names))
        columns = [group["measured_ms"], *(group["modelled_ms"][name] for name in names)]
        ranks = [_ranks(column) for column in columns]
        for at in sorted(range(len(group["plans"])), key=lambda at: ranks[0][at]):
            cells = [
                f"{column[at]:.3f} ({rank[at]})"
                for column, rank in zip(columns, ranks, strict=True)
            ]
            lines.append(f"| {group['plans'][at]} | " + " | ".join(cells) + " |")
        for name, one in group["agreement"].items():
            rho, tau = _number(one["spearman"]), _number(one["kendall"])
            lines.append(
                f"\n{name}: Spearman {rho}, Kendall {tau}, regret {one['regret_pct']:.1f} %, "
                f"of the first three {one['raced_regret_pct']:.1f} %"
            )
    return "\n".join(lines) + "\n"


def render_ranking(reports: Sequence[Mapping[str, Any]]) -> str:
    """The first plans of each search as a Markdown table."""
    head = ["model", "device", "batch", "", "form", "INT8", "kernels", "MB", "GOP", "modelled ms"]
    head += ["launch / bytes / ops %", "SQNR dB"]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for report in reports:
        for row in report["candidates"]:
            if row["rank"] > _SHOWN:
                continue
            cost, parity = row["cost"], row["parity"]
            sqnr = f"{parity['sqnr_db']:.1f}" if parity and parity["sqnr_db"] else "-"
            cells = [
                report["model"].removeprefix("convnextv2_"), report["device"]["name"],
                row["batch"], row["rank"], row["form"], row["placement"] or "-", cost["kernels"],
                f"{(cost['activation_bytes'] + cost['weight_bytes']) / 1e6:.1f}",
                f"{cost['ops'] / 1e9:.2f}", f"{cost['modelled_ms']:.3f}",
                " / ".join(f"{share:.0f}" for share in cost["shares_pct"].values()), sqnr,
            ]  # fmt: skip
            lines.append("| " + " | ".join(map(str, cells)) + " |")
    notes = list(dict.fromkeys(report["note"] for report in reports))
    assumed = reports[0]["calibration"]
    notes.append(
        f"{IMAGE_SIZE} px, random weights, float16 images and logits. Assumed: "
        f"{assumed['launch_us']:g} us a launch, {100 * assumed['bandwidth_share']:.0f} % of the "
        f"bandwidth, {100 * assumed['peak_share']:.0f} % of the peaks, an L2 cache "
        f"{assumed['l2_speedup']:g} times as fast as memory. SQNR: INT8 against its float graph, "
        "in ONNX Runtime, on the calibration images."
    )
    return "\n".join(lines) + "\n\n" + "\n\n".join(notes) + "\n"


def _ranks(values: Sequence[float]) -> list[int]:
    order = sorted(range(len(values)), key=lambda at: values[at])
    return [order.index(at) + 1 for at in range(len(values))]


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


if __name__ == "__main__":
    main()
