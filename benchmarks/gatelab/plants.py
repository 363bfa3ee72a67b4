"""What can go wrong with a model between two builds, made to measure.

A plant changes the checkpoint, the recipe or the INT8 graph, and says by how much it hurts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edge_convnext.build import entrants, float_forms, lanes
from edge_convnext.build import settle as prepare
from edge_convnext.core.files import sha256_file
from edge_convnext.graph.file import read_proto, write_proto
from edge_convnext.measure import row_memory
from edge_convnext.networks.plans import plan_for

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from edge_convnext.core.artifacts import CpuRuntimeName
    from edge_convnext.core.recipe import Recipe
    from edge_convnext.measure.candidates import Candidate

__all__ = [
    "WRONG_STATISTICS",
    "add_noise",
    "add_noise_int8",
    "add_work",
    "find_scale",
    "int8_changed",
    "lean_builds",
    "reorder_classes",
]

Change = Callable[[Path, Path], None]  # from the graph at the first path, write the second

# Mean and standard deviation in place of ImageNet's: what other models and none take.
WRONG_STATISTICS: tuple[tuple[tuple[float, ...], tuple[float, ...]], ...] = (
    ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
    ((0.485, 0.456, 0.406), (1.0, 1.0, 1.0)),
    ((0.0, 0.0, 0.0), (0.229, 0.224, 0.225)),
    ((0.1307, 0.1307, 0.1307), (0.3081, 0.3081, 0.3081)),  # of MNIST
)
_NOTHING = 1e-9  # what the added work adds to an image: below float32's step at 0.1
_MOST_STEPS = 30


def find_scale(
    hurt: Callable[[float], float], wanted: float, tolerance: float, guess: float
) -> tuple[float, float]:
    """Find how strong a plant must be, by bisection.

    Args:
        hurt: What a strength costs; grows with it.
        wanted: That cost.
        tolerance: Either way.
        guess: Strength to begin with.

    Returns:
        Strength and what it costs.

    Raises:
        RuntimeError: No strength costs that.
    """
    low, high, scale = 0.0, float("inf"), guess
    for _ in range(_MOST_STEPS):
        cost = hurt(scale)
        if abs(cost - wanted) <= tolerance:
            return scale, cost
        low, high = (scale, high) if cost < wanted else (low, scale)
        scale = (low + high) / 2 if high < float("inf") else scale * 1.5
    raise RuntimeError(f"no strength costs {wanted:g}; between {low:g} and {high:g} it jumps")


def add_noise(state: dict[str, Tensor], scale: float, seed: int) -> dict[str, Tensor]:
    """Weights plus Gaussian noise of `scale` standard deviations of each tensor."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    noisy = {}
    for name, tensor in state.items():
        noisy[name] = tensor
        if tensor.ndim > 1 and tensor.is_floating_point():
            noise = torch.randn(tensor.shape, generator=generator)
            noisy[name] = tensor + scale * tensor.std() * noise
    return noisy


def reorder_classes(state: dict[str, Tensor], seed: int) -> dict[str, Tensor]:
    """The classifier's rows in a random order, as if the labels had been listed otherwise."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(state["head.fc.bias"]), generator=generator)
    rows = {name: state[name][order] for name in ("head.fc.weight", "head.fc.bias")}
    return {**state, **rows}


def add_noise_int8(source: Path, target: Path, scale: float, seed: int) -> None:
    """INT8 weights plus rounded Gaussian noise of `scale` standard deviations of each."""
    from onnx import numpy_helper

    random = np.random.default_rng(seed)
    proto = read_proto(source)
    for tensor in proto.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype == np.int8 and values.ndim > 1:
            noise = np.rint(scale * values.std() * random.standard_normal(values.shape))
            noisy = np.clip(values + noise, -127, 127).astype(np.int8)
            tensor.CopyFrom(numpy_helper.from_array(noisy, tensor.name))
    write_proto(proto, target)


def add_work(source: Path, target: Path, channels: int, seed: int) -> None:
    """A 3x3 convolution to so many channels and back, of which nothing is left in the sum."""
    from onnx import helper, numpy_helper

    random = np.random.default_rng(seed)
    proto = read_proto(source)
    graph = proto.graph
    images = graph.input[0]
    depth = images.type.tensor_type.shape.dim[1].dim_value
    for node in graph.node:
        node.input[:] = ["planted_sum" if name == images.name else name for name in node.input]
    shapes = {"planted_wide": (channels, depth, 3, 3), "planted_back": (depth, channels, 1, 1)}
    for name, shape in shapes.items():
        weights = random.standard_normal(shape, dtype=np.float32) / np.prod(shape[1:])
        graph.initializer.append(numpy_helper.from_array(weights.astype(np.float32), name))
    nothing = np.array(_NOTHING, np.float32)
    graph.initializer.append(numpy_helper.from_array(nothing, "planted_nothing"))
    nodes = [
        helper.make_node("Conv", [images.name, "planted_wide"], ["planted_a"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["planted_a"], ["planted_b"]),  # or both would be one
        helper.make_node("Conv", ["planted_b", "planted_back"], ["planted_c"]),
        helper.make_node("Mul", ["planted_c", "planted_nothing"], ["planted_d"]),
        helper.make_node("Add", [images.name, "planted_d"], ["planted_sum"]),
    ]
    for index, node in enumerate(nodes):
        node.name = f"planted{index}"
        graph.node.insert(index, node)
    write_proto(proto, target)


@contextmanager
def int8_changed(change: Change, folder: Path) -> Iterator[None]:
    """Inside, builds evaluate, race and ship their INT8 graphs as `change` writes them."""
    original = entrants.list_options
    made: dict[Path, Path] = {}

    def list_changed(*arguments: object, **named: object) -> list[Candidate]:
        return [_changed(option) for option in original(*arguments, **named)]  # type: ignore[arg-type]

    def _changed(option: Candidate) -> Candidate:
        model = option.model
        if model.precision != "int8":
            return option
        if model.path not in made:
            made[model.path] = folder / model.path.name
            change(model.path, made[model.path])
        path = made[model.path]
        return replace(option, model=replace(model, path=path), digest=sha256_file(path))

    entrants.list_options = list_changed
    try:
        yield
    finally:
        entrants.list_options = original


@contextmanager
def lean_builds() -> Iterator[None]:
    """Inside, builds make the raw float and the planned one alone, and measure no memory.

    Rival forms and memory are nothing that the gate reads but take half of the time. Parity is
    checked on images of the evaluation side: those do not change with the calibration images, so
    that float graphs, which are the same bit by bit, come from the cache.
    """
    original, measure_memory = float_forms.list_forms, row_memory.measure_peak_memory
    has_room = lanes.SecondLane._has_room
    choose_samples = prepare._choose_samples

    def planned(recipe: Recipe, runtimes: Sequence[CpuRuntimeName]) -> list[str]:
        forms = [plan_for(recipe, one).form for one in runtimes]
        return list(dict.fromkeys(["raw", *forms]))

    float_forms.list_forms = planned  # type: ignore[assignment]
    lanes.SecondLane._has_room = lambda *_: False  # what is planted is in this process
    row_memory.measure_peak_memory = lambda *_: None
    prepare._choose_samples = lambda inputs: choose_samples(replace(inputs, calibration=None))
    try:
        yield
    finally:
        float_forms.list_forms = original
        lanes.SecondLane._has_room = has_room
        row_memory.measure_peak_memory = measure_memory
        prepare._choose_samples = choose_samples
