"""Turns: in each round every loaded model takes one turn, in a new random order.

A turn has some untimed inferences, which bring the model's weights back into the caches and wake
its threads. Then come the timed inferences, the same number in every round.
"""

from __future__ import annotations

import gc
import math
import random
import statistics
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from edge_convnext.core.heap import pausing_collections
from edge_convnext.runtimes import GpuRuntime
from edge_convnext.runtimes.interface import native_images

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from edge_convnext.core.progress import Track
    from edge_convnext.core.sections import BenchmarkConfig
    from edge_convnext.runtimes import Runtime
    from edge_convnext.runtimes.profiler import Profiler

__all__ = ["infer_ms", "no_garbage_collection", "quick_collections", "take_turns"]

_MIN_INFERENCES = 3  # timed inferences per turn


def take_turns(
    models: Sequence[Runtime],
    inputs: NDArray[np.float32],
    config: BenchmarkConfig,
    seed: int,
    track: Track,
    gpu: list[list[list[float]]] | None = None,
) -> list[list[list[float]]]:
    """Time every model in every round, in a new random order each time.

    Args:
        models: Loaded models.
        inputs: Batch of images that every model gets, float32[N, C, H, W].
        config: Rounds, warm-up, milliseconds per turn.
        seed: Seed of the order.
        track: Shows the rounds.
        gpu: List that the GPU's own milliseconds of as many launches are added to, by model and
            round; None for models on a CPU.

    Returns:
        Milliseconds by model, round and inference.
    """
    shuffle = random.Random(seed).shuffle
    times: list[list[list[float]]] = [[] for _ in models]
    with no_garbage_collection():
        own = [native_images(model, inputs) for model in models]
        counts = [_choose_count(*pair, config) for pair in zip(models, own, strict=True)]
        what = f"timing batch {len(inputs)}"
        for _ in track(range(config.rounds), what, config.rounds):
            order = list(range(len(models)))
            shuffle(order)
            for index in order:
                infer_ms(models[index], own[index], config.warmup)
                times[index].append(infer_ms(models[index], own[index], counts[index]))
                model = models[index]
                if gpu is not None and isinstance(model, GpuRuntime):
                    gpu[index].append(model.time_launches(len(inputs), counts[index]))
    return times


def _choose_count(model: Runtime, inputs: NDArray[np.float32], config: BenchmarkConfig) -> int:
    """Choose the number of inferences that fill a turn.

    It is fixed in advance. Turns that end by the clock would have more samples in rounds in which
    the machine was fast, and pull the percentiles towards those rounds.
    """
    infer_ms(model, inputs, config.warmup)
    typical_ms = statistics.median(infer_ms(model, inputs, _MIN_INFERENCES))
    return max(_MIN_INFERENCES, math.ceil(config.min_round_ms / typical_ms))


def infer_ms(model: Runtime | Profiler, inputs: NDArray[np.float32], count: int) -> list[float]:
    """Time `count` inferences one after the other, in milliseconds each."""
    result = []
    for _ in range(count):
        start = time.perf_counter_ns()
        model.infer(inputs)
        result.append((time.perf_counter_ns() - start) / 1e6)
    return result


@contextmanager
def quick_collections() -> Iterator[None]:
    """Make garbage collections in the block skip older objects; torch's alone take 0.3 s."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


@contextmanager
def no_garbage_collection() -> Iterator[None]:
    """Switch garbage collections off in the block, so that none falls into one model's turn."""
    gc.collect()
    with pausing_collections():
        yield
