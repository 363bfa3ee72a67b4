"""Interleaved timing on a GPU, and the JSON that it goes into."""

from __future__ import annotations

import json
import random
import statistics
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from edge_convnext.core.files import write_text_atomic

TURN_MS = 15.0  # of GPU work per candidate and round
_FEWEST, _MOST = 5, 200  # launches per turn
_E2E = 5  # inferences from host to host per turn
_QUERY = (
    "name,driver_version,pstate,clocks.sm,clocks.mem,clocks.max.sm,clocks.max.mem,"
    "power.draw,temperature.gpu,utilization.gpu"
)


@dataclass
class Contender:
    """Something that runs one batch: what it is, and how to time it."""

    facts: dict[str, Any]
    time_launches: Callable[[int], list[float]]  # GPU milliseconds of each launch
    infer: Callable[[], Any] | None = None  # host array to host array
    gpu_ms: list[list[float]] = field(default_factory=list)  # by round
    e2e_ms: list[list[float]] = field(default_factory=list)
    launches: int = 0
    error: str | None = None


def race(contenders: Sequence[Contender], rounds: int, seed: int = 0) -> list[dict[str, Any]]:
    """Time all in every round, in a new random order each; one that fails is left out."""
    shuffle = random.Random(seed).shuffle
    for one in contenders:
        with _noted(one):
            typical = statistics.median(one.time_launches(_FEWEST)[1:])
            one.launches = int(min(_MOST, max(_FEWEST, TURN_MS / max(typical, 1e-3))))
    for _ in range(rounds):
        order = [one for one in contenders if one.error is None]
        shuffle(order)
        for one in order:
            with _noted(one):
                one.time_launches(3)
                one.gpu_ms.append(one.time_launches(one.launches))
                if one.infer is not None:
                    one.infer()
                    one.e2e_ms.append([_clock(one.infer) for _ in range(_E2E)])
    return [_row(one) for one in contenders]


@contextmanager
def _noted(one: Contender) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        one.error = trace(error)


def _clock(call: Callable[[], Any]) -> float:
    start = time.perf_counter_ns()
    call()
    return (time.perf_counter_ns() - start) / 1e6


def _row(one: Contender) -> dict[str, Any]:
    row = dict(one.facts)
    if one.error is not None:
        row["error"] = one.error
    for name, rounds in (("gpu_ms", one.gpu_ms), ("e2e_ms", one.e2e_ms)):
        if rounds:
            samples = np.concatenate([np.asarray(turn) for turn in rounds])
            row[name] = {
                "p50": float(np.percentile(samples, 50)),
                "p90": float(np.percentile(samples, 90)),
                "p99": float(np.percentile(samples, 99)),
                "samples": len(samples),
                "rounds_p50": [statistics.median(turn) for turn in rounds],
            }
    return row


@dataclass
class Results:
    """One part's JSON, written anew after every step, so that a cut leaves what there was."""

    path: Path
    deadline: float
    content: dict[str, Any] = field(default_factory=dict)

    def left_s(self) -> float:
        """Until the part has to end."""
        return self.deadline - time.monotonic()

    def add(self, key: str, rows: Sequence[Any]) -> None:
        """Append to a list of the JSON."""
        self.content.setdefault(key, []).extend(rows)
        self.write()

    def put(self, key: str, value: Any) -> None:
        """Set a value of the JSON."""
        self.content[key] = value
        self.write()

    def write(self) -> None:
        """Write the file, whole."""
        text = json.dumps(self.content, indent=1, default=str) + "\n"
        write_text_atomic(self.path, text)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Note how long a step took, and what it failed with; the next one goes on."""
        start = time.monotonic()
        sys.stderr.write(f"{name} ({self.left_s():.0f} s left)\n")
        outcome: dict[str, Any] = {"step": name}
        try:
            yield
        except Exception as error:
            outcome["error"] = trace(error)
            sys.stderr.write(outcome["error"] + "\n")
        outcome["seconds"] = time.monotonic() - start
        self.add("steps", [outcome])


def open_results(folder: Path, part: str, seconds: float, began: float) -> Results:
    """The file of one part, with what machine it is."""
    folder.mkdir(parents=True, exist_ok=True)
    results = Results(folder / f"{part}.json", began + seconds)
    results.content["part"] = part
    results.content["python"] = sys.version
    results.content["gpu_before"] = query_gpu()
    results.write()
    return results


def query_gpu() -> Any:
    """What nvidia-smi says of the GPU now: clocks, power, temperature."""
    try:
        found = subprocess.run(
            ["nvidia-smi", f"--query-gpu={_QUERY}", "--format=csv,noheader"],
            capture_output=True, text=True, timeout=20, check=False,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError) as error:
        return str(error)
    return dict(
        zip(_QUERY.split(","), (part.strip() for part in found.stdout.split(",")), strict=False)
    )


def trace(error: BaseException) -> str:
    """The end of a traceback."""
    lines = traceback.format_exception(type(error), error, error.__traceback__)
    return "".join(lines)[-1500:]
