"""How images enter a user's graph: layout, type, size, and a normalisation inside it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from edge_convnext.core.errors import ArtifactError
from edge_convnext.graph.foreign.check import describe_value
from edge_convnext.graph.foreign.index import Index, attribute_of

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from onnx import GraphProto, NodeProto, ValueInfoProto

__all__ = ["Entrance", "Scale", "find_entrance"]

_FLOAT, _UINT8 = 1, 2
_TO_NCHW, _TO_NHWC = [0, 3, 1, 2], [0, 2, 3, 1]
_COLOURS = (3, 1)
_LARGEST_MEAN = 2.0  # of pixels in 0..1; a larger one is of pixels in 0..255
_SMALLEST_GAIN = 0.05  # of pixels in 0..255, one divides by 50 or more: 255, 127.5, 58.4
_MOST_SIDE = 4096  # pixels


@dataclass(frozen=True)
class Scale:
    """What a graph does to pixels first, as the mean and deviation of pixels in 0..1."""

    mean: tuple[float, ...]  # a number for each channel
    std: tuple[float, ...]
    of_bytes: bool  # the graph takes 0..255, not 0..1
    operations: tuple[str, ...]  # that state it


@dataclass(frozen=True)
class Entrance:
    """The input of a user's graph, and the value that its network starts from."""

    name: str
    uint8: bool
    nhwc: bool  # of the input
    batch: int | None  # None: any
    channels: int
    height: int | None  # None: any
    width: int | None
    start: str  # the input itself, or what a normalisation leaves
    start_nhwc: bool
    scale: Scale | None

    def shape(self, batch: int, height: int, width: int) -> tuple[int, ...]:
        """Sizes of the input."""
        sizes = (height, width, self.channels) if self.nhwc else (self.channels, height, width)
        return (batch, *sizes)


def find_entrance(graph: GraphProto) -> Entrance:
    """Read how images enter.

    Args:
        graph: Checked; its constants are weights.

    Raises:
        ArtifactError: The input is no batch of images, or what is done to it can't be read.
    """
    index = Index(graph)
    value = next(one for one in graph.input if not index.is_constant(one.name))
    tensor = value.type.tensor_type
    if tensor.elem_type not in (_FLOAT, _UINT8):
        raise ArtifactError(
            f"takes {describe_value(value)}; pass a model whose images are float32 or uint8"
        )
    sizes = [one.dim_value if one.dim_value > 0 else None for one in tensor.shape.dim]
    if tensor.HasField("shape") and len(sizes) != 4:
        raise ArtifactError(
            f"takes {describe_value(value)}, which is no batch of images; pass an image classifier"
        )
    sizes = sizes or [None] * 4
    nhwc, channels = _layout(index, value, sizes)
    batch, height, width = sizes[0], *(sizes[1:3] if nhwc else sizes[2:4])
    if max(height or 0, width or 0) > _MOST_SIDE:
        raise ArtifactError(f"takes {describe_value(value)}: images have at most {_MOST_SIDE} "
                            "pixels a side")  # fmt: skip
    uint8 = tensor.elem_type == _UINT8
    walk = _Walk(index, value.name, nhwc, channels)
    walk.go()
    scale = walk.scale(uint8)
    if uint8 and (scale is None or not walk.cast):
        first = ", ".join(node.op_type for node in index.readers.get(value.name, ())[:3])
        raise ArtifactError(
            f"takes uint8 images, and what it does first ({first or 'nothing'}) is no plain cast "
            "and normalisation; pass the model that takes float32 images"
        )
    start, start_nhwc = (walk.value, walk.nhwc) if scale is not None else (value.name, nhwc)
    return Entrance(
        value.name, uint8, nhwc, batch, channels, height, width, start, start_nhwc, scale
    )


def _layout(index: Index, value: ValueInfoProto, sizes: list[int | None]) -> tuple[bool, int]:
    """Whether channels come last, and how many there are."""
    first, last = sizes[1], sizes[3]
    node, turned = _first_product(index, value.name)
    if node is not None:  # what reads the images says most
        group = attribute_of(node, "group", 1)
        weight = index.constant(node.input[1])
        channels = 0 if weight is None else int(weight.shape[1]) * int(group)
        stated = last if turned else first
        if channels and stated in (None, channels):
            return turned, channels
    if first in _COLOURS and (last not in _COLOURS or first == 3):
        return False, first
    if last in _COLOURS:
        return True, last
    raise ArtifactError(
        f"takes {describe_value(value)}: neither the second nor the last size is the 3 or 1 "
        "channels of images; pass an image classifier"
    )


def _first_product(index: Index, name: str) -> tuple[NodeProto | None, bool]:
    """The first convolution on the way from the images, and whether a Transpose precedes it."""
    turned = False
    for _ in range(16):
        readers = index.readers.get(name, ())
        if len(readers) != 1:
            break
        node = readers[0]
        if node.op_type == "Conv":
            return node, turned
        if node.op_type == "Transpose" and list(attribute_of(node, "perm", ())) == _TO_NCHW:
            turned = not turned
        elif node.op_type not in ("Cast", "Identity", "Add", "Sub", "Mul", "Div", "Pad"):
            break
        name = node.output[0]
    return None, turned


class _Walk:
    """From the input through plain arithmetic: value = gain * input + shift, by channel."""

    def __init__(self, index: Index, name: str, nhwc: bool, channels: int) -> None:
        self.index, self.value, self.nhwc, self.channels = index, name, nhwc, channels
        self.gain, self.shift = np.ones(channels), np.zeros(channels)
        self.cast = False
        self.operations: list[str] = []

    def go(self) -> None:
        """Walk as far as it is plain."""
        while (node := self.index.only_reader(self.value)) is not None and self._take(node):
            self.value = node.output[0]

    def _take(self, node: NodeProto) -> bool:
        kind = node.op_type
        if kind == "Identity":
            return True
        if kind == "Cast":
            self.cast = attribute_of(node, "to", 0) == _FLOAT
            return self.cast
        if kind == "Transpose":
            turns = self.nhwc and list(attribute_of(node, "perm", ())) == _TO_NCHW
            self.nhwc = self.nhwc and not turns
            return turns
        return kind in ("Add", "Sub", "Mul", "Div") and self._compute(node)

    def _compute(self, node: NodeProto) -> bool:
        """One operation with a constant."""
        backwards = node.input[0] != self.value
        number = self._per_channel(node.input[0 if backwards else 1])
        if number is None or (backwards and node.op_type in ("Sub", "Div")):
            return False
        gain, shift = self.gain, self.shift
        if node.op_type in ("Add", "Sub"):
            shift = shift + (number if node.op_type == "Add" else -number)
        elif (number == 0).any():
            return False
        else:
            factor = number if node.op_type == "Mul" else 1 / number
            gain, shift = gain * factor, shift * factor
        if not (np.isfinite(gain).all() and np.isfinite(shift).all() and (gain > 0).all()):
            return False
        self.gain, self.shift = gain, shift
        self.operations.append(node.op_type)
        return True

    def _per_channel(self, name: str) -> NDArray[np.float64] | None:
        found = self.index.constant(name)
        if found is None or found.dtype.kind not in "fiu":
            return None
        if found.size == 1:
            return np.full(self.channels, float(found.reshape(())))
        shape = (1,) * (4 - found.ndim) + found.shape
        wanted = (1, 1, 1, self.channels) if self.nhwc else (1, self.channels, 1, 1)
        if found.ndim > 4 or shape != wanted:
            return None
        return found.astype(np.float64).reshape(self.channels)

    def scale(self, uint8: bool) -> Scale | None:
        """The normalisation as this package states it; None where there is none."""
        if self.channels not in _COLOURS or not (self.operations or (uint8 and self.cast)):
            return None
        mean = -self.shift / self.gain
        of_bytes = (
            uint8 or float(np.abs(mean).max()) > _LARGEST_MEAN
            or float(self.gain.max()) < _SMALLEST_GAIN
        )  # fmt: skip
        unit = 255.0 if of_bytes else 1.0
        numbers = mean / unit, 1 / (self.gain * unit)
        if float(np.abs(numbers[0]).max()) > _LARGEST_MEAN:
            return None
        mean_, std = (tuple(float(one) for one in row) for row in numbers)
        return Scale(mean_, std, of_bytes, tuple(self.operations) or ("Cast",))
