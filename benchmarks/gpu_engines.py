"""Engines for `gpu.py`: classic TensorRT built and raced here, and TensorRT for RTX tried."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from gpu_graphs import Item, Kind, finish, read_images
from gpu_timing import Contender, Results, race, trace

from edge_convnext.core.artifacts import OnnxModel, Precision
from edge_convnext.core.metrics import compare_logits
from edge_convnext.core.sections import EngineConfig
from edge_convnext.runtimes import RuntimeOptions
from edge_convnext.runtimes.tensorrt import TensorRtConfig, build_engine
from edge_convnext.runtimes.tensorrt.runner import EngineRunner
from edge_convnext.runtimes.tensorrt.sidecar import sidecar_path

_SHOWN = ("build_seconds", "kernels", "int8_kernels", "activation_bytes", "weight_bytes")


@dataclass(frozen=True)
class Job:
    """One engine to build and race."""

    model: str
    batch: int
    item: Item
    precision: Precision
    variant: str = ""

    @property
    def label(self) -> str:
        """Of files."""
        tail = f".{self.variant}" if self.variant else ""
        return f"{self.model}.b{self.batch}.{self.item.label}.{self.precision}{tail}"


def list_jobs(model: str, batch: int, *, few: bool) -> list[Job]:
    """Engines of one model and batch, the most telling first."""
    one = batch == 1
    weights = "weights" if one else "product"
    late = Item("late_mixed" if one else "late_product_mixed", "blocks")
    wanted: list[tuple[Item, Precision, str]] = [
        (Item("linear"), "fp16", ""),
        (Item("linear", "pointwise"), "int8", ""),
        (Item("raw"), "fp16", ""),
        (Item("mixed", "blocks"), "int8", ""),
        (Item("linear", "blocks"), "int8", ""),
    ]
    if not few:
        wanted += [
            (Item("mixed"), "fp16", ""),
            # The fewest kernels and bytes in TensorRT for RTX, and the slowest in 8.6.
            (Item(f"{weights}_expand"), "fp16", ""),  # type: ignore[arg-type]
            (late, "int8", ""),
            (Item(f"{weights}_mixed", "late_blocks"), "int8", ""),  # type: ignore[arg-type]
            (Item("expand"), "fp16", ""),
            (Item("raw"), "fp16", "narrow"),  # reductions in float16 where TensorRT likes
            (Item("mixed", "blocks"), "int8", "narrow"),
            (Item("raw"), "fp32", ""),
        ]
    return [Job(model, batch, item, precision, variant) for item, precision, variant in wanted]


def measure_classic(
    results: Results,
    graphs: Path,
    scratch: Path,
    groups: Sequence[tuple[str, int]],
    config: TensorRtConfig,
    jobs: int,
    rounds: int,
    build_s: float,
) -> None:
    """Build each group's engines, some at a time, and race them when all are there.

    The first two groups come first, with the most telling engines; then once more with all.
    """
    first = [(*group, True) for group in groups[:2]] + [(*group, False) for group in groups[:2]]
    built: dict[Job, dict[str, Any]] = {}
    for model, batch, few in [*first, *((*group, True) for group in groups[2:])]:
        name = f"{model} b{batch}{'' if few else ', all forms'}"
        if results.left_s() < 45:
            results.add("left_out", [f"{name}: out of time"])
            continue
        wanted = list_jobs(model, batch, few=few)
        missing = [job for job in wanted if job not in built]
        with results.step(f"build {name}"):
            with ThreadPoolExecutor(jobs) as pool:
                build = partial(_build, results, graphs, scratch, config, build_s)
                built |= dict(zip(missing, pool.map(build, missing), strict=True))
            results.add("builds", [built[job] for job in missing])
        with results.step(f"race {name}"):
            ready = [job for job in wanted if "error" not in built.get(job, {"error": ""})]
            rows = _race(ready, built, graphs, scratch, rounds)
            results.add("rows", [{**row, "race": name} for row in rows])


def _build(
    results: Results,
    graphs: Path,
    scratch: Path,
    config: TensorRtConfig,
    build_s: float,
    job: Job,
) -> dict[str, Any]:
    row: dict[str, Any] = {**asdict(job), "label": job.label, "runtime": "tensorrt"}
    left = results.left_s()
    if left < 30:
        return {**row, "error": "not built: out of time"}
    start = time.monotonic()
    try:
        onnx = scratch / f"{job.label}.onnx"
        finish(graphs, job.model, job.batch, job.item, "opset17", onnx)
        chosen = replace(
            config,
            wide_reductions=job.variant != "narrow",
            max_batch=max(job.batch, config.max_batch),
            timeout_s=max(20.0, min(build_s, left - 20)),
        )
        engine = build_engine(onnx, scratch / f"{job.label}.engine", chosen, job.precision)
        facts = json.loads(sidecar_path(engine.path).read_text())
        layers = facts.pop("kernel_table")
        facts.pop("model", None)
        row["sidecar"] = facts
        row["layers"] = [
            {key: layer[key] for key in ("name", "kind", "nodes", "activation_bytes")}
            | {
                "in": [t["dtype"] for t in layer["inputs"]],
                "out": [t["dtype"] for t in layer["outputs"]],
            }
            for layer in layers
        ]
        row["engine_bytes"] = engine.path.stat().st_size
        onnx.unlink()
    except Exception as error:
        row["error"] = trace(error)
    row["seconds"] = time.monotonic() - start
    return row


def _race(
    jobs: Sequence[Job],
    built: dict[Job, dict[str, Any]],
    graphs: Path,
    scratch: Path,
    rounds: int,
) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    contenders: list[Contender] = []
    runners: list[EngineRunner] = []
    for job in jobs:
        facts: dict[str, Any] = {
            "model": job.model,
            "batch": job.batch,
            "form": job.item.form,
            "placement": job.item.placement,
            "precision": job.precision,
            "variant": job.variant,
            "engine_bytes": built[job].get("engine_bytes"),
            **{key: built[job].get("sidecar", {}).get(key) for key in _SHOWN},
        }
        try:
            runner = EngineRunner(scratch / f"{job.label}.engine", RuntimeOptions(batch=job.batch))
            runners.append(runner)
            contenders.append(make_contender(runner, job.model, job.batch, facts, graphs))
        except Exception as error:
            rows.append({**facts, "error": trace(error)})
    rows += race(contenders, rounds)
    for runner in runners:
        runner.close()
    return rows


def make_contender(
    runner: EngineRunner, model: str, batch: int, facts: dict[str, Any], graphs: Path
) -> Contender:
    """An engine that is ready to race, compared with the float logits beforehand."""
    images = read_images(graphs)
    facts = {**facts, **_compare(runner, images, graphs / f"{model}.logits.npy")}
    info = runner.describe()
    facts["runtime"] = f"{info.name} {info.version}"
    facts["options"] = dict(info.options)
    shown = np.resize(images, (batch, *images.shape[1:]))
    return Contender(
        facts, lambda count: runner.time_launches(batch, count), lambda: runner.infer(shown)
    )


def _compare(runner: EngineRunner, images: Any, reference: Path) -> dict[str, Any]:
    try:
        logits = runner.infer(images)
        if not reference.is_file():
            return {"finite": bool(np.isfinite(logits).all())}
        parity = compare_logits(np.load(reference), logits)
        return {"finite": bool(np.isfinite(logits).all()), "parity": asdict(parity)}
    except Exception as error:
        return {"parity_error": trace(error)}


def try_features(results: Results, graphs: Path, scratch: Path, config: TensorRtConfig) -> None:
    """What else a build can be asked for, on atto: each on its own, with what came of it."""
    images = read_images(graphs)
    linear, pointwise = Item("linear"), Item("linear", "pointwise")

    def attempt(
        name: str, settings: TensorRtConfig, item: Item, precision: Precision,
        batch: int | str = 1, sizes: Sequence[int] = (1,), pixels: bool = False,
    ) -> None:  # fmt: skip
        if results.left_s() < 40:
            results.add("left_out", [f"{name}: out of time"])
            return
        with results.step(name):
            onnx, engine = scratch / f"{name}.onnx", scratch / f"{name}.engine"
            kind: Kind = "plain" if pixels else "opset17"
            finish(graphs, "atto", batch, item, kind, onnx)
            if pixels:
                _take_pixels(onnx, item)
            chosen = replace(settings, timeout_s=max(20.0, results.left_s() - 20))
            start = time.monotonic()
            build_engine(onnx, engine, chosen, precision)
            row: dict[str, Any] = {"name": name, "build_seconds": time.monotonic() - start}
            row["notes"] = json.loads(sidecar_path(engine).read_text())["notes"]
            runner = EngineRunner(engine)
            row["parity"] = _compare(runner, images, graphs / "atto.logits.npy")
            row["gpu_ms"] = {
                size: float(np.median(runner.time_launches(size, 50))) for size in sizes
            }
            row["described"] = asdict(runner.describe())
            runner.close()
            results.add("features", [row])

    attempt("timing_cache_again", config, pointwise, "int8")
    attempt(
        "dynamic_batch",
        replace(config, opt_batch=1, max_batch=8),
        linear,
        "fp16",
        "dynamic",
        (1, 4, 8),
    )
    attempt("version_compatible", replace(config, version_compatible=True), linear, "fp16")
    attempt("hardware_compatible", replace(config, hardware_compatible=True), linear, "fp16")
    attempt("workspace_64_mib", replace(config, workspace_mib=64), linear, "fp16")
    attempt("pixels", config, linear, "fp16", 1, (1,), True)
    for level in (0, 1, 2, 3, 4, 5):
        fresh = replace(config, optimization_level=level, timing_cache=None)
        attempt(f"level_{level}", fresh, pointwise, "int8")
    with results.step("refusals"):
        results.put("refusals", _refuse(scratch / "dynamic_batch.engine"))


def _take_pixels(onnx: Path, item: Item) -> None:
    from edge_convnext.stages.to_opset17 import use_opset_17
    from edge_convnext.stages.to_uint8_images import use_uint8_images

    model = OnnxModel(onnx, "fp32", item.form, item.placement)
    use_opset_17(use_uint8_images(model, onnx), onnx)


def _refuse(engine: Path) -> dict[str, str]:
    """A changed engine is refused before TensorRT reads it."""
    changed = engine.with_name("changed.engine")
    changed.write_bytes(engine.read_bytes()[:-1] + b"\0\0")
    sidecar_path(changed).write_bytes(sidecar_path(engine).read_bytes())
    try:
        EngineRunner(changed)
    except Exception as error:
        return {"changed": str(error)}
    return {"changed": "was not refused"}


def measure_rtx(
    results: Results,
    graphs: Path,
    scratch: Path,
    groups: Sequence[tuple[str, int]],
    rounds: int,
) -> None:
    """Ask the library for which capability it runs here, and race its engines if it does."""
    usable: list[str] = []
    for capability in ("current", "8.0", "8.6", "8.9", "12.0"):
        row: dict[str, Any] = {"capability": capability}
        with results.step(f"rtx {capability}"):
            try:
                path = _build_rtx(
                    graphs, scratch, Job("atto", 1, Item("linear"), "fp16"), capability
                )
                row["built_bytes"] = path.stat().st_size
                runner = EngineRunner(path, check=False)
                row["gpu_ms"] = float(np.median(runner.time_launches(1, 50)))
                runner.close()
                usable.append(capability)
            except Exception as error:
                row["error"] = trace(error)
        results.add("capabilities", [row])
    if not usable:
        return
    for model, batch in groups:
        if results.left_s() < 30:
            results.add("left_out", [f"rtx {model} b{batch}: out of time"])
            continue
        with results.step(f"rtx race {model} b{batch}"):
            results.add("rows", _race_rtx(model, batch, usable[0], graphs, scratch, rounds))


def _race_rtx(
    model: str, batch: int, capability: str, graphs: Path, scratch: Path, rounds: int
) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    contenders, runners = [], []
    for job in list_jobs(model, batch, few=False):
        if job.variant or job.precision == "fp32":
            continue
        facts: dict[str, Any] = {
            "model": model, "batch": batch, "form": job.item.form,
            "placement": job.item.placement, "precision": job.precision,
        }  # fmt: skip
        try:
            path = _build_rtx(graphs, scratch, job, capability)
            plan = json.loads(sidecar_path(path).read_text())
            for key in ("kernels", "int8_kernels", "activation_bytes", "weight_bytes"):
                facts[key] = plan[key]
            runner = EngineRunner(path, RuntimeOptions(batch=batch), check=False)
            runners.append(runner)
            contenders.append(make_contender(runner, model, batch, facts, graphs))
        except Exception as error:
            rows.append({**facts, "error": trace(error)})
    rows += race(contenders, rounds)
    for runner in runners:
        runner.close()
    return rows


def _build_rtx(graphs: Path, scratch: Path, job: Job, capability: str) -> Path:
    from edge_convnext.runtimes.tensorrt.rtx_builder import build_rtx_engine

    onnx = scratch / f"rtx.{job.label}.onnx"
    finish(graphs, job.model, job.batch, job.item, "typed", onnx)
    quantized = count_quantized(graphs, job)
    graph = OnnxModel(onnx, job.precision, job.item.form, job.item.placement, quantized)
    config = EngineConfig(compute_capabilities=(capability,))
    output = scratch / f"rtx.{job.label}.{capability}.engine"
    return build_rtx_engine(graph, config, output).path


def count_quantized(graphs: Path, job: Job) -> int:
    """Quantized operations of a graph, as `prepare` wrote them down."""
    rows = json.loads((graphs / "manifest.json").read_text())["graphs"]
    batch = 1 if job.batch == 1 else 8
    wanted = (job.model, batch, job.item.form, job.item.placement)
    keys = ("model", "batch", "form", "placement")
    return next(row["quantized_ops"] for row in rows if tuple(map(row.get, keys)) == wanted)
