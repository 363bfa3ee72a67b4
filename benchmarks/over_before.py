r"""INT8 and float graphs of one network, as versions of this project make them, in OpenVINO.

    python -m benchmarks.over_before results/DATE-over-before-NAME.json before=FOLDER now=FOLDER ...

takes folders of finished builds of the same weights, each with a name; the first is what the others
are compared with. `model.int8.onnx` and `model.fp32.onnx` of each are timed in one process, with
floats in float32 and in bfloat16: interleaved rounds, then nine fresh loads in a new order each.
It needs an idle machine for some minutes.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_convnext.core.artifacts import OnnxModel, Precision
from edge_convnext.core.files import sha256_file, write_text_atomic
from edge_convnext.core.sections import BenchmarkConfig
from edge_convnext.core.step import Step
from edge_convnext.devices.doctor import environment
from edge_convnext.graph.file import read_proto
from edge_convnext.measure.benchmark import benchmark, judge
from edge_convnext.measure.candidates import Candidate
from edge_convnext.measure.speed import speedup
from edge_convnext.runtimes.openvino.runner import supports_bf16

_RUNTIME, _BATCH = "openvino", 1
_FILES: dict[Precision, str] = {"int8": "model.int8.onnx", "fp32": "model.fp32.onnx"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("builds", nargs="+", metavar="NAME=FOLDER")
    parser.add_argument("--rounds", type=int, default=27)
    parser.add_argument("--threads", type=int)
    arguments = parser.parse_args()
    builds = {name: Path(folder) for name, folder in (one.split("=") for one in arguments.builds)}
    candidates = [one for name, folder in builds.items() for one in list_graphs(name, folder)]
    config = BenchmarkConfig(rounds=arguments.rounds, batches=(_BATCH,), threads=arguments.threads)
    images = make_images(candidates[0])
    chose = benchmark(candidates, images, config, measure_memory=False)
    judged = judge(chose, candidates, images, config)
    first = next(iter(builds))
    rows: list[dict[str, Any]] = []
    for one in candidates:
        kind = one.name.split(" ", 1)[1]
        # The same file and hint of the first build, over this one: its latency ratio.
        ratio = speedup(judged, f"{first} {kind}", one.name, _BATCH)
        rows.append(
            {"name": one.name, "sha256": one.digest,
             "latency_ms_p50": judged.row(one.name, _BATCH).latency_ms_p50,
             f"latency_over_{first}": asdict(ratio)}
        )  # fmt: skip
        low, high = ratio.ci95_lo or 0.0, ratio.ci95_hi or 0.0
        print(f"{one.name:24s} {rows[-1]['latency_ms_p50']:.3f} ms  "
              f"{ratio.median:.3f} [{low:.3f}, {high:.3f}]", flush=True)  # fmt: skip
    result = {"created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
              "environment": environment(), "other_load_pct": judged.other_load_pct,
              "rows": rows}  # fmt: skip
    write_text_atomic(arguments.out, json.dumps(result, indent=1) + "\n")


def list_graphs(name: str, folder: Path) -> list[Candidate]:
    """The graphs of a build, each with the float types that this CPU has."""
    found = []
    for precision, file in _FILES.items():
        path = folder / file
        model = OnnxModel(path, precision, name)
        step = Step(model, "done", 0.0, sha256_file(path))
        for hint in ("f32", "bf16") if supports_bf16() else ("f32",):
            made = Candidate.of(step, _RUNTIME, hint, may_ship=True)
            found.append(replace(made, title=f"{name} {precision} {hint}"))
    return found


def make_images(one: Candidate) -> NDArray[np.float32]:
    """Noise of the size that a graph takes; latency does not depend on what an image shows."""
    shape = read_proto(one.model.path).graph.input[0].type.tensor_type.shape.dim
    rng = np.random.default_rng(0)
    return rng.standard_normal((_BATCH, *(dim.dim_value for dim in shape[1:])), np.float32)


if __name__ == "__main__":
    main()
