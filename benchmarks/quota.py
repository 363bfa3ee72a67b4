"""What a CPU quota does to a built model: threads by what is visible, and by what is granted.

    python -m benchmarks.quota build/atto-int8/model.int8.onnx --out benchmarks/results

Puts this process into a control group of version 1 that grants one CPU (`docker --cpus 1`), and
times each runtime at batch 1 with as many threads as there are visible cores and with as many as
the quota grants (`core.quotas.usable_cores`), in turn. Needs root, and a writable
`/sys/fs/cgroup/cpu`.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from edge_convnext.core.files import write_text_atomic
from edge_convnext.core.image_size import sides_of
from edge_convnext.core.quotas import read_throttling, throttled_since, usable_cores
from edge_convnext.devices.doctor import environment
from edge_convnext.runtimes import RuntimeOptions
from edge_convnext.runtimes.load import load_runtime
from edge_convnext.runtimes.metadata import read_metadata

GROUP = Path("/sys/fs/cgroup/cpu/edge-convnext-quota")
PERIOD_US = 100_000  # what Docker and Kubernetes set
ROUNDS, ROUND_S = 5, 4.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    options = parser.parse_args()
    info = read_metadata(options.model).info
    size = info.preprocess.image_size
    images = np.random.default_rng(0).normal(size=(1, info.in_channels, *sides_of(size)))
    visible = len(os.sched_getaffinity(0))
    with one_cpu():
        granted = usable_cores()
        rows = [
            {"runtime": runtime, "threads": threads, **found}
            for runtime in ("onnxruntime", "openvino")
            for threads, found in race(runtime, options.model, images.astype(np.float32),
                                       (visible, granted)).items()
        ]  # fmt: skip
    result = {
        "created": date.today().isoformat(),
        "command": f"python -m benchmarks.quota {options.model.name}",
        "cpu": environment()["cpu_model"],
        "model": info.model,
        "image_size": size,
        "visible_cores": visible,
        "quota_cpus": 1,
        "rounds": ROUNDS,
        "rows": rows,
    }
    path = options.out / f"{result['created']}-quota.json"
    write_text_atomic(path, json.dumps(result, indent=1) + "\n")
    for row in rows:
        print(json.dumps(row))


@contextlib.contextmanager
def one_cpu() -> Iterator[None]:
    """Run this process under a quota of one CPU."""
    GROUP.mkdir(exist_ok=True)
    (GROUP / "cpu.cfs_period_us").write_text(str(PERIOD_US))
    (GROUP / "cpu.cfs_quota_us").write_text(str(PERIOD_US))
    (GROUP / "cgroup.procs").write_text(str(os.getpid()))
    try:
        yield
    finally:
        (GROUP.parent / "cgroup.procs").write_text(str(os.getpid()))
        GROUP.rmdir()


def race(
    runtime: str, model: Path, images: np.ndarray, counts: tuple[int, ...]
) -> dict[int, dict[str, Any]]:
    """Latencies by number of threads, the rounds of each in turn."""
    loaded = {n: load_runtime(runtime, model, RuntimeOptions(threads=n, batch=1)) for n in counts}
    latencies: dict[int, list[float]] = {n: [] for n in counts}
    throttled = dict.fromkeys(counts, 0)
    rates: dict[int, list[float]] = {n: [] for n in counts}
    for _ in range(ROUNDS):
        for threads, one in loaded.items():
            for _ in range(3):
                one.infer(images)
            before, started, n = read_throttling(), time.perf_counter(), 0
            while (now := time.perf_counter()) < started + ROUND_S:
                one.infer(images)
                latencies[threads].append((time.perf_counter() - now) * 1e3)
                n += 1
            rates[threads].append(n / (time.perf_counter() - started))
            throttled[threads] += throttled_since(before) or 0
    return {
        threads: {
            "latency_ms_p50": round(float(np.percentile(found, 50)), 3),
            "latency_ms_p99": round(float(np.percentile(found, 99)), 3),
            "images_per_s": round(float(np.median(rates[threads])), 1),
            "images_per_s_min_max": [round(min(rates[threads]), 1), round(max(rates[threads]), 1)],
            "throttled_periods": throttled[threads],
        }
        for threads, found in latencies.items()
    }


if __name__ == "__main__":
    main()
