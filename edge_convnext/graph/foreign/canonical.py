"""A user's ONNX made canonical: the work of the child process, from the file to two graphs.

`source.onnx` has the user's own operations, from `images` to `logits`; `canonical.onnx` computes
the same in the operations and names that the rest of the chain is used to. Both are compared with
the file as it came, in ONNX Runtime, and what differs by more than rounding is refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from edge_convnext.core.bounded import bounded_memory
from edge_convnext.core.errors import ArtifactError, reason_of
from edge_convnext.graph.file import copy_message, write_proto
from edge_convnext.graph.foreign.attempts import MAX_ERROR, Made, rewrite_exactly
from edge_convnext.graph.foreign.check import check_foreign, describe_value, opset_of
from edge_convnext.graph.foreign.entrance import Entrance, Scale, find_entrance
from edge_convnext.graph.foreign.exit import Exit, find_exit
from edge_convnext.graph.foreign.index import inline_constants
from edge_convnext.graph.foreign.names import name_by_place
from edge_convnext.graph.foreign.read import read_foreign
from edge_convnext.graph.foreign.rewrite import free_batch
from edge_convnext.graph.foreign.source import bare_graph, fix_input, keep_inputs, source_graph
from edge_convnext.graph.foreign.truth import Truth
from edge_convnext.graph.foreign.work import count_work
from edge_convnext.graph.safety import why_odd_size

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from onnx import ModelProto

__all__ = ["CANONICAL", "MAX_ERROR", "SOURCE", "Asked", "Canonical", "Refused", "make_canonical"]

CANONICAL, SOURCE = "canonical.onnx", "source.onnx"
_FLAG = "--image-size"  # how a user states height and width
_OPSET = 20
_MEMORY_BYTES = 6 << 30  # beside the file and its copies
_COPIES = 12
_MOST_METADATA = 1 << 20
# Strings that are no UTF-8, attributes of another type, inputs that are not there.
_OF_DAMAGE = (
    ArithmeticError, AssertionError, AttributeError, LookupError, RecursionError, TypeError,
    ValueError,
)  # fmt: skip
Size: TypeAlias = tuple[int, int]  # height and width, pixels


@dataclass(frozen=True)
class Asked:
    """Height and width that others state."""

    stated: Size | None = None  # by the user, who may not contradict the file
    otherwise: Size | None = None  # by a file beside it, for one that leaves them free


@dataclass(frozen=True)
class Canonical:
    """What was found in a user's file, and done to it."""

    num_classes: int
    channels: int
    height: int
    width: int
    fixed_size: bool
    batch: int | None  # that the graph needs; None: any
    opset: int
    scale: Scale | None
    params: int
    macs: int  # of one image
    max_error: float  # of the logits, over the largest
    notes: tuple[str, ...]
    metadata: dict[str, str]


@dataclass(frozen=True)
class Refused:
    """Why a file can't be used: a line without its name."""

    reason: str


def make_canonical(
    path: Path,
    folder: Path,
    asked: Asked,
    operations: frozenset[str],
    simplified: bool = True,
) -> Canonical | Refused:
    """Write `source.onnx` and `canonical.onnx` into a folder.

    Args:
        path: The user's file.
        folder: Folder for the two graphs.
        asked: Size of the images.
        operations: Types of operations that are read.
        simplified: True lets onnxsim work on the graph, which is known to crash.
    """
    try:
        with bounded_memory(_MEMORY_BYTES + _COPIES * path.stat().st_size):
            return _make(path, folder, asked, operations, simplified)
    except ArtifactError as error:
        return Refused(str(error))
    except MemoryError:
        return Refused("takes more memory than a classifier does; pass a smaller model")
    except OSError as error:
        return Refused(f"can't be made canonical ({error.strerror})")
    except _OF_DAMAGE as error:
        kind = type(error).__name__
        return Refused(
            f"is damaged, or written in a way that is not read ({kind}: {reason_of(error, 200)}); "
            "export it again"
        )


def _make(
    path: Path, folder: Path, asked: Asked, operations: frozenset[str], simplified: bool
) -> Canonical:
    original = read_foreign(path)
    check_foreign(original, operations)
    proto = _without_old_inputs(original)
    entrance = find_entrance(proto.graph)
    shape = _settle_size(entrance, asked)
    _check_memory(proto, entrance, shape)
    truth = Truth(proto, entrance, shape)
    exits = find_exit(proto.graph, truth.values, truth.rows, opset_of(proto))
    source = _make_source(proto, entrance, exits, shape, truth)
    begun = bare_graph(proto, entrance, exits, (*shape, truth.rows))
    made = rewrite_exactly(begun, truth, operations, simplified)
    name_by_place(made.proto)
    write_proto(source, folder / SOURCE)
    write_proto(made.proto, folder / CANONICAL)
    params, macs = count_work(made.proto)
    return Canonical(
        num_classes=exits.classes,
        channels=entrance.channels,
        height=shape[0],
        width=shape[1],
        fixed_size=None not in (entrance.height, entrance.width),
        batch=made.batch,
        opset=opset_of(original),
        scale=entrance.scale,
        params=params,
        macs=macs,
        max_error=made.error,
        notes=tuple(_notes(original, entrance, exits, made)),
        metadata=_metadata_of(original),
    )


def _metadata_of(original: ModelProto) -> dict[str, str]:
    """What the file says of itself, unless that is more than settings take."""
    metadata = {one.key: one.value for one in original.metadata_props}
    length = sum(len(key) + len(value) for key, value in metadata.items())
    return metadata if length <= _MOST_METADATA else {}


def _without_old_inputs(original: ModelProto) -> ModelProto:
    proto = copy_message(original)
    keep_inputs(proto)
    inline_constants(proto.graph)
    return proto


def _settle_size(entrance: Entrance, asked: Asked) -> Size:
    own = (entrance.height, entrance.width)
    for side, fixed, stated in zip(("height", "width"), own, asked.stated or own, strict=True):
        if fixed is not None and fixed != stated:
            raise ArtifactError(
                f"fixes the {side} of its images at {fixed} pixels, and {_FLAG} says "
                f"{stated}; leave {_FLAG} out"
            )
    found = asked.stated or asked.otherwise or (None, None)
    height, width = (fixed or other for fixed, other in zip(own, found, strict=True))
    if height is None or width is None:
        raise ArtifactError(f"leaves the height and width of its images free; pass {_FLAG} N")
    return height, width


def _check_memory(proto: ModelProto, entrance: Entrance, shape: Size) -> None:
    """Refuse what takes too much memory, as far as sizes can be inferred before it runs."""
    fixed = copy_message(proto)
    fix_input(fixed, entrance.shape(entrance.batch or 1, *shape))
    if reason := why_odd_size(fixed, open_sizes=True):
        raise ArtifactError(f"{reason}; pass a smaller model, or smaller images")


def _make_source(
    proto: ModelProto, entrance: Entrance, exits: Exit, shape: Size, truth: Truth
) -> ModelProto:
    """The user's own operations for any batch if they allow it, else for the file's own."""
    errors = []
    for batch in (None, truth.rows):
        source = source_graph(proto, entrance, exits, (*shape, batch or truth.rows))
        try:
            if batch is None:
                free_batch(source)
            logits = truth.run(source, batch)
        except ArtifactError:
            if batch is not None:
                raise
            continue
        errors.append(exits.differs(logits, truth.outputs))
        if errors[-1] <= MAX_ERROR:
            truth.logits = logits
            return source
    raise ArtifactError(
        f"its operations up to the logits don't give its outputs: they differ by {min(errors):.1e} "
        "of the largest; report it with the tool that wrote it"
    )


def _notes(original: ModelProto, entrance: Entrance, exits: Exit, made: Made) -> Iterator[str]:
    opset = opset_of(original)
    if opset != _OPSET:
        yield f"the file is of opset {opset}, and was brought to {_OPSET}"
    if entrance.nhwc:
        value = describe_value(original.graph.input[0])
        yield f"its images have the channels last ({value}); they were turned to [N, C, H, W]"
    if entrance.scale is not None:
        span = "0..255" if entrance.scale.of_bytes else "0..1"
        kinds = ", ".join(dict.fromkeys(entrance.scale.operations))
        yield (
            f"it takes pixels of {span} and begins with their normalisation ({kinds}), which was "
            "taken off: its mean and std are those of the preprocessing"
        )
    if exits.removed:
        yield f"{' and '.join(exits.removed)} behind the logits was taken off"
    if not exits.flat:
        yield "its logits have sizes of 1 beside the classes, which were taken off"
    if made.kinds:
        yield f"written-out operations were recognised: {', '.join(made.kinds)}"
    if made.batch is not None:
        yield f"its operations allow batches of {made.batch} alone"
