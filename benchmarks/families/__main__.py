"""Every network of the field through the whole chain, on one table.

    python -m benchmarks.families --data images.csv
    python -m benchmarks.families --data images.csv --only MobileNetV2 --only Swin-T

Each network is built by `edge-convnext build`, then its graphs are timed and compared with those of
NNCF and of ONNX Runtime's quantizer on the same images. What is finished lies under `--work` and is
not made again; the result is written after every network, so an interrupted run keeps what it has.
timm has to be importable.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from benchmarks.families.measure import measure
from benchmarks.families.networks import NETWORKS, Network
from benchmarks.families.table import list_lines, render
from benchmarks.peers.produce import explain
from edge_convnext.core.files import write_text_atomic
from edge_convnext.devices.doctor import environment

_ROOT = Path(__file__).parents[2]
_TESTS = _ROOT / "tests"  # SqueezeNet is there


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.families", description=__doc__.split("\n", maxsplit=1)[0]
    )
    parser.add_argument("--data", type=Path, required=True, help="labelled images")
    parser.add_argument("--labels", help="class names in logit order, for --trained")
    parser.add_argument("--only", action="append", help="networks, by name")
    parser.add_argument("--trained", action="append", nargs=4, default=[],
                        metavar=("NAME", "MODEL", "WEIGHTS", "SIZE"),
                        help="a network with trained weights, besides")  # fmt: skip
    parser.add_argument("--calibration", type=int, default=64, help="images")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=36e3, help="begin none after these")
    parser.add_argument("--work", type=Path, default=_ROOT / "build" / "families")
    parser.add_argument("--out", type=Path, default=_ROOT / "benchmarks" / "results")
    arguments = parser.parse_args()
    wanted = [one for one in NETWORKS if not arguments.only or one.name in arguments.only]
    if arguments.trained:
        fields = {} if arguments.labels is None else {"data.labels": arguments.labels}
        wanted = [
            Network(f"{name}*", model, int(size), weights, fields)
            for name, model, weights, size in arguments.trained
        ]
    sys.path.append(str(_TESTS))  # a process of its own begins with this path
    os.environ["PYTHONPATH"] = os.pathsep.join(
        filter(None, (str(_ROOT), str(_TESTS), os.environ.get("PYTHONPATH")))
    )
    until = time.monotonic() + arguments.seconds
    for network in wanted:
        if time.monotonic() < until:
            sys.stderr.write(f"{network.name}\n")
            result = _in_process_of_its_own(network, arguments)
            path = arguments.work / "results" / f"{_slug(network.name)}.json"
            write_text_atomic(path, json.dumps(result))
            write(arguments.work / "results", arguments.out)


def _in_process_of_its_own(network: Network, arguments: argparse.Namespace) -> dict[str, Any]:
    """A runtime that crashes ends one network, and what a network took of memory is given back."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        folder = arguments.work / _slug(network.name)
        call = (network, arguments.data, folder, arguments.calibration, arguments.rounds)
        try:
            found: dict[str, Any] = pool.submit(measure, *call).result()
        except Exception as error:  # of a process that was ended too
            reason = explain(f"{type(error).__name__}: {error}")
            return {"network": network.name, "model": network.model, "failed": reason}
    return found


def write(parts: Path, folder: Path) -> Path:
    """Write `<date>-families.json` and `.md` of all networks measured so far."""
    found = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in parts.glob("*")}
    order = {_slug(one.name): at for at, one in enumerate(NETWORKS)}
    results = [found[name] for name in sorted(found, key=lambda one: (order.get(one, 99), one))]
    date, machine = datetime.now(timezone.utc).date().isoformat(), environment()
    facts = {"date": date, "cpu_model": machine["cpu_model"]}
    target = folder / f"{date}-families.json"
    content = {**facts, "environment": machine, "lines": list(list_lines(results)),
               "networks": results}  # fmt: skip
    text = json.dumps(content, indent=1) + "\n"
    write_text_atomic(target, text.replace(f"{parts.parent}/", ""))  # messages name files
    write_text_atomic(target.with_suffix(".md"), render(results, facts))
    return target


def _slug(name: str) -> str:
    return "".join(one if one.isalnum() else "-" for one in name.replace("*", "-trained")).lower()


if __name__ == "__main__":
    main()
