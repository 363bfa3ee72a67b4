"""Upper limits on what takes memory and time, in a recipe, a flag or a bundle.

A recipe may come from a stranger, and one inside a bundle or a report is run on a board. A batch
of a million images is a mistake or an attack; both get one line. The limits are far beyond what any
build needs. They are small enough that no single value fills a disk or takes a night.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from pydantic import Field, GetPydanticSchema
from pydantic_core import core_schema

from edge_convnext.core.artifacts import MAX_IMAGE_SIZE
from edge_convnext.core.image_size import ImageSize, even_size, parse_size, show_size, sides_of
from edge_convnext.core.intervals import FEWEST_FOR_MEDIAN

__all__ = [
    "MAX_BATCH",
    "MAX_CHANNELS",
    "MAX_CLASSES",
    "MAX_ROUNDS",
    "MAX_THREADS",
    "MIN_IMAGE_SIZE",
    "Batch",
    "BatchSizes",
    "Channels",
    "Classes",
    "Count",
    "Epochs",
    "Milliseconds",
    "Rounds",
    "Seconds",
    "StatedSize",
    "TableName",
    "Threads",
    "TypeName",
    "Warmup",
    "batch_bytes",
    "size_of",
    "why_no_interval",
    "why_too_large",
    "why_too_long",
]

MAX_BATCH = 4096
MAX_CHANNELS = 64
MAX_CLASSES = 1_000_000
MAX_ROUNDS = 10_000
MAX_THREADS = 1024
_MAX_BATCH_BYTES = 4 << 30  # of float32 images
_MAX_TURNS_S = 3600  # of one candidate at one batch size

Batch = Annotated[int, Field(ge=1, le=MAX_BATCH)]
BatchSizes = Annotated[tuple[Batch, ...], Field(min_length=1, max_length=16)]
Classes = Annotated[int, Field(ge=1, le=MAX_CLASSES)]
Channels = Annotated[int, Field(ge=1, le=MAX_CHANNELS)]
Count = Annotated[int, Field(ge=1, le=1_000_000)]  # images
Epochs = Annotated[int, Field(ge=1, le=10_000)]
Milliseconds = Annotated[int, Field(ge=1, le=60_000)]
Rounds = Annotated[int, Field(ge=1, le=MAX_ROUNDS)]
Seconds = Annotated[int, Field(ge=1, le=86_400)]
# Of a runtime, a graph form or a placement; who owns the table of them tells whether it is there.
TableName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
TypeName = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,79}$")]  # of an ONNX operation
Threads = Annotated[int, Field(ge=1, le=MAX_THREADS)]
Warmup = Annotated[int, Field(ge=1, le=1000)]


def _read_size(value: Any, read_side: Callable[[Any], int]) -> ImageSize:
    """Read a side, or height and width; a text as `parse_size` does."""
    value = parse_size(value) if isinstance(value, str) else value
    if not isinstance(value, list | tuple):
        return read_side(value)
    if len(value) != 2:
        raise ValueError(f"one number for a square, or height and width, not {len(value)} numbers")
    size: ImageSize = even_size((read_side(value[0]), read_side(value[1])))
    return size


def size_of(side: core_schema.CoreSchema) -> GetPydanticSchema:
    """The schema of an `ImageSize` by that of its sides: a union's errors would name each type."""
    return GetPydanticSchema(
        lambda _source, _handler: core_schema.no_info_wrap_validator_function(
            _read_size,
            side,
            serialization=core_schema.plain_serializer_function_ser_schema(lambda size: size),
        )
    )


# Of a recipe, in pixels; what the network takes, it says itself.
StatedSize = Annotated[ImageSize, size_of(core_schema.int_schema(ge=1, le=MAX_IMAGE_SIZE))]
MIN_IMAGE_SIZE = 32  # pixels, of this project's own networks: five halvings leave one


def batch_bytes(batch: int, channels: int, image_size: ImageSize) -> int:
    """Size of a batch of normalised images, float32."""
    height, width = sides_of(image_size)
    return 4 * batch * channels * height * width


def why_too_large(batch: int, channels: int, image_size: ImageSize) -> str | None:
    """Explain why a batch is too large to allocate; None where it is not."""
    needed = batch_bytes(batch, channels, image_size)
    if needed <= _MAX_BATCH_BYTES:
        return None
    size = show_size(even_size(image_size))
    return (
        f"a batch of {batch} images of {size} px takes {needed / 1e9:.1f} "
        f"gigabytes, and at most {_MAX_BATCH_BYTES / 1e9:.1f} are taken for one; lower the batch"
    )


def why_no_interval(rounds: int) -> str | None:
    """Say what a race of so few rounds can't show; None where there are enough."""
    if rounds >= FEWEST_FOR_MEDIAN:
        return None
    return (
        f"--rounds {rounds} is too few for a verdict on speed: with fewer than "
        f"{FEWEST_FOR_MEDIAN} rounds a speed-up has no interval. Pass --rounds "
        f"{FEWEST_FOR_MEDIAN} or more."
    )


def why_too_long(rounds: int, round_ms: int) -> str | None:
    """Explain why the rounds would take too long; None where they would not."""
    seconds = rounds * round_ms / 1000
    if seconds <= _MAX_TURNS_S:
        return None
    return (
        f"{rounds} rounds of {round_ms} ms are {seconds / 3600:.1f} hours for each candidate, and "
        "at most 1 is taken"
    )
