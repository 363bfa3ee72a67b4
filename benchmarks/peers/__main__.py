"""Side by side with the peers: build, accuracy and speed of every quantizer's INT8 graph.

    python -m benchmarks.peers --weights W.pth --data FOLDER --image-size 64 NAME

`--prepare-only` makes the graphs and evaluates them, and can be interrupted: what is finished
is kept under `--work`. Without it the timing follows, which needs a quiet machine, and then
`results/<date>-peers-NAME.json` and `.md`.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from benchmarks.peers.accuracy import evaluate
from benchmarks.peers.catalog import PEERS
from benchmarks.peers.ours import build_ours
from benchmarks.peers.produce import produce
from benchmarks.peers.table import write_results
from benchmarks.peers.task import prepare_task
from benchmarks.peers.timing import time_candidates
from edge_convnext.networks.recipe_file import resolve_recipe

_ROOT = Path(__file__).parents[2]


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.peers", description=__doc__.split("\n", maxsplit=1)[0]
    )
    parser.add_argument("name", help="of the results")
    parser.add_argument("--weights", required=True, help="a file, or 'random' for speed alone")
    parser.add_argument("--data", required=True)
    parser.add_argument("--image-size", type=int, required=True, help="pixels")
    parser.add_argument("--model", default="convnextv2_atto")
    parser.add_argument("--subset-size", type=int, default=300, help="calibration images")
    parser.add_argument("--threads", type=int, help="CPU threads; every usable core when left out")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--prepare-only", action="store_true", help="build, evaluate, time nothing")
    parser.add_argument("--retry", action="store_true", help="what failed before, once more")
    parser.add_argument("--only", action="append", help="peers, by name")
    parser.add_argument("--work", type=Path, default=_ROOT / "build" / "peers")
    parser.add_argument("--out", type=Path, default=_ROOT / "benchmarks" / "results")
    arguments = parser.parse_args()
    fields = {
        "model": arguments.model,
        "targets": ["cpu"],
        "load.weights": arguments.weights,
        "data.source": arguments.data,
        "preprocess.image_size": arguments.image_size,
        "quantize.subset_size": arguments.subset_size,
        "benchmark.rounds": arguments.rounds,
        "benchmark.threads": arguments.threads,
    }
    recipe = resolve_recipe(None, fields)
    task = prepare_task(recipe, arguments.work / arguments.name)
    chosen = [peer for peer in PEERS if not arguments.only or peer.name in arguments.only]
    graphs = [task.raw, *build_ours(task)]
    for peer in chosen:
        sys.stderr.write(f"{peer.label}\n")
        graphs.append(produce(peer, task, arguments.work / "venvs", arguments.retry))
    candidates = evaluate(task, graphs, arguments.retry)
    if arguments.prepare_only:
        return
    timings = time_candidates(task, candidates)
    write_results(arguments.name, task, graphs, candidates, timings, arguments.out)


if __name__ == "__main__":
    main()
