"""One function for each kind of build: it makes one, has it gated, and says what was planted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.gatelab import plants
from benchmarks.gatelab.lab import BATCH, Lab, Row
from edge_convnext.build.inputs import Inputs, prepare_inputs
from edge_convnext.core.artifacts import OnnxModel
from edge_convnext.core.progress import untracked
from edge_convnext.core.sections import BenchmarkConfig
from edge_convnext.data.batches import iter_batches
from edge_convnext.measure.benchmark import benchmark, speedup
from edge_convnext.measure.candidates import Candidate
from edge_convnext.networks.checkpoint import Checkpoint, read_checkpoint
from edge_convnext.networks.weights import save_weights
from edge_convnext.runtimes import Runtime, RuntimeOptions
from edge_convnext.runtimes.load import load_runtime

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["SCENARIOS", "Bench", "Scenario"]


@dataclass
class Bench:
    """What plants are measured with before they are planted."""

    lab: Lab
    strengths: dict[str, float] = field(default_factory=dict)  # that were found last

    @cached_property
    def inputs(self) -> Inputs:
        """Of the first build."""
        return prepare_inputs(self.lab.recipe(0), self.lab.cache, self._versions, untracked)

    @cached_property
    def checkpoint(self) -> Checkpoint:
        """As it was trained."""
        return read_checkpoint(Path(self.lab.settings.weights))

    @cached_property
    def images(self) -> NDArray[np.float32]:
        """The evaluation set, float32[N, 3, S, S], normalised."""
        info, images = self.inputs.info, self.inputs.evaluation
        assert images is not None
        return np.concatenate(list(iter_batches(images.samples, info.preprocess, 256)))

    @cached_property
    def labels(self) -> NDArray[np.int64]:
        """Of the evaluation set, int64[N]."""
        assert self.inputs.evaluation is not None
        return np.array([sample.label for sample in self.inputs.evaluation.samples], np.int64)

    @property
    def _versions(self) -> dict[str, str]:
        versions: dict[str, str] = self.lab.machine["versions"]
        return versions

    def top1_pct(self, runtime: Runtime) -> float:
        """Of the evaluation set."""
        starts = range(0, len(self.images), BATCH)
        said = [
            runtime.infer(self.images[start : start + BATCH]).argmax(axis=1) for start in starts
        ]
        return 100.0 * float((np.concatenate(said) == self.labels).mean())

    def graph_top1_pct(self, path: Path) -> float:
        """Of an INT8 graph."""
        settings = self.lab.settings
        options = RuntimeOptions(settings.threads, BATCH, "f32")
        return self.top1_pct(load_runtime(settings.runtime, path, options))

    def float_top1_pct(self, state: dict[str, Tensor]) -> float:
        """Of weights, in torch."""
        from edge_convnext.networks.convnext.build import build_network
        from edge_convnext.runtimes.pytorch import TorchRuntime

        path = self.lab.folder / "planted.safetensors"
        weights = save_weights(state, self.checkpoint.architecture, self.inputs.info, path)
        return self.top1_pct(TorchRuntime(build_network(weights, "raw"), self.lab.settings.threads))

    def slowdown(self, clean: Path, slow: Path) -> float:
        """Latency of the second graph over the first's, interleaved."""
        settings = self.lab.settings
        pair = [
            Candidate(OnnxModel(path, "int8", "raw"), name, settings.runtime, "f32", title=name)
            for name, path in (("clean", clean), ("slow", slow))
        ]
        config = BenchmarkConfig(
            batches=(1,), threads=settings.threads, rounds=settings.rounds,
            min_round_ms=settings.round_ms,
        )  # fmt: skip
        result = benchmark(pair, self.images[:32], config, measure_memory=False)
        return speedup(result, "clean", "slow", 1).median

    def find(
        self, plant: str, guess: float, hurt: Callable[[float], float], wanted: float, near: float
    ) -> tuple[float, float]:
        """`plants.find_scale`, beginning with what was found for the seed before."""
        found = plants.find_scale(hurt, wanted, near, self.strengths.get(plant, guess))
        self.strengths[plant] = found[0]
        return found

    def use(self, state: dict[str, Tensor]) -> dict[str, Any]:
        """Changes to the recipe: these weights."""
        import torch

        path = self.lab.folder / "planted.pth"
        torch.save({"model": {name: one.contiguous() for name, one in state.items()}}, path)
        return {"load": {"weights": str(path)}}


def honest(bench: Bench, seed: int) -> Row:
    """The same recipe on other calibration images."""
    with bench.lab.built("honest", seed) as (report, folder):
        return bench.lab.judged(report, folder)


def noise(bench: Bench, seed: int) -> Row:
    """Noise in the checkpoint, as much as costs FP32 the planted accuracy."""
    settings, state = bench.lab.settings, bench.checkpoint.state
    before = bench.float_top1_pct(state)

    def drop(scale: float) -> float:
        return before - bench.float_top1_pct(plants.add_noise(state, scale, seed))

    scale, cost = bench.find("noise", 0.34, drop, settings.planted_pp, settings.tolerance_pp)
    changes = bench.use(plants.add_noise(state, scale, seed))
    with bench.lab.built("noise", seed, **changes) as (report, folder):
        planted = {"scale": scale, "fp32_drop_pp": cost}
        return {"planted": planted, **bench.lab.judged(report, folder)}


def noise_int8(bench: Bench, seed: int) -> Row:
    """Noise in the INT8 weights alone: the build's own FP32 tells it, without a baseline."""
    settings, planted = bench.lab.settings, {}
    first = bench.lab.start().accuracy
    assert first is not None

    def change(source: Path, target: Path) -> None:
        def drop(scale: float) -> float:
            plants.add_noise_int8(source, target, scale, seed)
            return first.fp32.top1_pct - bench.graph_top1_pct(target)

        wanted, near = settings.planted_pp, settings.tolerance_pp
        planted["scale"], planted["int8_drop_pp"] = bench.find("int8", 0.37, drop, wanted, near)

    work = bench.lab.scratch(f"changed-{seed}")
    with (
        plants.int8_changed(change, work),
        bench.lab.built("noise_int8", seed) as (report, folder),
    ):
        return {"planted": planted, **bench.lab.judged(report, folder, against_baseline=False)}


def slow(bench: Bench, seed: int) -> Row:
    """Work in the INT8 graph that changes no answer."""
    settings, planted = bench.lab.settings, {}

    def change(source: Path, target: Path) -> None:
        def excess(channels: float) -> float:
            plants.add_work(source, target, max(1, round(channels)), seed)
            return bench.slowdown(source, target) - 1.0

        wanted, near = settings.planted_slowdown - 1.0, settings.slowdown_tolerance
        channels, found = bench.find("slow", 45.0, excess, wanted, near)
        planted["channels"], planted["latency_ratio"] = round(channels), found + 1.0

    work = bench.lab.scratch(f"changed-{seed}")
    with plants.int8_changed(change, work), bench.lab.built("slow", seed) as (report, folder):
        return {"planted": planted, **bench.lab.judged(report, folder)}


def classes(bench: Bench, seed: int) -> Row:
    """The classes in another order."""
    changes = bench.use(plants.reorder_classes(bench.checkpoint.state, seed))
    with bench.lab.built("classes", seed, **changes) as (report, folder):
        return bench.lab.judged(report, folder)


def statistics(bench: Bench, seed: int) -> Row:
    """Another mean and standard deviation than the model was trained with."""
    mean, std = plants.WRONG_STATISTICS[(seed - 1) % len(plants.WRONG_STATISTICS)]
    wrong = {"image_size": bench.lab.settings.image_size, "mean": mean, "std": std}
    with bench.lab.built("statistics", seed, preprocess=wrong) as (report, folder):
        return {"planted": {"mean": mean, "std": std}, **bench.lab.judged(report, folder)}


Scenario = Callable[[Bench, int], Row]
SCENARIOS: dict[str, Scenario] = {
    "honest": honest,
    "noise": noise,
    "noise_int8": noise_int8,
    "slow": slow,
    "classes": classes,
    "statistics": statistics,
}
