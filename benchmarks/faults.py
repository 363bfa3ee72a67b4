"""Hurt builds in every way that machines do, and count what survives.

    python -m benchmarks.faults --kills 200 --out OUT.json
    python -m benchmarks.faults --reduced --out OUT.json     half a minute, for a continuous test

Each scenario says in its docstring what surviving means. Linux; the scenarios with file systems of
their own need the right to mount, and say so where it is missing. The network is a small one, see
`faultlab.lab`; the two builds are `board` (a user's weights and images, for TensorRT, nothing is
timed) and `demo` (trained, raced in ONNX Runtime), both with fine-tuning and a fallback.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import sys
import tempfile
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from benchmarks.faultlab import kills, sharing, storage
from benchmarks.faultlab.kills import Row
from benchmarks.faultlab.lab import Lab
from edge_convnext.doctor import environment
from edge_convnext.files import write_text_atomic

Scenario = Callable[[Lab], "Row | None"]


def reduced() -> dict[str, Scenario]:
    """A few of each kind, of the build that needs no training."""
    return {
        "kill": lambda lab: kills.kill(lab, "board", 2),
        "sigterm": lambda lab: kills.stop(lab, "board", signal.SIGTERM, 1),
        "full": lambda lab: storage.fill_at_every_opening(lab, "board", ("publish",)),
    }


def full(kill_count: int) -> dict[str, Scenario]:
    """Everything; a quarter of the kills are of the demo."""
    demo = kill_count // 4
    return {
        "kill board": lambda lab: kills.kill(lab, "board", kill_count - demo),
        "kill demo": lambda lab: kills.kill(lab, "demo", demo),
        "sigint": lambda lab: kills.stop(lab, "board", signal.SIGINT, 25),
        "sigterm": lambda lab: kills.stop(lab, "board", signal.SIGTERM, 25),
        "sigint demo": lambda lab: kills.stop(lab, "demo", signal.SIGINT, 5),
        "sigterm demo": lambda lab: kills.stop(lab, "demo", signal.SIGTERM, 5),
        "openings": lambda lab: storage.fill_at_every_opening(lab, "board"),
        "tmpfs": lambda lab: storage.fill_tmpfs(lab, "board", 24),
        "file size": lambda lab: storage.limit_file_size(lab, "board", 8),
        "read-only": lambda lab: storage.read_only_cache(lab, "board"),
        "vanish": lambda lab: storage.vanish(lab, "board", 15),
        "flip": lambda lab: storage.flip_bytes(lab, "board", 2),
        "flip demo": lambda lab: storage.flip_bytes(lab, "demo", 1),
        "two": lambda lab: sharing.build_concurrently(lab, "board", 2),
        "eight": lambda lab: sharing.build_concurrently(lab, "board", 8),
        "one folder": lambda lab: sharing.build_concurrently(lab, "board", 4, same_out=True),
        "clock": lambda lab: sharing.jump_clock(lab, "board"),
        "worker killed": lambda lab: sharing.kill_worker(lab, "board", 6),
        "worker starved": lambda lab: sharing.starve_worker(lab, "board", (64, 256, 512, 1024)),
        "twice": lambda lab: sharing.build_twice(lab, "board", 3),
        "twice demo": lambda lab: sharing.build_twice(lab, "demo", 1),
    }


def main() -> None:
    """Run the scenarios and write a dated result."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--kills", type=int, default=200, help="Of the full form.")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--reduced", action="store_true")
    parser.add_argument("--only", action="append", help="A scenario; repeatable.")
    parser.add_argument(
        "--merge", type=Path, nargs="+", help="Run nothing: add up results of other seeds."
    )
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    if options.merge:
        content = merge([json.loads(path.read_text()) for path in options.merge])
    else:
        scenarios = reduced() if options.reduced else full(options.kills)
        content = run({name: scenarios[name] for name in options.only or scenarios}, options.seed)
    write_text_atomic(options.out, json.dumps(content, indent=1) + "\n")
    sys.exit(any(row["survived"] < row["tried"] for row in content["rows"]))


def run(scenarios: dict[str, Scenario], seed: int) -> dict[str, Any]:
    """Run scenarios one after the other."""
    rows: list[Row] = []
    skipped: list[str] = []
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        lab = Lab(Path(folder) / "lab", seed)
        for name, scenario in scenarios.items():
            row = scenario(lab)
            if row is None:
                skipped.append(f"{name}: mounting is not permitted")
                continue
            rows.append(row)
            sys.stderr.write(f"{row.line()}\n")
            for failure in row.notes["failures"]:
                sys.stderr.write(f"    {' '.join(failure.split())}\n")
    return {
        "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "seeds": [seed],
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()}",
        "versions": environment()["versions"],
        "skipped": skipped,
        "rows": [row.fields() for row in rows],
    }


def merge(results: list[dict[str, Any]]) -> dict[str, Any]:
    """Add up the rows of runs on one machine."""
    rows: dict[str, dict[str, Any]] = {}
    for row in (row for result in results for row in result["rows"]):
        before = rows.get(row["scenario"])
        rows[row["scenario"]] = _add(before, row) if before else row
    return {
        **results[-1],
        "seeds": sorted({seed for result in results for seed in result["seeds"]}),
        "skipped": sorted({text for result in results for text in result["skipped"]}),
        "rows": list(rows.values()),
    }


def _add(first: Any, second: Any) -> Any:
    """Counts and lists of two runs together; of anything else, and of extremes, the greater."""
    if isinstance(first, dict):
        keys = dict.fromkeys([*first, *second])
        return {
            key: max(first[key], second[key])
            if key.startswith("longest") and key in first and key in second
            else _add(first.get(key), second.get(key))
            for key in keys
        }
    if first is None or second is None:
        return second if first is None else first
    if isinstance(first, str):
        return first
    return first + second


if __name__ == "__main__":
    main()
