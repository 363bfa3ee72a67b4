"""One build after another, each gated by the command as a CI job would: a row for each."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.gatelab import plants
from edge_convnext.benchmark import Candidate, benchmark, speedup
from edge_convnext.cache import Cache, stage_key
from edge_convnext.data import iter_batches
from edge_convnext.doctor import environment
from edge_convnext.files import sha256_file
from edge_convnext.inputs import Inputs, prepare_inputs
from edge_convnext.pipeline import build
from edge_convnext.progress import untracked
from edge_convnext.recipe import BenchmarkConfig, Recipe, make_recipe
from edge_convnext.report import Report
from edge_convnext.runtimes import RuntimeOptions, load_runtime
from edge_convnext.weights import save_weights

__all__ = ["Lab", "Row", "Settings"]

Row = dict[str, Any]

_COMMAND = "from edge_convnext.cli import main; main()"
_BATCH = 32


@dataclass(frozen=True)
class Settings:
    """What decides the rows: others are not counted with these."""

    weights: str
    data: str
    image_size: int
    runtime: str = "onnxruntime"
    threads: int = 2
    calibration_images: int = 100
    rounds: int = 20
    round_ms: int = 30
    max_drop_pp: float = 1.0
    max_latency_ratio: float = 1.08
    kept_speedup: float = 0.95  # of the first build's, as --min-speedup
    planted_pp: float = 3.0
    tolerance_pp: float = 0.3
    planted_slowdown: float = 1.15
    slowdown_tolerance: float = 0.02
    whole: bool = False  # every rival float form too: twice the time


@dataclass
class Lab:
    """Builds in a folder, against the baseline that the first of them gave."""

    folder: Path
    settings: Settings
    guesses: dict[str, float] = field(default_factory=dict)  # strength of a plant, from the last

    @cached_property
    def machine(self) -> dict[str, Any]:
        """Of the environment."""
        return environment()

    @cached_property
    def key(self) -> str:
        """Of everything that decides the rows."""
        facts = {
            "settings": asdict(self.settings),
            "weights": sha256_file(Path(self.settings.weights)),
            "versions": self.machine["versions"],
            "machine": self.machine["fingerprint"],
        }
        return stage_key("gate-selftest/1", **facts)[:16]

    @cached_property
    def cache(self) -> Cache:
        """Of these builds alone."""
        return Cache(self.folder / "cache")

    @property
    def baseline(self) -> Path:
        """From the first build."""
        return self.folder / f"baseline-{self.key}.json"

    def recipe(self, seed: int, **changes: Any) -> Recipe:
        """Of a build; `changes` are sections."""
        settings = self.settings
        fields: dict[str, Any] = {
            "name": "gate-selftest",
            "targets": ["cpu"],
            "runtime": settings.runtime,
            "seed": seed,
            "load": {"weights": settings.weights},
            "data": {"source": settings.data},
            "preprocess": {"image_size": settings.image_size},
            "simplify": {"enabled": settings.whole},
            "quantize": {"subset_size": settings.calibration_images},
            # Nothing may mend a plant before the gate sees it.
            "evaluate": {"batch": _BATCH, "fallback": False},
            "benchmark": {
                "batches": [1], "threads": settings.threads, "rounds": settings.rounds,
                "min_round_ms": settings.round_ms,
            },
        }  # fmt: skip
        return make_recipe({**fields, **changes}, "gate_selftest")

    def start(self) -> Report:
        """Make the first build and its baseline, unless they are there."""
        kept = self.folder / f"first-{self.key}.json"
        if self.baseline.is_file() and kept.is_file():
            return Report.read(kept)
        with self._built("first", 0) as (report, folder):
            found = self.gate(folder, "--max-drop", self.settings.max_drop_pp,
                              "--save-baseline", self.baseline)  # fmt: skip
            if found["decision"] != "pass":
                raise RuntimeError(f"the first build does not pass: {found}")
            report.write(kept)
        return report

    def run(self, scenario: str, seed: int) -> Row:
        """Make one build of a scenario, gate it, and leave nothing but the row.

        Args:
            scenario: Name of a method here, such as `honest`.
            seed: Of the draws; 0 is the baseline's.
        """
        started = time.perf_counter()
        found = getattr(self, scenario)(seed)
        return {
            "key": self.key,
            "scenario": scenario,
            "seed": seed,
            "seconds": round(time.perf_counter() - started, 1),
            "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            **found,
        }

    def honest(self, seed: int) -> Row:
        """The same recipe on other calibration images."""
        with self._built("honest", seed) as (report, folder):
            return self._judged(report, folder)

    def noise(self, seed: int) -> Row:
        """Noise in the checkpoint, as much as costs FP32 the planted accuracy."""
        before = self._torch_top1_pct(self._checkpoint.state)

        def drop(scale: float) -> float:
            noisy = plants.add_noise(self._checkpoint.state, scale, seed)
            return before - self._torch_top1_pct(noisy)

        settings = self.settings
        guess = self.guesses.get("noise", 0.2)
        scale, cost = plants.find_scale(drop, settings.planted_pp, settings.tolerance_pp, guess)
        self.guesses["noise"] = scale
        state = plants.add_noise(self._checkpoint.state, scale, seed)
        with self._built("noise", seed, **self._with(state)) as (report, folder):
            return {
                "planted": {"scale": scale, "fp32_drop_pp": cost},
                **self._judged(report, folder),
            }

    def noise_int8(self, seed: int) -> Row:
        """Noise in the INT8 weights alone, which the build's own FP32 tells: no baseline."""
        labels, before = self._labels, self._first_fp32_pct
        planted: dict[str, float] = {}

        def change(source: Path, target: Path) -> None:
            def drop(scale: float) -> float:
                plants.add_noise_int8(source, target, scale, seed)
                options = RuntimeOptions(self.settings.threads, _BATCH, "f32")
                runtime = load_runtime(self.settings.runtime, target, options)  # type: ignore[arg-type]
                right = [
                    runtime.infer(self._images[start : start + _BATCH]).argmax(axis=1)
                    for start in range(0, len(self._images), _BATCH)
                ]
                return before - 100.0 * float((np.concatenate(right) == labels).mean())

            settings = self.settings
            guess = self.guesses.get("noise_int8", 0.2)
            found = plants.find_scale(drop, settings.planted_pp, settings.tolerance_pp, guess)
            planted["scale"], planted["int8_drop_pp"] = found
            self.guesses["noise_int8"] = found[0]
            plants.add_noise_int8(source, target, found[0], seed)

        work = self._scratch(f"changed-{seed}")
        with (
            plants.int8_changed(change, work),
            self._built("noise_int8", seed) as (report, folder),
        ):
            return {"planted": planted, **self._judged(report, folder, against_baseline=False)}

    def slow(self, seed: int) -> Row:
        """Work in the INT8 graph that changes no answer."""
        planted: dict[str, float] = {}

        def change(source: Path, target: Path) -> None:
            def slowdown(channels: float) -> float:
                plants.add_work(source, target, max(1, round(channels)), seed)
                return self._slowdown(source, target) - 1.0

            wanted = self.settings.planted_slowdown - 1.0
            guess = self.guesses.get("slow", 16.0)
            found = plants.find_scale(slowdown, wanted, self.settings.slowdown_tolerance, guess)
            planted["channels"], planted["latency_ratio"] = round(found[0]), found[1] + 1.0
            self.guesses["slow"] = found[0]

        work = self._scratch(f"changed-{seed}")
        with plants.int8_changed(change, work), self._built("slow", seed) as (report, folder):
            return {"planted": planted, **self._judged(report, folder)}

    def classes(self, seed: int) -> Row:
        """The classes in another order."""
        state = plants.reorder_classes(self._checkpoint.state, seed)
        with self._built("classes", seed, **self._with(state)) as (report, folder):
            return self._judged(report, folder)

    def statistics(self, seed: int) -> Row:
        """Another mean and standard deviation than the model was trained with."""
        mean, std = plants.WRONG_STATISTICS[(seed - 1) % len(plants.WRONG_STATISTICS)]
        size = self.settings.image_size
        wrong = {"image_size": size, "mean": mean, "std": std}
        with self._built("statistics", seed, preprocess=wrong) as (report, folder):
            return {"planted": {"mean": mean, "std": std}, **self._judged(report, folder)}

    def gate(self, folder: Path, *arguments: object) -> dict[str, Any]:
        """Run the command as in CI: strict, JSON; with its exit code."""
        line = [sys.executable, "-c", _COMMAND, "gate", str(folder), "--json"]
        done = subprocess.run(
            [*line, *map(str, arguments)],
            env={**os.environ, "CI": "true", "GITHUB_ACTIONS": ""},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode not in (0, 1):
            return {"exit_code": done.returncode, "decision": "refused", "why": done.stderr.strip()}
        fields = json.loads(done.stdout)
        if fields["passed"] != (done.returncode == 0):
            raise RuntimeError(f"exit code {done.returncode} contradicts the decision: {fields}")
        names = ("name", "decision", "measured", "interval", "limit")
        criteria = [{name: one[name] for name in names} for one in fields["criteria"]]
        return {
            "exit_code": done.returncode,
            "decision": fields["decision"],
            "criteria": criteria,
        }

    @property
    def limits(self) -> dict[str, float]:
        """What the gate is asked, by option; what needs a baseline is left out without one."""
        settings = self.settings
        return {
            "--max-drop": settings.max_drop_pp,
            "--min-speedup": self._min_speedup,
            "--max-latency-ratio": settings.max_latency_ratio,
        }

    def _judged(self, report: Report, folder: Path, against_baseline: bool = True) -> Row:
        benchmark = report.benchmark
        assert benchmark is not None
        assert report.accuracy is not None
        stated = [word for pair in self.limits.items() for word in pair]
        limits = [*stated, "--baseline", self.baseline] if against_baseline else stated[:2]
        return {
            **self.gate(folder, *limits),
            "int8_top1_pct": report.accuracy.int8.top1_pct if report.accuracy.int8 else None,
            "fp32_top1_pct": report.accuracy.fp32.top1_pct,
            "model_sha256": sha256_file(folder / "model.int8.onnx"),
            "other_load_pct": benchmark.other_load_pct,
            "cached": [stage.name for stage in report.stages if stage.status == "cached"],
        }

    @property
    def _min_speedup(self) -> float:
        first = self.start().benchmark
        assert first is not None
        assert first.speedup_vs_best_float is not None
        return round(self.settings.kept_speedup * first.speedup_vs_best_float, 3)

    @contextmanager
    def _built(self, name: str, seed: int, **changes: Any) -> Iterator[tuple[Report, Path]]:
        """Build; afterwards the folder goes, and what the cache got, but for the first build's."""
        folder = self._scratch(f"{name}-{seed}")
        before = set(self.cache.root.glob("*/*"))
        forms = plants.one_float_form() if not self.settings.whole else _unchanged()
        try:
            with forms:
                yield build(self.recipe(seed, **changes), folder, cache=self.cache), folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            if name != "first":
                for entry in set(self.cache.root.glob("*/*")) - before:
                    shutil.rmtree(entry, ignore_errors=True)

    def _scratch(self, name: str) -> Path:
        folder = self.folder / "builds" / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return folder

    @cached_property
    def _inputs(self) -> Inputs:
        return prepare_inputs(self.recipe(0), self.cache, self.machine["versions"], untracked)

    @cached_property
    def _checkpoint(self) -> Any:
        from edge_convnext.checkpoint import read_checkpoint

        return read_checkpoint(Path(self.settings.weights))

    @cached_property
    def _images(self) -> NDArray[np.float32]:
        """float32[N, 3, S, S], normalised."""
        info, images = self._inputs.info, self._inputs.evaluation
        assert images is not None
        return np.concatenate(list(iter_batches(images.samples, info.preprocess, 256)))

    @cached_property
    def _labels(self) -> NDArray[np.int64]:
        assert self._inputs.evaluation is not None
        return np.array([sample.label for sample in self._inputs.evaluation.samples], np.int64)

    @cached_property
    def _first_fp32_pct(self) -> float:
        accuracy = self.start().accuracy
        assert accuracy is not None
        return accuracy.fp32.top1_pct

    def _torch_top1_pct(self, state: Any) -> float:
        from edge_convnext.convnext.network import build_network
        from edge_convnext.runtimes.pytorch import TorchRuntime

        path = self.folder / "planted.safetensors"
        info = self._inputs.info
        weights = save_weights(state, self._checkpoint.architecture, info, path)
        runtime = TorchRuntime(build_network(weights, "raw"), self.settings.threads)
        right = 0
        for start in range(0, len(self._images), 128):
            answers = runtime.infer(self._images[start : start + 128]).argmax(axis=1)
            right += int((answers == self._labels[start : start + 128]).sum())
        return 100.0 * right / len(self._labels)

    def _with(self, state: Any) -> dict[str, Any]:
        """Changes to the recipe: these weights."""
        import torch

        path = self.folder / "planted.pth"
        torch.save({"model": {name: tensor.contiguous() for name, tensor in state.items()}}, path)
        return {"load": {"weights": str(path)}}

    def _slowdown(self, clean: Path, slow: Path) -> float:
        """Latency of the second graph over the first's, interleaved."""
        pair = [
            Candidate(name, path, "int8", "raw", None, self.settings.runtime, "f32")  # type: ignore[arg-type]
            for name, path in (("clean", clean), ("slow", slow))
        ]
        settings = self.settings
        config = BenchmarkConfig(
            batches=(1,), threads=settings.threads, rounds=settings.rounds,
            min_round_ms=settings.round_ms,
        )  # fmt: skip
        result = benchmark(pair, self._images[:32], config, measure_memory=False)
        return speedup(result, "clean", "slow", 1).median


@contextmanager
def _unchanged() -> Iterator[None]:
    yield
