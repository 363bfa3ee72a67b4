"""Races as tests run them: quick, of tiny graphs."""

from __future__ import annotations

from pathlib import Path

from edge_convnext.core.artifacts import OnnxModel
from edge_convnext.core.sections import BenchmarkConfig
from edge_convnext.measure.candidates import Candidate
from edge_convnext.measure.timings import TimedRow

QUICK = BenchmarkConfig(batches=(1,), threads=1, rounds=7, min_round_ms=1, warmup=1)


def candidate(
    name,
    path=None,
    precision="fp32",
    form="raw",
    placement=None,
    runtime="onnxruntime",
    hint=None,
):
    """A candidate of this name; the name stands in for the file and its digest too."""
    model = OnnxModel(Path(path or name), precision, form, placement)
    return Candidate(model, name, runtime, hint, title=name)


ROW = TimedRow(
    candidate=candidate("a"),
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
    return [candidate(name, path, runtime=runtime) for name in names]
