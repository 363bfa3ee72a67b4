"""The tensors that a network has, and which of them follow its classes and its channels.

No names are known: two networks of other numbers are made, and the axes that differ are those.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from edge_convnext.core.errors import LoadError
from edge_convnext.core.image_size import ImageSize
from edge_convnext.networks.made.maker import NotSoError
from edge_convnext.networks.made.skeleton import make_skeleton

if TYPE_CHECKING:
    from edge_convnext.networks.made.maker import Maker

__all__ = ["Axis", "Followers", "Outline", "follow", "outline_of"]

_CLASSES, _CHANNELS = (7, 11), (3, 4)  # that are compared
Shape = tuple[int, ...]


@dataclass(frozen=True)
class Outline:
    """Names and shapes of a state dict."""

    shapes: Mapping[str, Shape]
    whole: frozenset[str]  # those of whole numbers or truth values: counters and indices
    ties: Mapping[str, str]  # of names that share a tensor, each further one to the first
    unsaved: frozenset[str]  # buffers that the network makes itself and keeps out of the dict

    @property
    def floats(self) -> tuple[str, ...]:
        """Names of the weights, in order."""
        return tuple(name for name in self.shapes if name not in self.whole)


@dataclass(frozen=True)
class Axis:
    """One axis of a tensor whose length is `factor * number + more`."""

    name: str
    axis: int
    factor: int
    more: int

    def solve(self, shape: Shape) -> int | None:
        """The number, where a tensor of this shape has a whole one of at least 1."""
        if len(shape) <= self.axis:
            return None
        number, rest = divmod(shape[self.axis] - self.more, self.factor)
        return number if rest == 0 and number > 0 else None


@dataclass(frozen=True)
class Followers:
    """Axes that follow the number of classes, and of channels; none where it is fixed."""

    classes: tuple[Axis, ...]
    channels: tuple[Axis, ...]

    @property
    def heads(self) -> tuple[str, ...]:
        """Names of the classifiers' weights; a distilled network has two."""
        return tuple(one.name for one in self.classes if one.name.endswith("weight"))


@lru_cache(maxsize=128)
def outline_of(
    maker: Maker, num_classes: int, in_channels: int, image_size: ImageSize | None = None
) -> Outline:
    """The tensors of one network.

    Raises:
        NotSoError: There is no such network.
    """
    network = make_skeleton(maker, num_classes, in_channels, image_size)
    state = network.state_dict(keep_vars=True)
    first: dict[int, str] = {}
    ties: dict[str, str] = {}
    for name, tensor in state.items():
        if first.setdefault(id(tensor), name) != name:
            ties[name] = first[id(tensor)]
    return Outline(
        shapes={name: tuple(tensor.shape) for name, tensor in state.items()},
        whole=frozenset(n for n, tensor in state.items() if not tensor.is_floating_point()),
        ties=ties,
        unsaved=frozenset(name for name, _ in network.named_buffers() if name not in state),
    )


@lru_cache(maxsize=64)
def follow(maker: Maker) -> Followers:
    """The axes that follow the numbers of classes and of channels.

    Raises:
        NotSoError: No such network can be made at all.
    """
    plain = outline_of(maker, _CLASSES[0], _CHANNELS[0])
    return Followers(
        _differences(plain, _other(maker, _CLASSES[1], _CHANNELS[0]), _CLASSES),
        _differences(plain, _other(maker, _CLASSES[0], _CHANNELS[1]), _CHANNELS),
    )


def _other(maker: Maker, num_classes: int, in_channels: int) -> Outline | None:
    try:
        return outline_of(maker, num_classes, in_channels)
    except (LoadError, NotSoError):  # a user's function may allow 1 and 3 channels alone
        return None


def _differences(one: Outline, other: Outline | None, numbers: tuple[int, int]) -> tuple[Axis, ...]:
    found: list[Axis] = []
    for name in one.floats if other is not None else ():
        before, after = one.shapes[name], other.shapes.get(name, ()) if other else ()
        if len(before) != len(after):
            continue
        for axis, (first, second) in enumerate(zip(before, after, strict=True)):
            factor, rest = divmod(second - first, numbers[1] - numbers[0])
            if factor > 0 and rest == 0:
                found.append(Axis(name, axis, factor, first - factor * numbers[0]))
    return tuple(found)
