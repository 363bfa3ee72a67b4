"""Images decoded on threads, a bounded number of them ahead of their use."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from edge_convnext.artifacts import Preprocess
from edge_convnext.data.images import Sample
from edge_convnext.data.preprocess import decode_image, decode_pixels, open_image
from edge_convnext.errors import DataError
from edge_convnext.progress import Track, untracked

__all__ = ["find_bad_images", "iter_batches", "iter_each", "iter_pixels"]

Item = TypeVar("Item")
Result = TypeVar("Result")


def iter_batches(
    samples: Iterable[Sample],
    preprocess: Preprocess,
    batch: int,
    in_channels: int = 3,
    workers: int = 2,
) -> Iterator[NDArray[np.float32]]:
    """Decode images in order, in batches.

    Args:
        samples: What to decode.
        preprocess: The model's.
        batch: Images per batch; the last one may be smaller.
        in_channels: 3, or 1 for grey.
        workers: Decoding threads.

    Yields:
        float32[N, in_channels, image_size, image_size]. Besides the batch that was yielded, at
        most 2 * batch + workers images are in memory.

    Raises:
        DataError: An image can't be decoded; the message names it.
    """

    def decode(sample: Sample) -> NDArray[np.float32]:
        return decode_image(sample.path, preprocess, in_channels)

    images = _map_ahead(decode, samples, workers, ahead=batch + workers)
    while arrays := list(islice(images, batch)):
        yield np.stack(arrays)


def iter_pixels(
    samples: Iterable[Sample], preprocess: Preprocess, in_channels: int = 3, workers: int = 2
) -> Iterator[NDArray[np.uint8]]:
    """Decode images in order, one by one, as `decode_pixels` does.

    Raises:
        DataError: An image can't be decoded; the message names it.
    """

    def decode(sample: Sample) -> NDArray[np.uint8]:
        return decode_pixels(sample.path, preprocess, in_channels)

    return _map_ahead(decode, samples, workers, ahead=64)


def iter_each(
    samples: Iterable[Sample],
    preprocess: Preprocess,
    in_channels: int = 3,
    workers: int = 2,
    ahead: int = 64,
) -> Iterator[NDArray[np.float32] | DataError]:
    """Decode images in order, one by one; of one that can't be, the error comes in its place."""

    def decode(sample: Sample) -> NDArray[np.float32] | DataError:
        try:
            return decode_image(sample.path, preprocess, in_channels)
        except DataError as error:
            return error

    return _map_ahead(decode, samples, workers, ahead)


def find_bad_images(
    samples: Iterable[Sample], workers: int = 2, track: Track = untracked
) -> dict[str, str]:
    """Decode every image in full and report those that can't be.

    Args:
        samples: What to check; equal content is checked once.
        workers: Decoding threads.
        track: Told of each image.

    Returns:
        SHA-256 of the content to the reason: a verdict that stays true wherever the file
        lies, so it may be cached. `drop_bad_images` acts on it.
    """
    distinct = list({sample.sha256: sample for sample in samples}.values())
    reasons = track(_map_ahead(_check, distinct, workers, 64), "checking images", len(distinct))
    pairs = zip(distinct, reasons, strict=True)
    return {sample.sha256: reason for sample, reason in pairs if reason is not None}


def _check(sample: Sample) -> str | None:
    try:
        open_image(sample.path)
    except DataError as error:
        return str(error).removeprefix(f"{sample.path}: ")
    return None


def _map_ahead(
    function: Callable[[Item], Result], items: Iterable[Item], workers: int, ahead: int
) -> Iterator[Result]:
    """`map` on threads, in order, never more than `ahead` results beyond the one in use."""
    pending: deque[Future[Result]] = deque()
    source = iter(items)
    pool = ThreadPoolExecutor(workers, thread_name_prefix="decode")
    try:
        for item in islice(source, ahead):
            pending.append(pool.submit(function, item))
        while pending:
            result = pending.popleft().result()
            for item in islice(source, 1):
                pending.append(pool.submit(function, item))
            yield result
    finally:
        pool.shutdown(cancel_futures=True)
