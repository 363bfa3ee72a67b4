"""Decoded images for training: in memory while they fit, decoded ahead of use otherwise."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edge_convnext.core.image_size import ImageSize, sides_of
from edge_convnext.core.progress import Track
from edge_convnext.core.quotas import usable_cores

__all__ = ["MEMORY_LIMIT_BYTES", "MemoryPixels", "Pixels", "StreamedPixels", "load_pixels"]

MEMORY_LIMIT_BYTES = 2 << 30
_BATCHES_AHEAD = 4

Read = Callable[[int], NDArray[np.uint8]]  # index -> uint8[H, W, 3]


class MemoryPixels:
    """A whole set as one tensor, uint8[N, H, W, 3], on the training device."""

    def __init__(self, images: Tensor) -> None:
        self.images = images

    def batches(self, order: Iterable[Tensor]) -> Iterator[Tensor]:
        """Yield uint8[n, H, W, 3] for each index tensor int64[n]."""
        for indices in order:
            yield self.images[indices.to(self.images.device)]


class StreamedPixels:
    """A set too large for memory: threads decode the next batches while one is used."""

    def __init__(self, read: Read, device: torch.device) -> None:
        self.read = read
        self.device = device

    def batches(self, order: Iterable[Tensor]) -> Iterator[Tensor]:
        """Yield uint8[n, H, W, 3] for each index tensor int64[n]."""
        pool = ThreadPoolExecutor(_workers())
        try:
            pending = deque[list[Future[NDArray[np.uint8]]]]()
            for indices in order:
                pending.append([pool.submit(self.read, index) for index in indices.tolist()])
                if len(pending) > _BATCHES_AHEAD:
                    yield self._collect(pending.popleft())
            while pending:
                yield self._collect(pending.popleft())
        finally:
            pool.shutdown(cancel_futures=True)

    def _collect(self, futures: list[Future[NDArray[np.uint8]]]) -> Tensor:
        batch = np.stack([future.result() for future in futures])
        return torch.from_numpy(batch).to(self.device)


Pixels = MemoryPixels | StreamedPixels


def load_pixels(
    read: Read, count: int, size: ImageSize, device: torch.device, what: str, track: Track
) -> Pixels:
    """Decode a set once if it fits into memory, else prepare to stream it.

    Args:
        read: Function that decodes the image of an index to uint8[H, W, 3].
        count: Number of images.
        size: Size of the images in pixels.
        device: Device of the batches.
        what: Name of the work for `track`.
        track: Progress display.
    """
    shape = (count, *sides_of(size), 3)
    if math.prod(shape) > MEMORY_LIMIT_BYTES:
        return StreamedPixels(read, device)
    images = np.empty(shape, dtype=np.uint8)
    pool = ThreadPoolExecutor(_workers())
    try:
        for index, image in enumerate(track(pool.map(read, range(count)), what, count)):
            images[index] = image
    finally:
        pool.shutdown(cancel_futures=True)
    return MemoryPixels(torch.from_numpy(images).to(device))


def _workers() -> int:
    return min(8, usable_cores())
