"""Facts about published weights: origin, licence, evaluation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from edge_convnext.core.artifacts import Preprocess
from edge_convnext.core.image_size import ImageSize
from edge_convnext.networks.weights_place import WeightsPlace

__all__ = ["Fetched", "HubWeights", "Published", "PublishedTop1", "Settings"]


@dataclass(frozen=True)
class Published:
    """Facts about weights that were recognised as published ones."""

    name: str  # the value for `ModelInfo.weights_source`
    repository: str  # where they are published
    licence: str | None  # None: not known
    preprocess: Preprocess | None  # None: what the library states
    classes: tuple[str, ...] = ()  # names, where they are known


@dataclass(frozen=True)
class Settings:
    """What a library states about a network, under the keys that the library uses."""

    fields: Mapping[str, object]
    where: str  # for messages: `timm 1.0.31, pretrained_cfg of resnet18`
    image_size: ImageSize | None = None  # pixels, where it is known and not read from a field


@dataclass(frozen=True)
class Fetched:
    """Weights that a keyword in place of a file led to."""

    name: str  # for `ModelInfo.weights_source`
    place: WeightsPlace
    published: Published | None


@dataclass(frozen=True)
class HubWeights:
    """One repository with a `model.safetensors` in timm's dialect."""

    repository: str
    licence: str
    crop_pct: float = 0.875
    revision: str | None = None  # a commit; None: the newest commit at the first download

    def published_as(self, name: str) -> Published:
        """Describe these weights under the name of one copy."""
        preprocess = Preprocess(resize="shortest", crop_pct=self.crop_pct, interpolation="bicubic")
        return Published(name, self.repository, self.licence, preprocess)


@dataclass(frozen=True)
class PublishedTop1:
    """ImageNet-1k top-1 at 224 px, and its source."""

    top1_pct: float
    source: str
