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
    """A network that a family found in a checkpoint."""

    state: dict[str, Tensor]  # our names, float32
    architecture: NetworkShape  # read off the tensors; it may differ from the requested one
    dialect: str  # the naming scheme in the file, such as `timm`
    wrappers: tuple[str, ...]  # the keys that lead to the state dict, outermost first
    averaged: bool = False  # True for averaged weights (EMA, SWA)
    where: str = ""  # the path of keys to the network, with the prefix of its names
    head: str | None = None  # the classifier's name in the file; None: there is none
    normalisation: Normalisation | None = None  # a layer before the network
    notes: tuple[str, ...] = ()  # sentences on what was chosen, joined or left out
