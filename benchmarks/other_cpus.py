"""What a bundle's graphs compute, and run in INT8, on CPUs that are emulated here.

    python -m benchmarks.other_cpus atto.ecb --qemu qemu-aarch64 --root ROOT --cpu cortex-a76
    python -m benchmarks.other_cpus atto.ecb --qemu qemu-x86_64 --cpu Haswell --seven-bits

By hand, and not in `.ci/run`: QEMU (user mode, 10 or newer) is needed, and for aarch64 a root with
Python and the packages of a board's install unpacked below `opt/site`, which `debootstrap` and `pip
download --platform` fetch. Nothing is timed: emulation says nothing of speed. Exits with 1 where no
INT8 graph has all its products in INT8 in ONNX Runtime, or in OpenVINO if that is in the root.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edge_convnext.core.errors import EdgeConvNextError
from edge_convnext.core.metrics import compare_logits
from edge_convnext.devices.bundle import open_bundle
from edge_convnext.runtimes import RuntimeOptions
from edge_convnext.runtimes.load import available_runtimes, count_int8, find_runtime, load_runtime

ROOT = Path(__file__).parents[1]
# Products of uint8 by uint8, and of int8 by int8, in place of uint8 by int8.
_SETTINGS = ("session.x64quantprecision", "session.qdqisint8allowed")
_LEVELS = 63  # of weights in seven bits: no sum of two products leaves 16 bits


@dataclass(frozen=True)
class Job:
    """One graph in one runtime."""

    graph: str  # its name
    path: str
    precision: str
    runtime: str
    settings: tuple[tuple[str, str], ...] = ()

    @property
    def name(self) -> str:
        """The row's first cell."""
        return " ".join(
            [self.graph, self.runtime, *(f"{key}={value}" for key, value in self.settings)]
        )


def run_jobs(jobs: list[Job], images: Path, folder: Path) -> dict[str, Any]:
    """Run each graph on this CPU, real or emulated; logits go to `folder`.

    Returns:
        By the job's name: products planned and found, or the error.
    """
    pixels = np.load(images)
    found: dict[str, Any] = {}
    for number, job in enumerate(jobs):
        options = RuntimeOptions(1, 1, "f32", tuple(map(tuple, job.settings)))
        try:
            runtime = load_runtime(job.runtime, Path(job.path), options)
            logits = np.concatenate(
                [runtime.infer(pixels[at : at + 1]) for at in range(len(pixels))]
            )
            np.save(folder / f"{number}.npy", logits)
            row: dict[str, Any] = {"logits": number}
            if job.precision == "int8":
                counted = count_int8(job.runtime, Path(job.path), options)
                row |= {} if counted is None else asdict(counted)
        except EdgeConvNextError as error:
            row = {"error": str(error)}
        found[job.name] = row
        print(f"{job.name}: {row.get('error') or 'ran'}", file=sys.stderr, flush=True)
    return found


def list_jobs(unpacked: Any, runtimes: list[str], seven: Path | None) -> list[Job]:
    """Every CPU graph in every runtime, on x86 with exact products too, and with fewer levels."""
    jobs = []
    for graph in unpacked.manifest.graphs:
        if graph.kind != "cpu":
            continue
        path = unpacked.graph_path(graph)
        for runtime in runtimes:
            if graph.format not in find_runtime(runtime).FORMATS:
                continue
            jobs.append(Job(graph.name, str(path), graph.precision, runtime))
            if seven is None or graph.precision != "int8":
                continue
            if runtime == "onnxruntime":
                jobs += [
                    Job(graph.name, str(path), graph.precision, runtime, ((name, "1"),))
                    for name in _SETTINGS
                ]
            fewer = seven / f"{Path(graph.name).stem}.7bit.onnx"
            write_seven_bits(path, fewer)
            jobs.append(Job(fewer.name, str(fewer), graph.precision, runtime))
    return jobs


def write_seven_bits(path: Path, output: Path) -> None:
    """Round a graph's INT8 weights to 63 levels on each side, their scales to match."""
    import onnx
    from onnx import numpy_helper

    proto = onnx.load(str(path))
    constants = {tensor.name: tensor for tensor in proto.graph.initializer}
    for name, scale in _weights_of(proto, constants):
        stored = numpy_helper.to_array(constants[name])
        middle = 128 if stored.dtype == np.uint8 else 0
        rounded = np.rint((stored.astype(np.int32) - middle) * (_LEVELS / 127)) + middle
        fewer = rounded.astype(stored.dtype)
        constants[name].CopyFrom(numpy_helper.from_array(fewer, name))
        wider = numpy_helper.to_array(constants[scale]) * np.float32(127 / _LEVELS)
        constants[scale].CopyFrom(numpy_helper.from_array(wider, scale))
    onnx.save(proto, str(output))


def _weights_of(proto: Any, constants: dict[str, Any]) -> list[tuple[str, str]]:
    """Constants of INT8 weights, each with that of its scale, in Q/DQ and in fused products."""
    places = {"DequantizeLinear": (0, 1), "MatMulIntegerToFloat": (1, 3)}
    pairs = [
        tuple(node.input[place] for place in places[node.op_type])
        for node in proto.graph.node
        if node.op_type in places
    ]
    return list(dict.fromkeys((name, scale) for name, scale in pairs if name in constants))


def _emulate(options: argparse.Namespace, line: list[str]) -> None:
    """Run this module's inner half on the emulated CPU."""
    environment = {**os.environ, "ORT_DISABLE_TELEMETRY": "1", "QEMU_CPU": options.cpu}
    python, paths = sys.executable, [str(ROOT)]
    emulator = [options.qemu]
    if options.root is not None:
        emulator += ["-L", str(options.root)]
        python = str(options.root / options.python)
        paths += [str(options.root / "opt/site")]
        environment = {"PATH": "/usr/bin", "HOME": "/tmp", **{
            key: environment[key] for key in ("ORT_DISABLE_TELEMETRY", "QEMU_CPU")
        }}  # fmt: skip
    environment["PYTHONPATH"] = ":".join(paths)
    command = [*emulator, python, "-m", "benchmarks.other_cpus", *line]
    subprocess.run(command, cwd=ROOT, env=environment, check=True)


def _table(jobs: list[Job], here: dict[str, Any], there: dict[str, Any], folders: Any) -> list[str]:
    floats = next(job for job in jobs if job.precision == "fp32" and job.runtime == "onnxruntime")

    def logits(found: dict[str, Any], folder: Path, job: Job) -> Any:
        return np.load(folder / f"{found[job.name]['logits']}.npy")

    reference = logits(here, folders[0], floats)
    lines = [
        "| graph | INT8 products | vs this CPU dB | vs FP32 dB here | vs FP32 dB there | agree % |",
        "|---|---|---|---|---|---|",
    ]
    for job in jobs:
        if job.name not in there:
            continue
        own, other = here[job.name], there[job.name]
        if "error" in other:
            lines.append(f"| {job.name} | does not run: {other['error']} | | | | |")
            continue
        count = f"{other['found']} of {len(other['planned'])}" if "found" in other else ""
        ran = logits(there, folders[1], job)
        against = compare_logits(reference, ran)
        cells = [count, "", "", _db(against), f"{against.agreement_pct:.1f}"]
        if "error" not in own:
            mine = logits(here, folders[0], job)
            cells[1:3] = [_db(compare_logits(mine, ran)), _db(compare_logits(reference, mine))]
        lines.append(f"| {job.name} | {' | '.join(cells)} |")
    return lines


def _db(found: Any) -> str:
    return "equal" if found.sqnr_db is None else f"{found.sqnr_db:.1f}"


def _passed(there: dict[str, Any], runtimes: list[str]) -> bool:
    """Whether each runtime has a graph all of whose planned products run in INT8."""

    def whole(runtime: str) -> bool:
        rows = [row for name, row in there.items() if f" {runtime}" in name and "found" in row]
        return any(row["found"] == len(row["planned"]) > 0 for row in rows)

    return all(map(whole, runtimes))


def main() -> int:
    options = _parse()
    if options.inside:
        jobs, images, folder = options.inside
        listed = [Job(**one) for one in json.loads(Path(jobs).read_text(encoding="utf-8"))]
        found = run_jobs(listed, Path(images), Path(folder))
        (Path(folder) / "found.json").write_text(json.dumps(found), encoding="utf-8")
        return 0
    with tempfile.TemporaryDirectory() as scratch:
        work = Path(scratch)
        folders = work / "here", work / "there"
        for one in (*folders, work / "seven"):
            one.mkdir()
        unpacked = open_bundle(options.bundle).unpack(work / "bundle")
        images = unpacked.evaluation()
        assert images is not None, "bundle the build with its images"
        np.save(work / "images.npy", next(iter(images.batches(options.images))))
        runtimes = [one for one in available_runtimes() if one in options.runtime]
        jobs = list_jobs(unpacked, runtimes, work / "seven" if options.seven_bits else None)
        emulated = [one for one in jobs if options.floats or one.precision == "int8"]
        text = json.dumps([asdict(one) for one in emulated])
        (work / "jobs.json").write_text(text, encoding="utf-8")
        here = run_jobs(jobs, work / "images.npy", folders[0])
        names = [str(work / "jobs.json"), str(work / "images.npy"), str(folders[1])]
        _emulate(options, ["--inside", *names])
        there = json.loads((folders[1] / "found.json").read_text(encoding="utf-8"))
        print("\n".join(_table(jobs, here, there, folders)), flush=True)
        return 0 if _passed(there, runtimes) else 1


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("bundle", type=Path, nargs="?")
    parser.add_argument("--qemu", default="qemu-aarch64")
    parser.add_argument("--cpu", default="cortex-a76", help="as `QEMU -cpu help` names them")
    parser.add_argument("--root", type=Path, help="root of another architecture")
    parser.add_argument("--python", default="usr/bin/python3.11", help="in that root")
    parser.add_argument("--images", type=int, default=16)
    parser.add_argument("--runtime", nargs="+", default=["onnxruntime", "openvino"])
    parser.add_argument("--floats", action="store_true", help="emulate the float graphs too")
    parser.add_argument("--seven-bits", action="store_true", help="try fewer levels of weights too")
    parser.add_argument("--inside", nargs=3, help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
