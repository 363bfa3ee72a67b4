r"""How long a model takes to load in OpenVINO: compiled, and imported from the cache.

    python -m benchmarks.openvino_load build/atto-int8/cpu/MODEL.onnx --rounds 15

Each load has a process of its own, and the two kinds take turns. The import of OpenVINO is not
counted. Needs an idle machine.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from edge_convnext.core.intervals import median_interval

_CHILD = """
import sys, time
from pathlib import Path
from edge_convnext.runtimes import RuntimeOptions
from edge_convnext.runtimes.openvino.runner import OpenVino, shared_core
path, cache, hint = sys.argv[1:]
shared_core()
options = RuntimeOptions(batch=1, precision_hint=hint, cache=Path(cache) if cache else None)
started = time.perf_counter()
OpenVino(Path(path), options)
print(time.perf_counter() - started)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("--hint", default="bf16")
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        kinds = {"compiled": "", "imported": folder}
        load_s(arguments.model, folder, arguments.hint)  # fills the cache
        times: dict[str, list[float]] = {name: [] for name in kinds}
        for _ in range(arguments.rounds):
            for name in random.sample(list(kinds), len(kinds)):
                times[name].append(load_s(arguments.model, kinds[name], arguments.hint))
    ratios = [one / other for one, other in zip(times["imported"], times["compiled"], strict=True)]
    medians = {name: statistics.median(each) for name, each in times.items()}
    print(json.dumps({"seconds": medians, "imported_over_compiled": statistics.median(ratios),
                      "ci95": median_interval(ratios)}))  # fmt: skip


def load_s(model: Path, cache: str, hint: str) -> float:
    """Seconds that one load takes in a new process."""
    command = [sys.executable, "-c", _CHILD, str(model), cache, hint]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
    return float(done.stdout.split()[-1])


if __name__ == "__main__":
    main()
