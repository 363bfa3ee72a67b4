"""What an NVIDIA GPU makes of each model, graph form and precision, in every runtime there is.

    python benchmarks/gpu.py prepare GRAPHS --models atto pico   # where torch is; no GPU needed
    python benchmarks/gpu.py peaks   GRAPHS OUT --seconds 60     # torch
    python benchmarks/gpu.py torch   GRAPHS OUT --seconds 300
    python benchmarks/gpu.py rtx     GRAPHS OUT --seconds 120    # TensorRT for RTX
    python benchmarks/gpu.py classic GRAPHS OUT --seconds 500    # classic TensorRT
    python benchmarks/gpu.py features GRAPHS OUT --seconds 200
    python benchmarks/gpu.py table   OUT                         # all parts, as Markdown

Each part writes `OUT/<part>.json`, after every step, and stops when its seconds are over; parts
may run in different Pythons. Within a part all candidates of one model and batch are loaded in
one process and take turns. GPU time is that between events, copies left out; end to end is from
a host array to a host array. Weights are random and calibration is noise: neither changes a time.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

_GROUPS = (
    "atto:1 atto:8 pico:1 pico:8 atto:32 atto:128 femto:1 nano:1 pico:32 pico:128 "
    "femto:8 nano:8 femto:32 femto:128 nano:32 nano:128"
)
_PARTS = ("prepare", "peaks", "torch", "rtx", "classic", "features", "table")


def main() -> None:
    began = time.monotonic()
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("part", choices=_PARTS)
    parser.add_argument("folders", nargs="+", type=Path, help="GRAPHS, OUT, or both in this order.")
    parser.add_argument("--models", nargs="+", default=["atto", "pico", "femto", "nano"])
    parser.add_argument(
        "--groups", nargs="+", default=_GROUPS.split(), help="MODEL:BATCH, in order."
    )
    parser.add_argument("--seconds", type=float, default=600.0, help="Stop after so long.")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--jobs", type=int, default=3, help="Exports or builds at a time.")
    parser.add_argument("--build-seconds", type=float, default=240.0, help="At most, per engine.")
    parser.add_argument("--level", type=int, default=None, help="Optimization level of builds.")
    parser.add_argument("--tactic-sources", nargs="*", default=None)
    parser.add_argument("--workspace-mib", type=int, default=None)
    parser.add_argument("--compile-modes", nargs="*", default=["max-autotune-no-cudagraphs"])
    parser.add_argument("--scratch", type=Path, default=None, help="Keeps engines between parts.")
    arguments = parser.parse_args()
    if arguments.part == "prepare":
        from gpu_graphs import prepare

        made = prepare(arguments.folders[0], arguments.models, arguments.jobs)
        failed = [row for row in made["graphs"] if "error" in row]
        sys.stderr.write(f"{len(made['graphs'])} graphs, {len(failed)} failed\n")
        return
    if arguments.part == "table":
        from gpu_tables import write_tables

        sys.stdout.write(write_tables(arguments.folders[-1]))
        return
    if len(arguments.folders) != 2:
        parser.error("GRAPHS and OUT are needed")
    with tempfile.TemporaryDirectory() as temporary:
        scratch = arguments.scratch or Path(temporary)
        scratch.mkdir(parents=True, exist_ok=True)
        measure(arguments, scratch, began)


def measure(arguments: argparse.Namespace, scratch: Path, began: float) -> None:
    """Run one part."""
    from gpu_timing import open_results, query_gpu

    graphs, out = arguments.folders
    part, rounds = arguments.part, arguments.rounds
    results = open_results(out, part, arguments.seconds, began)
    results.put("arguments", {key: str(value) for key, value in vars(arguments).items()})
    groups = [
        (model, int(batch)) for model, _, batch in (g.partition(":") for g in arguments.groups)
    ]
    with results.step(part):
        if part == "peaks":
            from gpu_torch import measure_peaks

            measure_peaks(results)
        elif part == "torch":
            from gpu_torch import measure_torch

            measure_torch(results, groups, arguments.compile_modes, rounds)
        else:
            _measure_engines(arguments, results, graphs, scratch, groups)
    results.put("gpu_after", query_gpu())
    sys.stderr.write(f"{results.path}\n")


def _measure_engines(arguments, results, graphs, scratch, groups) -> None:  # type: ignore[no-untyped-def]
    from gpu_engines import measure_classic, measure_rtx, try_features

    from edge_convnext.runtimes.tensorrt import TensorRtConfig
    from edge_convnext.runtimes.tensorrt.api import open_api
    from edge_convnext.runtimes.tensorrt.open_cuda import open_cuda

    with results.step("device"):
        cuda = open_cuda()
        results.put("device", {"cuda": cuda.label, **vars(cuda.facts())})
        name = "tensorrt_rtx" if arguments.part == "rtx" else "tensorrt"
        results.put("tensorrt", open_api(name).label)
    sources = arguments.tactic_sources
    config = TensorRtConfig(
        workspace_mib=arguments.workspace_mib,
        timing_cache=scratch / "timings.cache",
        optimization_level=arguments.level,
        tactic_sources=None if sources is None else tuple(sources),
    )
    rounds = arguments.rounds
    if arguments.part == "rtx":
        measure_rtx(results, graphs, scratch, groups, rounds)
    elif arguments.part == "classic":
        measure_classic(
            results,
            graphs,
            scratch,
            groups,
            config,
            arguments.jobs,
            rounds,
            arguments.build_seconds,
        )
    else:
        try_features(
            results, graphs, scratch, replace(config, timing_cache=scratch / "timings.cache")
        )


if __name__ == "__main__":
    main()
