"""Races as tests run them: quick, of tiny graphs."""

from __future__ import annotations

from edge_convnext.core.recipe import BenchmarkConfig
from edge_convnext.measure.benchmark import (
    BenchmarkRow,
    Candidate,
)

QUICK = BenchmarkConfig(batches=(1,), threads=1, rounds=7, min_round_ms=1, warmup=1)


ROW = BenchmarkRow(
    artifact="a",
    form="raw",
    placement=None,
    precision="fp32",
    runtime="onnxruntime",
    precision_hint=None,
    threads=1,
    batch=1,
    latency_ms_p50=1.0,
    latency_ms_p90=None,
    latency_ms_p99=None,
    throughput_img_s=1000.0,
    samples=3,
    rounds=1,
    round_latency_ms_p50=(1.0,),
    size_bytes=1,
    peak_memory_bytes=None,
    baseline_memory_bytes=None,
)


def candidates_of(path, *names, runtime="onnxruntime"):
    return [Candidate(name, path, "fp32", "raw", None, runtime) for name in names]
