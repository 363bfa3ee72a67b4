"""A/A: one graph raced against itself, as a float and as INT8; whoever is called faster is not.

Each race has a process of its own, as a build has, and runs the package's own code: the rounds
that choose, the finalists, fresh loads, the rounds that judge, and the interval against 1. Of 100
races 2 or 3 may be shown by chance. What earlier versions would have said, from the rounds that
chose alone, stands beside it. It can be stopped and goes on where it was.

    python -m benchmarks.aa_race --races 100 results/DATE-aa-race.json

on an idle machine, about five seconds a race.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np

from edge_convnext.core.artifacts import CpuRuntimeName, OnnxModel, Precision
from edge_convnext.core.contention import QUIET_PCT
from edge_convnext.core.files import sha256_file, write_text_atomic
from edge_convnext.core.progress import untracked
from edge_convnext.core.recipe import Recipe
from edge_convnext.core.step import Step
from edge_convnext.devices.doctor import environment
from edge_convnext.measure.benchmark import benchmark, judge
from edge_convnext.measure.candidates import Candidate
from edge_convnext.measure.choose import choose_option, list_finalists, list_rivals
from edge_convnext.measure.speed import Ratio, slowest_to_beat
from edge_convnext.networks.recipe_file import make_recipe

_BATCH = 1
_SIZE = 64


def export_graph(folder: Path) -> Path:
    """A ConvNeXt V2 atto of random weights, in the form that OpenVINO likes."""
    from edge_convnext.core.artifacts import ModelInfo, Preprocess
    from edge_convnext.core.sections import ExportConfig
    from edge_convnext.networks.convnext.build import random_state
    from edge_convnext.networks.convnext.sizes import find_architecture
    from edge_convnext.networks.weights import save_weights
    from edge_convnext.stages.export import export_onnx
    from edge_convnext.stages.fold import fold_weights

    architecture = find_architecture("convnextv2_atto", 10)
    preprocess = Preprocess(image_size=_SIZE, crop_pct=1.0, interpolation="bicubic")
    info = ModelInfo("convnextv2_atto", 10, 3, (), preprocess, "random", "", None)
    state = random_state(architecture, 0)
    raw = save_weights(state, architecture, info, folder / "raw.safetensors")
    folded = fold_weights(raw, folder / "folded.safetensors")
    return export_onnx(folded, "conv", "fp32", ExportConfig(), folder / "graph.onnx").path


def recipe_of(rounds: int, round_ms: int, seed: int) -> Recipe:
    """Times as a build does; the plan is one that no other form belongs to."""
    return make_recipe(
        {
            "precision": "int8",
            "seed": seed,
            "plans": {
                name: {"form": "conv", "placement": "inner"} for name in ("openvino", "onnxruntime")
            },
            "benchmark": {"batches": [_BATCH], "rounds": rounds, "min_round_ms": round_ms},
        }
    )


def list_copies(
    graph: Path, folder: Path, runtime: CpuRuntimeName, int8: int, floats: int
) -> list[Candidate]:
    """The graph in files of its own, said to be so many INT8 and float ones."""
    kinds: list[Precision] = ["int8"] * int8 + ["fp32"] * floats
    options = []
    for number, kind in enumerate(kinds):
        copy = folder / f"{number}.{kind}.onnx"
        shutil.copyfile(graph, copy)
        step = Step(OnnxModel(copy, kind, "conv"), "done", 0.0, str(number))
        options.append(Candidate.of(step, runtime, "f32", may_ship=True))
    return options


def run_race(options: list[Candidate], recipe: Recipe) -> dict[str, Any]:
    """One race and its verdict on speed, as `pipeline` makes them."""
    started = time.perf_counter()
    images = np.random.default_rng(0).standard_normal((1, 3, _SIZE, _SIZE)).astype(np.float32)
    chose = benchmark(
        options, images, recipe.benchmark, recipe.seed, untracked, measure_memory=False
    )
    finalists = list_finalists(recipe, options, chose, None, _BATCH)
    judged = judge(chose, finalists, images, recipe.benchmark, recipe.seed, untracked)
    chosen = choose_option(options, "int8", judged, None, 1.0, _BATCH)
    assert chosen is not None
    rivals = [one.name for one in list_rivals(recipe, options, judged, None, _BATCH)]
    _, now = slowest_to_beat(judged, chosen.name, rivals, _BATCH)
    # Earlier versions: against the float that was fastest on the rounds that chose, on those.
    _, before = slowest_to_beat(chose, chosen.name, rivals[:1], _BATCH)
    return {
        "seed": recipe.seed,
        "shown": _is_shown(now),
        "before_shown": _is_shown(before),
        "ratio": asdict(now),
        "before_ratio": asdict(before),
        "other_load_pct": judged.other_load_pct,
        "seconds": time.perf_counter() - started,
    }


def _is_shown(ratio: Ratio) -> bool:
    return ratio.ci95_lo is not None and ratio.ci95_lo > 1.0


def run_apart(arguments: argparse.Namespace, graph: Path, seed: int) -> dict[str, Any]:
    """One race in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.aa_race", "--one", str(seed)]
    command += ["--graph", str(graph), "--runtime", arguments.runtime]
    for name in ("int8", "floats", "rounds", "round_ms"):
        command += [f"--{name.replace('_', '-')}", str(getattr(arguments, name))]
    done = subprocess.run(
        [*command, str(arguments.out)], stdout=subprocess.PIPE, check=True, text=True
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def summarise(settings: dict[str, Any], races: list[dict[str, Any]]) -> dict[str, Any]:
    """The content of the result."""
    machine = environment()
    return {
        "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "cpu": machine["cpu_model"],
        "fingerprint": machine["fingerprint"],
        "versions": machine["versions"],
        "settings": settings,
        "races": len(races),
        "shown": sum(one["shown"] for one in races),
        "before_shown": sum(one["before_shown"] for one in races),
        "busy": sum((one["other_load_pct"] or 0.0) > QUIET_PCT for one in races),
        "every": races,
    }


def main() -> None:
    """Race until there are enough, and write each as it ends."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--races", type=int, default=100)
    parser.add_argument("--runtime", choices=("openvino", "onnxruntime"), default="openvino")
    parser.add_argument("--int8", type=int, default=1, help="Copies that are said to be INT8.")
    parser.add_argument("--floats", type=int, default=1, help="Copies that are said to be floats.")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--round-ms", type=int, default=20)
    parser.add_argument("--graph", type=Path, help="Images of 64 px; a random atto when left out.")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()
    names = ("runtime", "int8", "floats", "rounds", "round_ms")
    settings = {name: getattr(arguments, name) for name in names}
    with tempfile.TemporaryDirectory(prefix="edge-convnext-aa-") as scratch:
        folder = Path(scratch)
        graph = arguments.graph or export_graph(folder)
        settings["graph_sha256"] = sha256_file(graph)
        if arguments.one is not None:
            options = list_copies(
                graph, folder, arguments.runtime, arguments.int8, arguments.floats
            )
            recipe = recipe_of(arguments.rounds, arguments.round_ms, arguments.one)
            print(json.dumps(run_race(options, recipe)))
            return
        races: list[dict[str, Any]] = []
        if arguments.out.is_file():
            earlier = json.loads(arguments.out.read_text(encoding="utf-8"))
            if earlier["settings"] != settings:
                raise SystemExit(f"{arguments.out}: is of other settings; choose another file")
            races = earlier["every"]
        for seed in range(len(races), arguments.races):
            races.append(run_apart(arguments, graph, seed))
            content = summarise(settings, races)
            write_text_atomic(arguments.out, json.dumps(content, indent=1) + "\n")
            print(f"{len(races)}: {content['shown']} shown, {races[-1]['seconds']:.1f} s")


if __name__ == "__main__":
    main()
