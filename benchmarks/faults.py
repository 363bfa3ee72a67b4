"""Hurt builds in every way that machines do, and count what survives.

    python -m benchmarks.faults --kills 200 --out OUT.json   some 40 minutes of two cores
    python -m benchmarks.faults --reduced --out OUT.json     half a minute, for a continuous test

Each scenario says in its docstring what surviving means. Linux; the scenarios with file systems of
their own need the right to mount, and say so where it is missing. The network is a small one, see
`faultlab.lab`; the two builds are `board` (a user's weights and images, for TensorRT, nothing is
timed) and `demo` (trained, raced in ONNX Runtime), both with fine-tuning and a fallback.

What is done lies in OUT.jsonl, line by line: the same command goes on after a stop, and does not
mix versions.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from benchmarks.faultlab import kills, sharing, storage
from benchmarks.faultlab.kills import Row
from benchmarks.faultlab.lab import Lab
from benchmarks.faultlab.record import Record

Scenario = Callable[[Lab], "Row | None"]

_LIMITS_MIB = (64, 256, 512, 1024)  # of a worker's address space
_KILLS_A_PART = 20  # each part begins with an empty cache, so that whole builds are killed too


def reduced() -> dict[str, Scenario]:
    """A few of each kind, of the build that needs no training."""
    return {
        "kill": lambda lab: kills.kill(lab, "board", 2, whole=True),
        "sigterm": lambda lab: kills.stop(lab, "board", signal.SIGTERM, 1, whole=True),
        "full": lambda lab: storage.fill_at_every_opening(lab, "board", ("publish",)),
    }


def full(kill_count: int) -> dict[str, dict[str, Scenario]]:
    """Everything, in parts; two fifths of the kills are of the demo, which has more stages."""
    demo = kill_count * 2 // 5
    whole: dict[str, Scenario] = {
        "sigint": lambda lab: kills.stop(lab, "board", signal.SIGINT, 25),
        "sigterm": lambda lab: kills.stop(lab, "board", signal.SIGTERM, 25),
        "sigint demo": lambda lab: kills.stop(lab, "demo", signal.SIGINT, 15),
        "sigterm demo": lambda lab: kills.stop(lab, "demo", signal.SIGTERM, 15),
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
        "worker starved": lambda lab: sharing.starve_worker(lab, "board", _LIMITS_MIB),
        "builder killed": lambda lab: sharing.kill_worker(lab, "board", 6, "engine"),
        "builder starved": lambda lab: sharing.starve_worker(lab, "board", _LIMITS_MIB, "engine"),
        "twice": lambda lab: sharing.build_twice(lab, "board", 3),
        "twice demo": lambda lab: sharing.build_twice(lab, "demo", 1),
    }
    return {
        "kill board": _in_parts("board", kill_count - demo),
        "kill demo": _in_parts("demo", demo),
        **{name: {name: scenario} for name, scenario in whole.items()},
    }


def _in_parts(variant: str, count: int) -> dict[str, Scenario]:
    starts = range(0, count, _KILLS_A_PART)
    return {
        f"kill {variant} from {first}": partial(
            kills.kill, variant=variant, kills=min(_KILLS_A_PART, count - first), first=first
        )
        for first in starts
    }


def main() -> None:
    """Run the scenarios and write a dated result."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--kills", type=int, default=200, help="Of the full form.")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--reduced", action="store_true")
    parser.add_argument("--only", action="append", help="A scenario; repeatable.")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    scenarios = full(options.kills)
    if options.reduced:
        scenarios = {name: {name: scenario} for name, scenario in reduced().items()}
    if unknown := set(options.only or ()) - set(scenarios):
        parser.error(f"no scenario {sorted(unknown)}; there are {', '.join(scenarios)}")
    record = Record(options.out, {"seed": options.seed, "kills": options.kills,
                                  "reduced": options.reduced})  # fmt: skip
    parts: dict[str, Scenario] = {}
    for name in options.only or scenarios:
        parts |= scenarios[name]
    run({name: part for name, part in parts.items() if name not in record.parts}, record)
    content = record.write()
    if never := content["never_killed_in"]:
        sys.stderr.write(f"never killed in {', '.join(never)}\n")
    sys.exit(any(row["survived"] < row["tried"] for row in content["rows"]))


def run(parts: dict[str, Scenario], record: Record) -> None:
    """Run one after the other; what each draws does not depend on those before it."""
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        lab = Lab(Path(folder) / "lab", record.seed)
        for name, scenario in parts.items():
            lab.random = random.Random(f"{record.seed} {name}")
            row = scenario(lab)
            record.add(name, row, "mounting is not permitted, or TensorRT for RTX not installed")
            if row is None:
                continue
            sys.stderr.write(f"{row.line()}\n")
            for failure in row.notes["failures"]:
                sys.stderr.write(f"    {' '.join(failure.split())}\n")


if __name__ == "__main__":
    main()
