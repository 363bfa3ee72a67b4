"""Images decoded on threads, a bounded number of them ahead of their use."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from itertools import cycle, islice
from typing import Any, TypeVar

import numpy as np
import PIL
from numpy.typing import NDArray
from PIL import Image

from edge_convnext.core.artifacts import ModelInfo, Preprocess
from edge_convnext.core.errors import DataError
from edge_convnext.core.files import sha256_bytes
from edge_convnext.core.progress import Track, untracked
from edge_convnext.core.step import Images
from edge_convnext.data.images import Sample
from edge_convnext.data.preprocess import PIXELS, decode_image, decode_pixels, open_image

__all__ = [
    "Look",
    "find_bad_images",
    "first_images",
    "image_batches",
    "iter_batches",
    "iter_each",
    "iter_pixels",
    "look_at_images",
]

_STRIP_PIXELS = 1 << 20  # hashed at a time, so that a photograph is not copied whole
_FLAT_LEVELS = 8  # of 255: what JPEG makes of one colour

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
        samples: Images to decode.
        preprocess: Preprocessing of the model.
        batch: Images per batch; the last one may be smaller.
        in_channels: 3, or 1 for grey.
        workers: Decoding threads.

    Yields:
        float32[N, in_channels, height, width]. Besides the batch that was yielded, at
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
    """Decode images in order, one by one; for one that can't be decoded, yield the error."""

    def decode(sample: Sample) -> NDArray[np.float32] | DataError:
        try:
            return decode_image(sample.path, preprocess, in_channels)
        except DataError as error:
            return error

    return _map_ahead(decode, samples, workers, ahead)


@dataclass(frozen=True)
class Look:
    """What decoding shows about an image."""

    reason: str | None = None  # why it can't be decoded
    pixels: str = ""  # digest of size and upright 8-bit pixels, 32 hex digits
    flat: bool = False  # of one colour


def look_at_images(
    samples: Iterable[Sample], workers: int = 2, track: Track = untracked
) -> dict[str, Look]:
    """Decode every image in full: can it be read, and what are its pixels?

    Args:
        samples: Images to decode; equal bytes are decoded once.
        workers: Decoding threads.
        track: Progress, called for each image.

    Returns:
        Result by SHA-256 of the file. It holds wherever the file lies, so it may be cached.
    """
    distinct = list({sample.sha256: sample for sample in samples}.values())
    looks = track(_map_ahead(_look, distinct, workers, 64), "checking images", len(distinct))
    return {sample.sha256: look for sample, look in zip(distinct, looks, strict=True)}


def find_bad_images(
    samples: Iterable[Sample], workers: int = 2, track: Track = untracked
) -> dict[str, str]:
    """Reasons why images can't be decoded, by SHA-256 of the file; `drop_bad_images` uses them."""
    looks = look_at_images(samples, workers, track)
    return {sha256: look.reason for sha256, look in looks.items() if look.reason is not None}


def _look(sample: Sample) -> Look:
    try:
        image = open_image(sample.path)
    except DataError as error:
        return Look(str(error).removeprefix(f"{sample.path}: "))
    return Look(None, _hash_pixels(image), _is_flat(image))


def _is_flat(image: Image.Image) -> bool:
    spans = np.array(image.getextrema())  # [3, 2]: lowest and highest of each channel
    return bool((spans[:, 1] - spans[:, 0]).max() <= _FLAT_LEVELS)


def _hash_pixels(image: Image.Image) -> str:
    digest = hashlib.blake2b(f"{image.mode} {image.size}".encode(), digest_size=16)
    rows = max(1, _STRIP_PIXELS // image.width)
    for top in range(0, image.height, rows):
        strip = image.crop((0, top, image.width, min(top + rows, image.height)))
        digest.update(strip.tobytes())
    return digest.hexdigest()


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


_CALIBRATION_BATCH = 10


def image_batches(
    samples: Sequence[Sample], info: ModelInfo, fixed_batch: int | None = None
) -> Images:
    """The images of `samples`, preprocessed, decoded once on first use.

    With a fixed batch, every batch is full: the first images fill up the last one.
    """
    batch = fixed_batch or _CALIBRATION_BATCH
    if fixed_batch is not None:
        wanted = -(-len(samples) // fixed_batch) * fixed_batch
        samples = list(islice(cycle(samples), wanted))

    load = _Loader(tuple(samples), info.preprocess, batch, info.in_channels)
    content = [sample.sha256 for sample in samples]
    # Decoding and resizing are Pillow's: another version may give other pixels.
    tools = (PIXELS, PIL.__version__, np.__version__)
    text = repr((content, asdict(info.preprocess), info.in_channels, batch, tools))
    return Images(sha256_bytes(text.encode()), len(samples), load)


def first_images(images: Images, count: int) -> Images:
    """The first images of a set, in the same batches: as many as fill the last one.

    Args:
        images: The set.
        count: Least number of them; all where there are fewer.
    """

    def load() -> list[NDArray[np.float32]]:
        kept: list[NDArray[np.float32]] = []
        for batch in images.load():
            if sum(map(len, kept)) >= count:
                break
            kept.append(batch)
        return kept

    if images.count <= count:
        return images
    return Images(sha256_bytes(f"{images.digest} first {count}".encode()), count, load)


@dataclass
class _Loader:
    """Decodes images on the first call, and keeps them. Another process gets it without them."""

    samples: tuple[Sample, ...]
    preprocess: Preprocess
    batch: int
    in_channels: int
    _decoded: list[NDArray[np.float32]] | None = field(default=None, repr=False)

    def __call__(self) -> list[NDArray[np.float32]]:
        if self._decoded is None:
            read = iter_batches(self.samples, self.preprocess, self.batch, self.in_channels)
            self._decoded = list(read)
        return self._decoded

    def __reduce__(self) -> tuple[type[_Loader], tuple[Any, ...]]:
        return _Loader, (self.samples, self.preprocess, self.batch, self.in_channels)
