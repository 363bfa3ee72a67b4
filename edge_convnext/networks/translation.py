"""A checkpoint of any origin in this project's terms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from edge_convnext.core.artifacts import NetworkShape

__all__ = ["Normalisation", "Translation"]


@dataclass(frozen=True)
class Normalisation:
    """A layer before the network that subtracts `mean` and divides by `std`, per channel."""

    names: tuple[str, str]
    mean: tuple[float, ...]
    std: tuple[float, ...]


@dataclass(frozen=True)
class Translation:
    """What a family makes of a checkpoint."""

    state: dict[str, Tensor]  # our names, float32
    architecture: NetworkShape  # what the tensors are, whatever was asked for
    dialect: str  # of the names in the file: `timm`
    wrappers: tuple[str, ...]  # keys on the way to the state dict, outermost first
    averaged: bool = False  # whether these are averaged weights (EMA, SWA)
    where: str = ""  # the way to the network, with the prefix of its names
    head: str | None = None  # the classifier's name in the file; None: there is none
    normalisation: Normalisation | None = None  # a layer before the network
    notes: tuple[str, ...] = ()  # what was chosen, put together or left out
