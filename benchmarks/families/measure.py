"""One network: built by the command that users type, then beside other quantizers' graphs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.families.networks import Network
from benchmarks.peers.accuracy import evaluate
from benchmarks.peers.catalog import PEERS
from benchmarks.peers.produce import explain, last_line, produce
from benchmarks.peers.table import make_rows
from benchmarks.peers.task import Graph, prepare_task
from benchmarks.peers.timing import time_candidates
from edge_convnext.devices.bundle.graphs import published_hashes
from edge_convnext.networks.family import family_of_model
from edge_convnext.networks.recipe_file import resolve_recipe
from edge_convnext.report.contract import Report
from edge_convnext.runtimes.load import available_runtimes

__all__ = ["measure"]

_TOOL = "edge-convnext"
_PEERS = ("ort-static", "ort-static-u8s8-pre", "nncf-performance")
_BUILD_LIMIT_S = 3600


def measure(network: Network, data: Path, folder: Path, calibration: int, rounds: int) -> Any:
    """Build a network, quantize it with other tools, evaluate and time all of it.

    Args:
        network: Which.
        data: Labelled images; with random weights they calibrate and compare alone.
        folder: Folder for everything that is made; what is finished there is not made again.
        calibration: Number of calibration images, of every tool.
        rounds: Rounds of the timing.

    Returns:
        Facts and rows of the table as JSON; with `failed`, the build's last line, if it failed.
    """
    fields = {
        "model": network.model,
        "targets": ["cpu", "rtx"],
        "load.weights": network.weights,
        "data.source": str(data),
        "preprocess.image_size": network.image_size,
        "quantize.subset_size": calibration,
        "benchmark.rounds": rounds,
        "benchmark.threads": 1,
        **network.fields,
    }
    outside = family_of_model(network.model).outside
    if outside is not None:
        outside.consent(network.model)
    facts: dict[str, Any] = {
        "network": network.name, "model": network.model, "calibration_images": calibration
    }  # fmt: skip
    failed = _build(fields, folder)
    if failed is not None:
        return {**facts, "failed": failed}
    report = Report.read(folder / "out" / "report.json")
    task = prepare_task(resolve_recipe(None, fields), folder)
    peers = [peer for peer in PEERS if peer.name in _PEERS]
    graphs = [task.raw, *_ours(report, folder / "out")]
    graphs += [produce(peer, task, folder / "venvs") for peer in peers]
    candidates = evaluate(task, graphs)
    timings = time_candidates(task, candidates)
    facts["macs"] = task.inputs.weights.value.architecture.count_macs(network.image_size)
    return {**facts, **_facts(report), "other_load_pct": timings.other_load_pct,
            "rows": make_rows(graphs, candidates, timings)}  # fmt: skip


def _build(fields: dict[str, Any], folder: Path) -> str | None:
    """Run `edge-convnext build`, unless it was; why it failed, or None."""
    out, log = folder / "out", folder / "build.log"
    if (out / "report.json").is_file():
        return None
    folder.mkdir(parents=True, exist_ok=True)
    command = [
        str(Path(sys.executable).with_name(_TOOL)), "build", "--precision", "int8", "--quiet",
        "--model", fields["model"], "--weights", fields["load.weights"],
        "--data", fields["data.source"], "--image-size", str(fields["preprocess.image_size"]),
        "--calibration-size", str(fields["quantize.subset_size"]),
        "--threads", str(fields["benchmark.threads"]),
        # Its own race is at one batch size and short: the table's comes after it, of all tools.
        "--rounds", "6", "--batch", "1", "--out", str(out),
    ]  # fmt: skip
    if "data.labels" in fields:
        command += ["--labels", fields["data.labels"]]
    for target in fields["targets"]:
        command += ["--target", target]
    environment = {**os.environ, "EDGE_CONVNEXT_CACHE": str(folder / "cache")}
    try:
        done = subprocess.run(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, errors="replace", timeout=_BUILD_LIMIT_S,
            check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return f"still running after {_BUILD_LIMIT_S} s, so it was ended"
    log.write_text(done.stdout, encoding="utf-8")
    if done.returncode:
        return f"exit code {done.returncode}: {last_line(done.stdout)}"
    return None


def _ours(report: Report, out: Path) -> list[Graph]:
    """The INT8 file that the build ships for each runtime that has a correct one."""
    published = published_hashes(report)
    rows = report.benchmark.rows if report.benchmark else ()
    found = []
    for runtime in available_runtimes():
        own = [row for row in rows if row.runtime == runtime and row.precision == "int8"
               and row.file in published]  # fmt: skip
        if own:
            best = min(own, key=lambda row: row.latency_ms_p50)
            plan = ".".join(filter(None, (best.form, best.placement)))
            found.append(Graph(_TOOL, f"plan `{plan}`", out / best.file, None, None, (),
                               runtime, ours=True))  # fmt: skip
    return found


def _facts(report: Report) -> dict[str, Any]:
    """What the report says that no row does."""
    engines = [
        {"precision": one.precision, "batch": one.batch, "status": one.status,
         "reason": one.reason and explain(one.reason),
         **(one.engine.model_dump(mode="json") if one.engine else {})}
        for one in report.stage("engine").variants
    ]  # fmt: skip
    accuracy = report.accuracy
    return {
        "image_size": report.model.image_size,
        "params": report.model.params,
        "verdict": report.verdict.model_dump(mode="json"),
        "ours_by_the_report": accuracy and {
            "n_images": accuracy.n_images, "fp32_top1_pct": accuracy.fp32.top1_pct,
            "top1_drop_pp": accuracy.top1_drop_pp, "agreement_pct": accuracy.agreement_pct,
            "top1_drop_ci95_pp": accuracy.top1_drop_ci95_pp,
        },
        "int8_products": [one.model_dump(mode="json") for one in report.int8_products],
        "refused": [one.model_dump(mode="json") for one in report.refused],
        "engines": engines,
        "notes": list(report.notes),
    }  # fmt: skip
