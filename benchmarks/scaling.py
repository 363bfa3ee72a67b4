"""The scaling table: cost per image of INT8 and float by model, image size, batch and threads.

    python benchmarks/scaling.py --graphs-only      # any time; takes a while
    python benchmarks/scaling.py                    # on an idle machine

Weights are random and few images calibrate, which changes no latency. Per cell, everything that
`build` would race with the plans in force is estimated once; what is best of each kind is then
timed interleaved: raw FP32 in ONNX Runtime, and per runtime the best float and the best INT8. Of
the float forms only the raw one and those of the plans run. A cell that was measured on this
machine with these graphs is not measured again: the script may be stopped and started.
"""

from __future__ import annotations

import argparse
import gc
import json
import math
import os
import random
import statistics
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from edge_convnext.build.candidates import list_options, raw_reference
from edge_convnext.build.float_chain import fold_step
from edge_convnext.build.graphs import Graphs, add_form, add_plan
from edge_convnext.build.inputs import prepare_inputs
from edge_convnext.build.runner import Runner
from edge_convnext.core.cache import Cache, default_cache_folder
from edge_convnext.core.contention import other_load_pct, read_cpu_clock
from edge_convnext.core.intervals import median_interval
from edge_convnext.core.progress import untracked
from edge_convnext.core.recipe import Recipe
from edge_convnext.data.batches import image_batches
from edge_convnext.devices.doctor import environment
from edge_convnext.measure.candidates import Candidate
from edge_convnext.networks.plans import float_plan, plan_for
from edge_convnext.networks.recipe_file import resolve_recipe
from edge_convnext.runtimes import Runtime, RuntimeOptions
from edge_convnext.runtimes.load import available_runtimes, has_bf16, load_runtime

ROOT = Path(__file__).parents[1]
MODELS = ("atto", "femto", "pico", "nano", "tiny")
SIZES_PX = (128, 224, 288)
BATCHES = (1, 8, 32)
THREADS = (1, 2)
RAW = "raw"  # the role of the raw FP32 export in ONNX Runtime
_CALIBRATION_IMAGES = 4
_ROUNDS = (3, 20)  # fewest and most
_TURN_MS = 50.0  # a turn of fast models is several inferences
_NEARLY = 1.15  # slower than the best of a role at one batch size, it may lead at another
_ESTIMATE_MS = 200.0  # of inferences, to choose the best of a role
_WARM_BELOW_MS = 300.0  # slower ones need no untimed inference before a turn


@dataclass(frozen=True)
class Spread:
    """A ratio over rounds."""

    median: float
    low: float
    high: float
    exact: bool  # a 95 % interval; else, with few rounds, the smallest and the largest


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--models", nargs="+", default=MODELS)
    parser.add_argument("--sizes", nargs="+", type=int, default=SIZES_PX, help="pixels")
    parser.add_argument("--batches", nargs="+", type=int, default=BATCHES)
    parser.add_argument("--threads", nargs="+", type=int, default=THREADS)
    parser.add_argument("--seconds", type=float, default=5.0, help="of timing, per cell")
    parser.add_argument("--graphs-only", action="store_true", help="fill the cache, time nothing")
    parser.add_argument("--cells", type=Path, default=ROOT / "build" / "scaling.jsonl")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results")
    arguments = parser.parse_args()
    machine = environment()
    cache = Cache(default_cache_folder(os.environ))
    done = {cell["key"]: cell for cell in read_cells(arguments.cells)}
    wanted: list[dict[str, Any]] = []
    started = time.monotonic()
    for model in arguments.models:
        for size in arguments.sizes:
            options = make_options(_recipe(model, size), cache, machine["versions"])
            for threads in () if arguments.graphs_only else arguments.threads:
                known: dict[str, float] = {}
                for batch in sorted(arguments.batches):
                    cell = {"model": model, "image_size": size, "batch": batch, "threads": threads}
                    key = cell_key(cell, options, machine["fingerprint"])
                    if key not in done:
                        measured = measure_cell(options, size, batch, threads, arguments, known)
                        done[key] = {"key": key, **cell, **measured}
                        append_cell(arguments.cells, done[key])
                    wanted.append(done[key])
                    # What is far behind at one batch is at the next: no need to try all again.
                    known = leaders(options, done[key]["estimates_ms"], batch)
            sys.stderr.write(f"{model} {size} px: {time.monotonic() - started:.0f} s\n")
    if not wanted:
        return
    write_results(wanted, machine, arguments.out)


def make_options(recipe: Recipe, cache: Cache, versions: dict[str, str]) -> dict[str, Candidate]:
    """What a build of a recipe would race, by name, the raw reference first.

    Args:
        recipe: Of INT8 with random weights.
        cache: Finished stages.
        versions: Of the tools.
    """
    runner = Runner(cache, recipe, versions, untracked)
    inputs = prepare_inputs(recipe, cache, versions, untracked)
    assert inputs.calibration is not None
    samples = image_batches(inputs.calibration.images.samples, inputs.info, None)
    runtimes, graphs = available_runtimes(), Graphs()
    graphs.folded = fold_step(runner, inputs.weights, samples)
    add_form(runner, inputs, graphs, "raw", "fp32", samples, simplify=False)
    for runtime in runtimes:
        plan = plan_for(recipe, runtime)
        if float_plan(plan.form, "fp32") not in graphs.lineages:
            add_form(runner, inputs, graphs, plan.form, "fp32", samples)
        if plan not in graphs.lineages:
            add_plan(runner, graphs, plan, [runtime], samples, samples)
    raw = raw_reference(graphs)
    assert raw is not None
    options = [raw, *list_options(recipe, graphs, runtimes, has_bf16(runtimes))]
    return {option.name: option for option in options}


def measure_cell(
    options: Mapping[str, Candidate],
    size: int,
    batch: int,
    threads: int,
    arguments: argparse.Namespace,
    known: Mapping[str, float],
) -> dict[str, Any]:
    """Time one cell: the best option of each role, interleaved.

    Args:
        options: By name, the raw reference first.
        size: Of the images, pixels.
        batch: Images per inference.
        threads: CPU threads.
        arguments: Of the command line.
        known: Milliseconds per image of the options worth trying, from another batch size;
            empty: try all. Where it has one of each role, none is tried again.
    """
    images = np.random.default_rng(0).standard_normal((batch, 3, size, size)).astype(np.float32)
    estimates = {name: ms * batch for name, ms in known.items()}
    chosen_already = known and len({_role(options[name]) for name in known} | {RAW}) == len(known)
    for name in () if chosen_already else known or options:
        runtime = _load(options[name], batch, threads)
        first_ms = _infer_ms(runtime, images)
        slow = first_ms > _WARM_BELOW_MS
        tries = 1 if slow else max(3, min(10, math.ceil(_ESTIMATE_MS / first_ms)))
        times_ms = [first_ms] if slow else [_infer_ms(runtime, images) for _ in range(tries)]
        estimates[name] = min(times_ms)
        del runtime
        gc.collect()
    chosen = choose_roles(options, estimates)
    loaded = {name: _load(options[name], batch, threads) for name in set(chosen.values())}
    counts = {name: max(1, math.ceil(_TURN_MS / estimates[name])) for name in loaded}
    turn_s = sum((counts[name] + 1) * estimates[name] for name in loaded) / 1e3
    rounds = count_rounds(turn_s, arguments.seconds)
    times: dict[str, list[float]] = {name: [] for name in loaded}
    order, shuffle = sorted(loaded), random.Random(0).shuffle
    before = read_cpu_clock()
    for runtime in loaded.values():
        _infer_ms(runtime, images)
    for _ in range(rounds):
        shuffle(order)
        for name in order:
            if estimates[name] < _WARM_BELOW_MS:
                _infer_ms(loaded[name], images)
            turn = [_infer_ms(loaded[name], images) for _ in range(counts[name])]
            times[name].append(statistics.median(turn))
    load = other_load_pct(before, read_cpu_clock())
    roles = {
        role: {"name": name, "ms_per_image": statistics.median(times[name]) / batch}
        for role, name in chosen.items()
    }
    return {
        "roles": roles,
        "round_ms": {role: times[name] for role, name in chosen.items()},
        "estimates_ms": estimates,
        "rounds": rounds,
        "other_load_pct": load,
    }


def choose_roles(
    options: Mapping[str, Candidate], estimates: Mapping[str, float]
) -> dict[str, str]:
    """The fastest option of each role: `raw`, and `<runtime> float` and `<runtime> int8`.

    Args:
        options: By name, the raw reference first.
        estimates: Milliseconds of those that were tried, by name.
    """
    found = {RAW: next(iter(options))}
    for name in sorted(estimates, key=lambda name: estimates[name]):
        found.setdefault(_role(options[name]), name)
    return found


def leaders(
    options: Mapping[str, Candidate], estimates: Mapping[str, float], batch: int
) -> dict[str, float]:
    """Milliseconds per image of the raw reference and of what leads each role, or nearly."""
    raw = next(iter(options))
    best = {role: estimates[name] for role, name in choose_roles(options, estimates).items()}
    return {
        name: ms / batch
        for name, ms in estimates.items()
        if name == raw or ms <= _NEARLY * best[_role(options[name])]
    }


def count_rounds(round_s: float, limit_s: float) -> int:
    """How many rounds fit into a time limit, within what is useful."""
    few, many = _ROUNDS
    return min(many, max(few, int(limit_s / max(round_s, 1e-9))))


def compare(slow: Sequence[float], fast: Sequence[float]) -> Spread:
    """How many times faster, from paired rounds."""
    ratios = [before / after for before, after in zip(slow, fast, strict=True)]
    interval = median_interval(ratios)
    low, high = interval or (min(ratios), max(ratios))
    return Spread(statistics.median(ratios), low, high, interval is not None)


def summarize(cell: Mapping[str, Any]) -> dict[str, Any]:
    """Ratios of one cell: the best INT8, and each runtime's, against floats.

    Args:
        cell: With `roles` and `round_ms` by role.
    """
    rounds: Mapping[str, Sequence[float]] = cell["round_ms"]

    def best(kind: str) -> str:
        own = [role for role in rounds if role.endswith(kind)]
        return min(own, key=lambda role: cell["roles"][role]["ms_per_image"])

    int8, floating = best("int8"), best("float")
    runtimes = [role.removesuffix(" int8") for role in rounds if role.endswith("int8")]
    return {
        "best_int8": int8,
        "best_float": floating,
        "vs_raw": asdict(compare(rounds[RAW], rounds[int8])),
        "vs_best_float": asdict(compare(rounds[floating], rounds[int8])),
        "vs_float_of_runtime": {
            name: asdict(compare(rounds[f"{name} float"], rounds[f"{name} int8"]))
            for name in runtimes
        },
    }


def find_losses(cells: Iterable[Mapping[str, Any]], runtime: str | None = None) -> list[str]:
    """Cells where INT8 is not faster than the best float beyond the spread.

    Args:
        cells: With their `summary`.
        runtime: Compare within one; None: the best of all with the best of all.
    """
    found = []
    for cell in cells:
        summary = cell["summary"]
        within = summary["vs_float_of_runtime"]
        if runtime is not None and runtime not in within:
            continue
        spread = summary["vs_best_float"] if runtime is None else within[runtime]
        if spread["low"] <= 1.0:
            found.append(_title(cell))
    return found


def render(cells: Sequence[Mapping[str, Any]]) -> str:
    """The table as Markdown, and where INT8 stops paying."""
    runtimes = sorted({name for cell in cells for name in cell["summary"]["vs_float_of_runtime"]})
    head = ["model", "px", "batch", "threads", "raw FP32", "best float"]
    head += [f"INT8 {runtime}" for runtime in runtimes]
    head += ["raw / INT8", "best float / INT8"]
    head += [f"float / INT8 in {runtime}" for runtime in runtimes]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for cell in cells:
        roles, summary = cell["roles"], cell["summary"]
        floating = roles[summary["best_float"]]
        row = [cell["model"], cell["image_size"], cell["batch"], cell["threads"]]
        row += [f"{roles[RAW]['ms_per_image']:.2f}"]
        row += [f"{floating['ms_per_image']:.2f} ({_short(floating['name'])})"]
        for runtime in runtimes:
            own = roles.get(f"{runtime} int8")
            row.append(f"{own['ms_per_image']:.2f} ({_short(own['name'])})" if own else "-")
        row += [_ratio(summary["vs_raw"]), _ratio(summary["vs_best_float"])]
        within = summary["vs_float_of_runtime"]
        row += [_ratio(within[runtime]) if runtime in within else "-" for runtime in runtimes]
        lines.append("| " + " | ".join(map(str, row)) + " |")
    lines += ["", "Columns without a ratio are milliseconds per image. *: smallest and largest of"]
    lines += ["fewer than 6 rounds instead of a 95 % interval.", ""]
    for label, runtime in [("any runtime", None), *((name, name) for name in runtimes)]:
        losses = find_losses(cells, runtime)
        said = "; ".join(losses) or "nowhere"
        lines.append(f"INT8 not faster than the best float ({label}), of {len(cells)}: {said}.")
        lines.append("")
    return "\n".join(lines)


def cell_key(cell: Mapping[str, Any], options: Mapping[str, Candidate], machine: str) -> str:
    """What a measurement depends on."""
    graphs = {name: option.digest for name, option in options.items()}
    return json.dumps([cell, graphs, machine], sort_keys=True)


def read_cells(path: Path) -> list[dict[str, Any]]:
    """Cells measured so far; a last line that was cut off is left out."""
    if not path.is_file():
        return []
    cells = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            cells.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return cells


def append_cell(path: Path, cell: Mapping[str, Any]) -> None:
    """Keep one cell, as one line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(cell) + "\n")


def write_results(
    cells: Sequence[Mapping[str, Any]], machine: Mapping[str, Any], folder: Path
) -> None:
    """Write `<date>-scaling.json` and `.md`."""
    date = datetime.now(timezone.utc).date().isoformat()
    kept = [
        {**{name: value for name, value in cell.items() if name != "key"}, "summary": summary}
        for cell, summary in ((cell, summarize(cell)) for cell in cells)
    ]
    loads = [cell["other_load_pct"] or 0.0 for cell in cells]
    result = {"date": date, "environment": machine, "cells": kept}
    target = folder / f"{date}-scaling.json"
    target.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    busy = f"Other programs took {max(loads):.0f} % of the CPU at most."
    text = f"# Scaling, {date}\n\n{render(kept)}\n{busy}\n"
    target.with_suffix(".md").write_text(text, encoding="utf-8")
    sys.stderr.write(f"{target}\n")


def _recipe(model: str, size: int) -> Recipe:
    return resolve_recipe(
        None,
        {
            "model": model,
            "targets": ["cpu"],
            "load.weights": "random",
            "preprocess.image_size": size,
            "quantize.subset_size": _CALIBRATION_IMAGES,
            "quantize.activations_range_estimator": "minmax",
            "equalize.alpha": 0.5,  # the same graph as the best one, without the search
        },
    )


def _load(option: Candidate, batch: int, threads: int) -> Runtime:
    return load_runtime(
        option.runtime, option.model.path, RuntimeOptions(threads, batch, option.hint)
    )


def _role(option: Candidate) -> str:
    return f"{option.runtime} {'int8' if option.model.precision == 'int8' else 'float'}"


def _infer_ms(runtime: Runtime, images: np.ndarray[Any, np.dtype[np.float32]]) -> float:
    start = time.perf_counter_ns()
    runtime.infer(images)
    return (time.perf_counter_ns() - start) / 1e6


def _title(cell: Mapping[str, Any]) -> str:
    return "{model} {image_size} px batch {batch} {threads} threads".format(**cell)


def _short(name: str) -> str:
    file, runtime, hint = name.split(" ")
    short = {"onnxruntime": "ORT", "openvino": "OV"}.get(runtime, runtime)
    return f"{file.split('.')[0]} {short} {hint}"


def _ratio(spread: Mapping[str, Any]) -> str:
    mark = "" if spread["exact"] else "*"
    return f"{spread['median']:.2f} [{spread['low']:.2f}, {spread['high']:.2f}]{mark}"


if __name__ == "__main__":
    main()
