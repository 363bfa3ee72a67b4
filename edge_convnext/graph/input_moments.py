"""Second moments of what products read: which errors of their weights matter, on real images.

An error e of one row of a weight costs e C e on average, C being the second moments of the inputs.
A constant part of that error is no matter where a bias takes it: what is left has the covariance.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edge_convnext.graph.activations import split_images, watch
from edge_convnext.graph.structure import integers

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from onnx import ModelProto, NodeProto

    from edge_convnext.graph.affine import Grid

__all__ = ["MOST_BYTES", "Moments", "Reader", "collect_moments"]

Values = NDArray[np.float32]
_IMAGES = 128  # are enough; each gives rows at random positions
_ROWS_PER_COLUMN, _FEWEST_ROWS = 2, 1024  # of each half
MOST_BYTES = 1 << 30  # of all moments that are collected in one pass over the images


@dataclass(frozen=True)
class Reader:
    """A product, and the shape of its weight as rows of what one output reads."""

    node: NodeProto
    groups: int
    columns: int  # inputs of one output: channels of a group times the size of the kernel
    kernel: tuple[int, int] | None = None  # of a convolution
    grid: Grid | None = None  # that its inputs are rounded to

    @property
    def bytes(self) -> int:
        """Bytes that the moments of both halves take."""
        return 2 * 8 * self.groups * self.columns**2


class Moments:
    """Mean and second moments of the inputs of a product, over random positions."""

    def __init__(self, reader: Reader) -> None:
        self.count = 0
        self._grid = reader.grid
        self._sum = np.zeros((reader.groups, reader.columns))
        self._float_sum = np.zeros((reader.groups, reader.columns))
        self._products = np.zeros((reader.groups, reader.columns, reader.columns))

    def add(self, rows: Values) -> None:
        """Add rows, float32[groups, n, columns]."""
        self.count += rows.shape[1]
        self._float_sum += rows.sum(axis=1, dtype=np.float64)
        rows = rows if self._grid is None else self._grid.round(rows)
        self._sum += rows.sum(axis=1, dtype=np.float64)
        if len(rows) == 1:  # numpy computes half of a matrix by its own transpose
            self._products[0] += rows[0].T @ rows[0]
        else:
            self._products += rows.transpose(0, 2, 1) @ rows

    @property
    def mean(self) -> NDArray[np.float64]:
        """Mean of what the product reads, on its grid: float64[groups, columns]."""
        mean: NDArray[np.float64] = self._sum / self.count
        return mean

    @property
    def float_mean(self) -> NDArray[np.float64]:
        """Mean before that was rounded: float64[groups, columns]."""
        mean: NDArray[np.float64] = self._float_sum / self.count
        return mean

    def matrix(self, *, centred: bool) -> NDArray[np.float64]:
        """The second moments, or with `centred` the covariance: float64[groups, columns²]."""
        second: NDArray[np.float64] = self._products / self.count
        return second - self.mean[:, :, None] * self.mean[:, None, :] if centred else second


def collect_moments(
    proto: ModelProto,
    readers: Sequence[Reader],
    batches: Sequence[Values],
    seed: int = 0,
) -> Iterator[tuple[Reader, Moments, Moments]]:
    """Run a float graph over images, and collect what each product reads.

    Args:
        proto: Float graph; it is not changed.
        readers: Products of it.
        batches: Normalised images, float32[n, C, H, W].
        seed: Seed of the positions.

    Yields:
        Each product with the moments of every second image, and of the others. Wide networks take
        several passes over the images, so that memory is bounded.

    Raises:
        QuantizationError: ONNX Runtime can't run the graph, or a tensor has values that are not
            finite.
    """
    pieces = _spread(split_images(proto, batches))
    for some in _passes(readers):
        halves = [{one.node.name: Moments(one) for one in some} for _ in "ab"]
        generator = np.random.default_rng(seed)
        names = list(dict.fromkeys(one.node.input[0] for one in some))
        run = watch(proto, names)
        for index, piece in enumerate(pieces):
            values = dict(zip(names, run(piece), strict=True))
            _add(halves[index % 2], some, values, len(pieces), generator)
        for one in some:
            yield one, halves[0][one.node.name], halves[1][one.node.name]


def _spread(pieces: list[Values]) -> list[Values]:
    """At most `_IMAGES` images, evenly drawn, in at least two pieces."""
    most = max(2, _IMAGES // len(pieces[0]))
    step = max(1.0, len(pieces) / most)
    return [pieces[int(at * step)] for at in range(min(most, len(pieces)))]


def _passes(readers: Sequence[Reader]) -> Iterator[list[Reader]]:
    some: list[Reader] = []
    for one in readers:
        if some and sum(each.bytes for each in (*some, one)) > MOST_BYTES:
            yield some
            some = []
        some.append(one)
    if some:
        yield some


def _add(
    moments: Mapping[str, Moments],
    readers: Sequence[Reader],
    values: Mapping[str, Values],
    pieces: int,
    generator: np.random.Generator,
) -> None:
    for one in readers:
        value = values[one.node.input[0]]
        wanted = max(_FEWEST_ROWS, _ROWS_PER_COLUMN * one.columns)
        count = -(-2 * wanted // pieces)
        rows = (
            _patches(one, value, count, generator) if one.kernel else _rows(value, count, generator)
        )
        moments[one.node.name].add(rows)


def _rows(value: Values, count: int, generator: np.random.Generator) -> Values:
    """Rows of a matrix product, [1, n, columns]."""
    rows = value.reshape(-1, value.shape[-1])
    return rows[_draw(len(rows), count, generator)][None]


def _patches(one: Reader, value: Values, count: int, generator: np.random.Generator) -> Values:
    """What a convolution reads at random positions, [groups, n, columns]."""
    assert one.kernel is not None
    high, wide = one.kernel
    stride, dilation = (integers(one.node, name, (1, 1)) for name in ("strides", "dilations"))
    pads = integers(one.node, "pads", (0, 0, 0, 0))
    padded = np.pad(value, ((0, 0), (0, 0), (pads[0], pads[2]), (pads[1], pads[3])))
    spans = (dilation[0] * (high - 1) + 1, dilation[1] * (wide - 1) + 1)
    sizes = [(padded.shape[2 + at] - spans[at]) // stride[at] + 1 for at in (0, 1)]
    drawn = _draw(len(value) * sizes[0] * sizes[1], count, generator)
    image, place = np.divmod(drawn, sizes[0] * sizes[1])
    top, left = np.divmod(place, sizes[1])
    rows = top[:, None, None] * stride[0] + dilation[0] * np.arange(high)[None, :, None]
    columns = left[:, None, None] * stride[1] + dilation[1] * np.arange(wide)[None, None, :]
    # Advanced indices around a slice put the drawn positions first: [n, high, wide, channels].
    patches = padded[image[:, None, None], :, rows, columns]
    by_channel = patches.transpose(0, 3, 1, 2).reshape(len(drawn), one.groups, one.columns)
    return by_channel.transpose(1, 0, 2)


def _draw(total: int, count: int, generator: np.random.Generator) -> NDArray[np.int64]:
    return generator.choice(total, min(total, count), replace=False)
