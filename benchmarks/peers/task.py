"""What every quantizer is given: one float graph, one draw of calibration images, one test."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_convnext.build.graphs import Graphs, add_form
from edge_convnext.build.inputs import Inputs, prepare_inputs
from edge_convnext.build.runner import Runner
from edge_convnext.core.cache import Cache
from edge_convnext.core.files import atomic_path, sha256_bytes
from edge_convnext.core.image_size import sides_of
from edge_convnext.core.progress import untracked
from edge_convnext.core.recipe import Recipe
from edge_convnext.core.step import Images
from edge_convnext.data.batches import image_batches, iter_batches
from edge_convnext.data.images import Sample
from edge_convnext.devices.doctor import environment

__all__ = ["Graph", "Task", "prepare_task"]

_PARITY_IMAGES = 32
_DECODED_AT_ONCE = 64


@dataclass(frozen=True)
class Graph:
    """One graph of one quantizer, or why there is none."""

    tool: str
    variant: str
    path: Path | None  # None: it failed
    build_s: float | None  # None: nothing to build, or it failed
    reason: str | None = None  # of the failure, in the tool's own words
    versions: tuple[str, ...] = ()
    only_runtime: str | None = None  # the one that it was built for; None: any
    ours: bool = False

    @property
    def label(self) -> str:
        """Unique within a run."""
        return f"{self.tool}, {self.variant}"

    @property
    def files(self) -> list[Path]:
        """The graph, and its weights where they lie beside it; none where it failed."""
        if self.path is None:
            return []
        beside = self.path.parent.glob(f"{self.path.stem}.*")
        return sorted(file for file in beside if file.suffix != ".json")


@dataclass(frozen=True)
class Task:
    """The checkpoint and the images, as the library's own build would take them."""

    recipe: Recipe
    folder: Path  # for everything this run makes
    machine: dict[str, Any]  # doctor.environment()
    inputs: Inputs
    calibration: Path  # float32[n, 3, S, S], normalised, in the order of the draw
    images: Path  # to evaluate on, the same layout
    labels: NDArray[np.int64] | None  # None: random weights, only speed means something
    raw: Graph  # float32, as `torch.onnx.export` gives it

    @property
    def samples(self) -> Images:
        """The first calibration images, for the library's parity checks and the timings."""
        assert self.inputs.calibration is not None
        drawn = self.inputs.calibration.images.samples[:_PARITY_IMAGES]
        return image_batches(drawn, self.inputs.info, None)

    def runner(self, cache: Cache) -> Runner:
        """The library's stages on this task."""
        return Runner(cache, self.recipe, self.machine["versions"], untracked)


def prepare_task(recipe: Recipe, folder: Path) -> Task:
    """Load the checkpoint, draw and decode the images, export the raw graph.

    Args:
        recipe: Of an INT8 build.
        folder: Where graphs, images and what was measured of them are kept.
    """
    machine, cache = environment(), Cache(folder / "cache")
    inputs = prepare_inputs(recipe, cache, machine["versions"], untracked)
    assert inputs.calibration is not None
    calibration = inputs.calibration.images.samples
    tested = (
        calibration[:_PARITY_IMAGES] if inputs.evaluation is None else inputs.evaluation.samples
    )
    labels = None if inputs.evaluation is None else np.array([one.label for one in tested])
    nowhere = Graph("", "", None, None)
    task = Task(
        recipe, folder, machine, inputs, _decode(calibration, inputs, folder),
        _decode(tested, inputs, folder), labels, nowhere,
    )  # fmt: skip
    return replace(task, raw=Graph("raw FP32", "no quantization", _export_raw(task, cache), None))


def _export_raw(task: Task, cache: Cache) -> Path:
    graphs = Graphs()
    runner = task.runner(cache)
    made = add_form(runner, task.inputs, graphs, "raw", "fp32", task.samples, simplify=False)
    return made.final.value.path


def _decode(samples: tuple[Sample, ...] | list[Sample], inputs: Inputs, folder: Path) -> Path:
    """Write preprocessed images as one array, named by what is in it."""
    info = inputs.info
    content = repr(([sample.sha256 for sample in samples], info.preprocess))
    path = folder / "images" / f"{sha256_bytes(content.encode())[:16]}.npy"
    if path.is_file():
        return path
    shape = (len(samples), info.in_channels, *sides_of(info.preprocess.image_size))
    with atomic_path(path) as scratch:
        array = np.lib.format.open_memmap(scratch, "w+", np.float32, shape)
        batches = iter_batches(samples, info.preprocess, _DECODED_AT_ONCE, info.in_channels)
        start = 0
        for batch in batches:
            array[start : start + len(batch)] = batch
            start += len(batch)
        array.flush()
    return path
