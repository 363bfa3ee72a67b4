"""Whole builds, each gated by the command as a CI job would gate it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from benchmarks.gatelab import plants
from edge_convnext.build.pipeline import build
from edge_convnext.core.cache import Cache, stage_key
from edge_convnext.core.contention import QUIET_PCT
from edge_convnext.core.files import sha256_file
from edge_convnext.core.recipe import Recipe
from edge_convnext.devices.doctor import environment
from edge_convnext.networks.recipe_file import make_recipe
from edge_convnext.report.contract import Report

__all__ = ["BATCH", "Lab", "Row", "Settings"]

Row = dict[str, Any]

_PATIENCE = 10  # builds
_PAUSE_S = 20.0
_COMMAND = "from edge_convnext.cli import main; main()"
BATCH = 32  # images per inference, where no time is taken


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
    whole: bool = False  # with rival float forms and memory: twice the time
    on_a_busy_machine: bool = False  # accuracy alone will be decided


@dataclass
class Lab:
    """Builds in a folder, against the baseline that the first of them gave."""

    folder: Path
    settings: Settings

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
            "evaluate": {"batch": BATCH, "fallback": False},
            "benchmark": {
                "batches": [1], "threads": settings.threads, "rounds": settings.rounds,
                "min_round_ms": settings.round_ms,
            },
        }  # fmt: skip
        return make_recipe({**fields, **changes}, "gate_selftest")

    def start(self) -> Report:
        """Make the first build and its baseline, unless they are there.

        On a busy machine it is timed again, some times: the rest of it is in the cache.

        Raises:
            RuntimeError: It does not pass the gate, or was never timed in quiet.
        """
        kept = self.folder / f"first-{self.key}.json"
        if self.baseline.is_file() and kept.is_file():
            return Report.read(kept)
        load = 0.0
        for _ in range(_PATIENCE):
            with self.built("first", 0) as (report, folder):
                load = (report.benchmark and report.benchmark.other_load_pct) or 0.0
                if load <= QUIET_PCT or self.settings.on_a_busy_machine:
                    found = self.gate(folder, "--max-drop", self.settings.max_drop_pp,
                                      "--save-baseline", self.baseline)  # fmt: skip
                    if found["decision"] != "pass":
                        raise RuntimeError(f"the first build does not pass: {found}")
                    report.write(kept)
                    return report
            time.sleep(_PAUSE_S)
        raise RuntimeError(
            f"other programs took {load:.0f} % of the CPU while the first build was timed, so the "
            "gate would compare no speed with it; wait until they are done, or pass --busy"
        )

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

    def judged(self, report: Report, folder: Path, against_baseline: bool = True) -> Row:
        """Gate a build, and tell what a reader of the row may ask.

        Args:
            report: Of the build.
            folder: Of the build.
            against_baseline: With the limits on speed; else on accuracy, against its own FP32.
        """
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
    def built(self, name: str, seed: int, **changes: Any) -> Iterator[tuple[Report, Path]]:
        """Build; afterwards the folder goes, and what the cache got, but for the first build's."""
        folder = self.scratch(f"{name}-{seed}")
        before = set(self.cache.root.glob("*/*"))
        forms = plants.lean_builds() if not self.settings.whole else nullcontext()
        try:
            with forms:
                yield build(self.recipe(seed, **changes), folder, cache=self.cache), folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            if name != "first":
                for entry in set(self.cache.root.glob("*/*")) - before:
                    shutil.rmtree(entry, ignore_errors=True)

    def scratch(self, name: str) -> Path:
        """An empty folder of this name."""
        folder = self.folder / "builds" / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return folder
