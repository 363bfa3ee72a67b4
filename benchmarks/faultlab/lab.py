"""Short whole builds, each a process of its own that can be watched, hurt and killed.

The network is the smallest that has every stage of a ConvNeXt V2. The laboratory's process has
imported torch and the rest already; a build is a fork of it, so that it takes a second or two and
hundreds fit in an hour. It runs `cli.main` like the command, and it tells when each stage begins.
"""

from __future__ import annotations

import importlib
import os
import random
import select
import shutil
import signal
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import yaml
from PIL import Image

from edge_convnext.core.files import sha256_file
from edge_convnext.report.manifest import MANIFEST, verify_build
from edge_convnext.stages.quantize_nncf import import_nncf

__all__ = ["Build", "Lab", "Outcome", "Reference", "Setup", "valid_or_absent"]

Setup = Callable[[], None]

_MARK = "EDGE_CONVNEXT_FAULT_RUN"  # in the environment of everything that a build starts
_SIZE = ((1, 1, 1, 1), (8, 12, 16, 24))  # in place of atto: depths, widths
_CLASSES = ("ant", "bee", "cat")
_FIXED = ("model.fp32.onnx", "model.int8.onnx", "calibration.csv", "predictions.csv")
_LONGEST_BUILD_S = 600.0
_PRELOADED = (
    *("torch", "torch.onnx._internal.exporter._core", "onnx", "onnxscript", "onnxruntime"),
    *("safetensors.torch", "edge_convnext.cli", "edge_convnext.build.pipeline"),
    *(
        "edge_convnext.build.assemble",
        "edge_convnext.networks.training.train",
        "edge_convnext.stages.recover",
    ),
)

# `board`: what a user brings, for targets that nothing is timed for, with engines where TensorRT
# for RTX is installed. `demo`: trained here, raced here. Between them they have every stage. A
# budget of nothing makes both look for operations to return to float.
_COMMON: dict[str, Any] = {
    "model": "convnextv2_atto",
    "quantize": {"subset_size": 6},
    "recover": {"enabled": True, "images": 9, "epochs": 1, "batch": 4},
    "evaluate": {"max_drop_pp": 0.0},
}
_RECIPES: dict[str, dict[str, Any]] = {
    "board": {
        **_COMMON,
        "targets": ["tensorrt", "rtx"],
        "engine": {"batches": [1], "compute_capabilities": ["8.6"]},
        "export": {"form": "linear", "gelu": "tanh"},  # one export, of some seconds, serves all
        "load": {"weights": "weights.pth"},
        "data": {"source": "images"},
        "preprocess": {"image_size": 32},
    },
    "demo": {
        **_COMMON,
        "targets": ["cpu"],
        "runtime": "onnxruntime",  # which runtime's graph ships is measured
        "data": {"source": "digits"},
        "preprocess": {
            "image_size": 32, "resize": "squash", "mean": [0.5] * 3, "std": [0.5] * 3,
        },
        # As fast as each other are the float forms, and the fastest ships: one alone.
        "export": {"form": "nhwc"},
        "train": {"image_size": 32, "epochs": 2, "batch": 64},
        "benchmark": {"batches": [1], "rounds": 3, "min_round_ms": 2, "warmup": 1},
    },
}  # fmt: skip


@dataclass(frozen=True)
class Outcome:
    """How a build ended."""

    status: int  # exit status; minus the signal where one ended it
    error: str  # what it wrote to stderr
    seconds: float
    stages: tuple[tuple[str, float], ...]  # as they began, seconds from the start

    @property
    def last_stage(self) -> str:
        """The one it was in when it ended."""
        return self.stages[-1][0] if self.stages else "start"

    def is_one_line(self, status: int) -> bool:
        """Whether it ended with this status and one line of error, traceback excluded."""
        lines = [line for line in self.error.splitlines() if line.startswith("error: ")]
        return self.status == status and len(lines) == 1 and "Traceback" not in self.error


@dataclass(frozen=True)
class Reference:
    """An undisturbed build: what the others must come to."""

    hashes: dict[str, str]
    stages: tuple[tuple[str, float], ...]
    seconds: float

    def duration_s(self, index: int) -> float:
        """Of the stage that began `index`-th."""
        ends = [start for _, start in self.stages[1:]] + [self.seconds]
        return ends[index] - self.stages[index][1]


@dataclass
class Build:
    """A build that runs."""

    pid: int
    trace: int  # read end of the pipe that tells of stages
    log: Path
    mark: str
    started: float
    stages: list[tuple[str, float]] = field(default_factory=list)
    _status: int | None = None
    _open: bool = True

    def wait_for(self, stage: str, occurrence: int = 0) -> bool:
        """Wait until a stage begins; False if the build ended before."""
        while sum(name == stage for name, _ in self.stages) <= occurrence:
            if not self._read():
                return False
        return True

    def send(self, number: int) -> None:
        """Send a signal, if it still runs."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def poll(self) -> int | None:
        """Exit status, minus the signal; None while it runs."""
        if self._status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self._status = os.waitstatus_to_exitcode(status)
        return self._status

    def wait(self, longest_s: float = _LONGEST_BUILD_S) -> Outcome:
        """Wait for the end; what takes too long is killed, which the outcome shows."""
        deadline = time.monotonic() + longest_s
        while (status := self.poll()) is None:
            if time.monotonic() > deadline:
                os.kill(self.pid, signal.SIGKILL)
            self._read(0.01)
        ended = time.monotonic() - self.started
        while self._open and self._read(0.0):
            pass
        if self._open:
            os.close(self.trace)
            self._open = False
        error = self.log.read_text(encoding="utf-8", errors="replace")
        return Outcome(status, error, ended, tuple(self.stages))

    def left_behind(self, patience_s: float = 2.0) -> list[int]:
        """Processes that the build started and that outlive it."""
        deadline = time.monotonic() + patience_s
        while (found := _marked(self.mark)) and time.monotonic() < deadline:
            time.sleep(0.01)
        return found

    def _read(self, timeout_s: float = _LONGEST_BUILD_S) -> bool:
        """Take in what the trace says; False at its end, or when there is nothing."""
        if not self._open:
            time.sleep(timeout_s if timeout_s < 1 else 0)
            return False
        ready, _, _ = select.select([self.trace], [], [], timeout_s)
        data = os.read(self.trace, 4096) if ready else b""
        if ready and not data:
            os.close(self.trace)
            self._open = False
        for line in data.decode().splitlines():
            name, _, moment = line.partition(" ")
            self.stages.append((name, float(moment) - self.started))
        return bool(data)


class Lab:
    """A folder with inputs, caches and outputs of many builds.

    Args:
        root: An empty folder.
        seed: Of everything drawn.
    """

    def __init__(self, root: Path, seed: int) -> None:
        self.root = root
        self.random = random.Random(seed)
        self.inputs = root / "inputs"
        self.temporary = root / "tmp"  # the builds' TMPDIR
        self.temporary.mkdir(parents=True)
        self.references: dict[str, Reference] = {}
        for name in _PRELOADED:
            importlib.import_module(name)
        import_nncf()
        importlib.import_module("nncf.onnx")
        _use_small_network()
        _race_two_forms()
        self._write_inputs(np.random.default_rng(seed))

    def start(
        self,
        variant: str,
        cache: Path,
        out: Path,
        setup: Setup | None = None,
        arguments: tuple[str, ...] = (),
    ) -> Build:
        """Fork a build; `setup` runs in it before the command does."""
        log = self.root / f"{uuid.uuid4().hex}.log"
        mark = uuid.uuid4().hex
        reading, writing = os.pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        started = time.monotonic()
        pid = os.fork()
        if pid == 0:
            os.close(reading)
            line = ["build", "--recipe", f"{variant}.yaml", "--out", str(out), *arguments]
            self._run(line, cache, log, mark, writing, setup)
        os.close(writing)
        return Build(pid, reading, log, mark, started)

    def build(
        self,
        variant: str,
        cache: Path,
        out: Path,
        setup: Setup | None = None,
        arguments: tuple[str, ...] = (),
    ) -> Outcome:
        """A build from start to end."""
        return self.start(variant, cache, out, setup, arguments).wait()

    def reference(self, variant: str) -> Reference:
        """An undisturbed build with a cache of its own, made once."""
        if variant not in self.references:
            out, cache = self.root / f"reference-{variant}", self.root / f"whole-{variant}"
            outcome = self.build(variant, cache, out)
            if outcome.status != 0:
                raise RuntimeError(f"the undisturbed build failed: {outcome.error}")
            made = Reference(self.hashes(out), outcome.stages, outcome.seconds)
            self.references[variant] = made
        return self.references[variant]

    def is_same(self, variant: str, out: Path) -> bool:
        """Whether a build's files are those of the undisturbed one, and nothing else lies there."""
        hidden = [path for path in out.iterdir() if path.name.startswith(".")]
        return self.hashes(out) == self.reference(variant).hashes and not hidden

    def hashes(self, out: Path) -> dict[str, str]:
        """SHA-256 of what two builds must have in common."""
        return {name: sha256_file(out / name) for name in _FIXED if (out / name).is_file()}

    def folder(self, name: str) -> Path:
        """A name that nothing has yet."""
        return self.root / f"{name}-{uuid.uuid4().hex[:8]}"

    def copy_cache(self, variant: str) -> Path:
        """The whole cache of the undisturbed build, to be spoilt."""
        self.reference(variant)
        copy = self.folder("cache")
        shutil.copytree(self.root / f"whole-{variant}", copy)
        return copy

    @contextmanager
    def scratch(self, name: str) -> Iterator[tuple[Path, Path]]:
        """A cache folder and an output folder, removed afterwards."""
        base = self.folder(name)
        base.mkdir()
        try:
            yield base / "cache", base / "out"
        finally:
            shutil.rmtree(base, ignore_errors=True)

    def _run(
        self, line: list[str], cache: Path, log: Path, mark: str, trace: int, setup: Setup | None
    ) -> NoReturn:
        status = 70
        try:
            descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            nothing = os.open(os.devnull, os.O_RDWR)
            for source, target in ((nothing, 0), (nothing, 1), (descriptor, 2)):
                os.dup2(source, target)
            os.setpgid(0, 0)
            os.chdir(self.inputs)
            os.environ |= {
                "EDGE_CONVNEXT_CACHE": str(cache), "TMPDIR": str(self.temporary), _MARK: mark,
            }  # fmt: skip
            tempfile.tempdir = None
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            _tell_stages(trace)
            if setup:
                setup()
            sys.argv = ["edge-convnext", *line]
            from edge_convnext.cli import main

            try:
                main()
                status = 0
            except SystemExit as leaving:
                status = leaving.code if isinstance(leaving.code, int) else 0
            sys.stderr.flush()
        except BaseException:
            import traceback

            traceback.print_exc()
            sys.stderr.flush()
        finally:
            os._exit(status)

    def _write_inputs(self, random: np.random.Generator) -> None:
        for side in ("train", "val"):
            for name in _CLASSES:
                folder = self.inputs / "images" / side / name
                folder.mkdir(parents=True)
                for index in range(8):
                    pixels = random.integers(0, 256, (40, 48, 3), dtype=np.uint8)
                    Image.fromarray(pixels).save(folder / f"{index}.png")
        for name, recipe in _RECIPES.items():
            (self.inputs / f"{name}.yaml").write_text(yaml.safe_dump({"name": name, **recipe}))
        pid = os.fork()  # torch's threads must not start where builds are forked from
        if pid == 0:
            try:
                _write_weights(self.inputs / "weights.pth")
            finally:
                os._exit(0)
        os.waitpid(pid, 0)


def valid_or_absent(out: Path) -> bool:
    """Whether a folder has a whole build, or none that says it is one."""
    if not (out / MANIFEST).is_file():
        return True
    return all(check.state == "unchanged" for check in verify_build(out))


def _use_small_network() -> None:
    from edge_convnext.networks.convnext import sizes as architecture

    architecture.SIZES["atto"] = _SIZE


def _race_two_forms() -> None:
    """The raw export and the plan's: each form costs some seconds, in the same two stages."""
    from edge_convnext.build import float_forms, lanes
    from edge_convnext.networks.plans import plan_for

    lanes.SecondLane._has_room = lambda *_: False  # faults are put into this process
    float_forms.list_forms = lambda recipe, runtimes: list(
        dict.fromkeys(["raw", *(plan_for(recipe, one).form for one in runtimes)])
    )


def _write_weights(path: Path) -> None:
    import torch

    from edge_convnext.networks.convnext.build import random_state
    from edge_convnext.networks.convnext.sizes import find_architecture

    state = random_state(find_architecture("atto", len(_CLASSES)), 0)
    torch.save({"model": state}, path)


def _tell_stages(trace: int) -> None:
    """Have the build write the name of each stage that begins its work."""
    from edge_convnext.build import entrants, pipeline
    from edge_convnext.build import runner as steps
    from edge_convnext.core.cache import Cache
    from edge_convnext.core.cache_entries import Entry

    def tell(stage: str) -> None:
        with suppress(BrokenPipeError):
            os.write(trace, f"{stage} {time.monotonic()}\n".encode())

    run, logits = Cache.run, steps.Runner.logits
    race, write = entrants.race, pipeline.publish

    def traced_run(self: Cache, stage: str, key: str, make: Callable[..., Any]) -> Entry:
        def traced(folder: Path) -> dict[str, Any]:
            tell(stage)
            result: dict[str, Any] = make(folder)
            return result

        entry = run(self, stage, key, traced)
        tell("between")
        return entry

    def traced_call(stage: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def traced(*arguments: Any, **named: Any) -> Any:
            tell(stage)
            return function(*arguments, **named)

        return traced

    Cache.run = traced_run  # type: ignore[method-assign]
    steps.Runner.logits = traced_call("evaluate", logits)  # type: ignore[method-assign]
    entrants.race = traced_call("benchmark", race)
    pipeline.publish = traced_call("publish", write)


def _marked(mark: str) -> list[int]:
    needle = f"{_MARK}={mark}".encode()
    found = []
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        with suppress(OSError):
            state = (folder / "stat").read_text().rpartition(")")[2].split()[0]
            if state != "Z" and needle in (folder / "environ").read_bytes():
                found.append(int(folder.name))
    return found
