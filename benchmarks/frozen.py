"""Is a change to the code's layout a change to what it makes? Builds are held against frozen ones.

    python -m benchmarks.frozen --write benchmarks/results/<date>-frozen.json   before the change
    python -m benchmarks.frozen --against benchmarks/results/<date>-frozen.json  after it

Builds the demo, and potato leaves for ONNX Runtime with graphs for TensorRT and for OpenVINO, with
one cache. Writes down the SHA-256 of every artefact, the cache keys of every stage, and each report
without what differs from run to run: times, memory, load, the verdict that follows from them, the
floats that a race brought into the running, and paths. Exit code 1 where anything else differs; the
differences are listed.
With `--of FOLDER` builds that lie there are read instead of made.

Hashes of models hold for one machine and one set of package versions: freeze and compare on one.
The photographs and weights are those of `shared/` (CONTRIBUTING.md); without them the demo alone.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

_SHARED = Path(os.environ.get("EDGE_CONVNEXT_TEST_DATA", Path(__file__).parents[2] / "shared"))
_POTATO = (
    "--recipe", "potato",
    "--weights", str(_SHARED / "checkpoints" / "potato-convnextv2-atto-128px.pth"),
    "--data", str(_SHARED / "data" / "potato"),
)  # fmt: skip
BUILDS: Mapping[str, tuple[str, ...]] = {
    "demo": ("--model", "atto", "--target", "cpu", "--runtime", "onnxruntime"),
    "potato-ort": (*_POTATO, "--target", "cpu", "--target", "tensorrt", "--runtime", "onnxruntime"),
    "potato-ov": (*_POTATO, "--target", "cpu", "--runtime", "openvino"),
}
# Compared as values, not as bytes.
_OF_REPORTS = ("report.json", "report.md", "report.html", "manifest.json")
# Parts of a report that a second run of the same code changes.
_TIMED_PARTS = ("benchmark", "verdict", "created", "folder", "environment", "banner")
_TIMED_KEYS = ("seconds", "path", "source")
_TIMED_STAGES = ("benchmark", "engine")
_TIMED_KEYS_OF_CACHE = ("evaluate",)  # which floats are evaluated is for the race to say
_TIMES = re.compile(r"\d+(\.\d+)? (s|%)(?= |$)")


def main(arguments: Sequence[str] | None = None) -> int:
    """Freeze, or compare; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--write", type=Path, help="freeze into this file")
    parser.add_argument("--against", type=Path, help="compare with this file")
    parser.add_argument("--of", type=Path, help="builds that are there: NAME/ of each, and cache/")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.of or _build_all(Path(scratch))
        found = describe(folder)
    if options.write:
        options.write.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n", "utf-8")
    if options.against is None:
        return 0
    lines = list(differences(json.loads(options.against.read_text("utf-8")), found))
    print("\n".join(lines) or "equal: every artefact, every cache key, every report")
    return 1 if lines else 0


def _build_all(folder: Path) -> Path:
    for name, flags in BUILDS.items():
        if "--recipe" in flags and not _SHARED.is_dir():
            print(f"{name}: not run: no photographs in {_SHARED}", file=sys.stderr)
            continue
        command = [sys.executable, "-m", "edge_convnext.cli", "build", "--precision", "int8"]
        command += [*flags, "--rounds", "5", "--out", str(folder / name), "--quiet"]
        environment = os.environ | {"EDGE_CONVNEXT_CACHE": str(folder / "cache")}
        subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)
    return folder


def describe(folder: Path) -> dict[str, Any]:
    """What is compared of finished builds.

    Args:
        folder: With a folder for each of `BUILDS` that ran, and the `cache` they shared.
    """
    builds = [name for name in BUILDS if (folder / name / "report.json").is_file()]
    return {
        "artefacts": {name: dict(_hashes(folder / name)) for name in builds},
        "reports": {name: dict(_report(folder / name)) for name in builds},
        "cache_keys": dict(_cache_keys(folder / "cache")),
    }


def _hashes(build: Path) -> Iterator[tuple[str, str]]:
    for path in sorted(build.rglob("*")):
        if path.is_file() and path.name not in _OF_REPORTS:
            yield path.relative_to(build).as_posix(), hashlib.sha256(path.read_bytes()).hexdigest()


def _report(build: Path) -> Iterator[tuple[str, Any]]:
    report = json.loads((build / "report.json").read_text("utf-8"))
    for name in _TIMED_PARTS:
        report.pop(name, None)
    report["notes"] = [one for one in report["notes"] if not one.startswith("During the timings")]
    if accuracy := report.get("accuracy"):
        shipped = (one for one in accuracy["candidates"] if one["artifact"].startswith("model."))
        accuracy["candidates"] = sorted(shipped, key=lambda one: str(one["artifact"]))
    report["stages"] = [one for one in report["stages"] if one["name"] not in _TIMED_STAGES]
    report["outputs"] = [one for one in report["outputs"] if one["path"] not in _OF_REPORTS]
    yield from _leaves(report, "")


def _leaves(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Every plain value with where it stands; what differs from run to run is left out."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key not in _TIMED_KEYS or "outputs" in path:
                yield from _leaves(inner, f"{path}.{key}")
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            yield from _leaves(inner, f"{path}[{place}]")
    elif isinstance(value, str):
        yield path, _TIMES.sub(r"… \2", value).replace(str(_SHARED), "shared")
    else:
        yield path, value


def _cache_keys(cache: Path) -> Iterator[tuple[str, list[str]]]:
    for entry in sorted(cache.glob("*")):
        keys = sorted(one.parent.name for one in entry.glob("*/entry.json"))
        if keys and entry.name not in _TIMED_KEYS_OF_CACHE:
            yield entry.name, keys


def differences(before: Any, after: Any, where: str = "") -> Iterator[str]:
    """One line for each value that is not the same."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key in sorted(before.keys() | after.keys()):
            yield from differences(before.get(key), after.get(key), f"{where}/{key}")
    elif before != after:
        yield f"{where}: {json.dumps(before)[:200]} became {json.dumps(after)[:200]}"


if __name__ == "__main__":
    sys.exit(main())
