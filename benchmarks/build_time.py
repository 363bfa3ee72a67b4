"""How long a build takes, beside another version of this package, in turns.

    python -m benchmarks.build_time OTHER_PYTHON --out benchmarks/results/<date>-build-time.json \
        [--rounds 3] [--kind cold quick cached]

Whole commands are timed, each in a fresh folder with a cache of its own: OTHER, this one, OTHER,
this one … `cold` begins with an empty cache, `quick` has `--quick` (in this version alone),
`cached` is this version's second build over OTHER's cold one. The photographs and weights are those
of `shared/` (CONTRIBUTING.md): atto at 224 px, default options. Both versions have to come to the
same verdict and to the same planned graphs, by their SHA-256.

OTHER_PYTHON is the interpreter of an environment that has the other version.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edge_convnext.devices.doctor import environment

_SHARED = Path(os.environ.get("EDGE_CONVNEXT_TEST_DATA", Path(__file__).parents[2] / "shared"))
_MODEL = (
    "--weights", str(_SHARED / "checkpoints" / "potato-convnextv2-atto-128px.pth"),
    "--data", str(_SHARED / "data" / "potato_split.csv"), "--image-size", "224",
)  # fmt: skip
# The command line lay in another module once.
_RUN = (
    "import runpy; from importlib.util import find_spec; package = 'edge_convnext'; "
    "named = package if find_spec(package + '.__main__') else package + '.cli'; "
    "runpy.run_module(named, run_name='__main__', alter_sys=True)"
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Time the builds; exit code 1 where verdicts or graphs differ."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("other", help="Python of the other version's environment")
    parser.add_argument("--out", type=Path, required=True, help="file of the result")
    parser.add_argument("--rounds", type=int, default=3, help="builds of each version")
    kinds = ("cold", "quick", "cached")
    parser.add_argument("--kind", nargs="+", choices=kinds, default=list(kinds))
    parser.add_argument("--flags", default="", help="further flags of both, such as '--target cpu'")
    options = parser.parse_args(arguments)
    flags = options.flags.split()
    rounds = [_round(options.other, options.kind, flags) for _ in range(options.rounds)]
    result = {
        "date": dt.date.today().isoformat(),
        "cpu": environment()["cpu_model"],
        "command": ["edge-convnext", "build", *(Path(one).name for one in _MODEL), *flags],
        "rounds": rounds,
        "ratio": {kind: _ratios(rounds, kind) for kind in options.kind},
    }
    options.out.write_text(json.dumps(result, indent=1) + "\n", "utf-8")
    print(json.dumps(result["ratio"], indent=1))
    same = all(one["same_verdict"] and one["same_graphs"] for one in rounds)
    return 0 if same else 1


def _round(other: str, kinds: Sequence[str], flags: Sequence[str]) -> dict[str, Any]:
    """One build of the other version, and those of this one."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        theirs = _build(other, folder / "other", folder / "their-cache", flags)
        ours = _build(sys.executable, folder / "ours", folder / "cache", flags)
        found: dict[str, Any] = {"other_s": theirs, "cold_s": ours}
        if "cached" in kinds:
            found["cached_s"] = _build(sys.executable, folder / "again", folder / "cache", flags)
        if "quick" in kinds:
            quick = [*flags, "--quick"]
            found["quick_s"] = _build(
                sys.executable, folder / "quick", folder / "quick-cache", quick
            )
        then, now = (json.loads((folder / name / "report.json").read_text("utf-8"))
                     for name in ("other", "ours"))  # fmt: skip
        found["same_verdict"] = then["verdict"]["ship"] == now["verdict"]["ship"]
        found["same_graphs"] = _graphs(then) == _graphs(now)
        found["other_load_pct"] = [one["benchmark"].get("other_load_pct") for one in (then, now)]
        print(found, flush=True)
        return found


def _build(python: str, out: Path, cache: Path, flags: Sequence[str]) -> float:
    """Seconds of one build."""
    command = [python, "-c", _RUN, "build", "--precision", "int8", *_MODEL]
    command += [*flags, "--out", str(out), "--quiet"]
    own = os.environ | {"EDGE_CONVNEXT_CACHE": str(cache)}
    started = time.perf_counter()
    subprocess.run(command, check=True, env=own, stdout=subprocess.DEVNULL, cwd=out.parent)
    return time.perf_counter() - started


def _graphs(report: dict[str, Any]) -> dict[str, str]:
    """SHA-256 of the ONNX files of a build, by name."""
    return {
        one["path"]: one["sha256"] for one in report["outputs"] if one["path"].endswith(".onnx")
    }


def _ratios(rounds: Sequence[dict[str, Any]], kind: str) -> dict[str, Any]:
    """Time over the other version's cold build: of each round, and their median."""
    each = [one[f"{kind}_s"] / one["other_s"] for one in rounds]
    return {"median": statistics.median(each), "rounds": each}


if __name__ == "__main__":
    sys.exit(main())
