"""Weights that timm publishes on the hub: where they are, and on what terms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edge_convnext.core.errors import LoadError, shorten
from edge_convnext.networks.hub import HubName, fetch
from edge_convnext.networks.published import Fetched, Published
from edge_convnext.networks.timm_models.library import config_of
from edge_convnext.networks.timm_models.stated import class_names, licence_of
from edge_convnext.networks.weights_place import WeightsPlace

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["KEYWORD", "fetch_weights", "find_published", "repository_of"]

KEYWORD = "timm"  # as `--weights`
_FILES = ("model.safetensors", "pytorch_model.bin")
_BESIDE = ("config.json", "README.md")


def fetch_weights(name: str, weights: str) -> Fetched | None:
    """Find timm's weights of a model in the hub's cache, or download them there.

    Args:
        name: Name as timm has it; with a tag, those weights.
        weights: `timm` or `timm@REVISION`; None is returned for anything else.

    Raises:
        LoadError: timm publishes none there, or the hub can't be reached.
    """
    keyword, _, revision = weights.partition("@")
    if keyword != KEYWORD:
        return None
    config = config_of(name)
    repository = repository_of(config)
    if repository is None:
        where = config.get("url") or config.get("origin_url")
        also = (
            f"; they are at {shorten(str(where), 200)}: download and pass that file"
            if where
            else ""
        )
        raise LoadError(f"no weights of {name} are on the hub by timm{also}")
    file = config.get("hf_hub_filename")
    place = fetch(HubName(repository, revision or None), (file,) if file else _FILES, _BESIDE)
    return Fetched(place.name, WeightsPlace((place.main,)), _published(name, config, place.name))


def repository_of(config: dict[str, Any]) -> str | None:
    """The repository of a `pretrained_cfg`; timm's own are named after the model and the tag."""
    stated = config.get("hf_hub_id")
    if not isinstance(stated, str) or not stated:
        return None
    if not stated.endswith("/"):
        return stated
    tag = config.get("tag")
    return f"{stated}{config.get('architecture')}{f'.{tag}' if tag else ''}"


def find_published(path: Path, name: str) -> Published | None:
    """Recognise a copy in a hub cache, so that its terms are not lost."""
    config = config_of(name)
    repository = repository_of(config)
    folder = path.absolute().parent
    if repository is None or folder.parent.name != "snapshots":
        return None
    if folder.parent.parent.name != f"models--{repository.replace('/', '--')}":
        return None
    return _published(name, config, f"{repository}@{folder.name}")


def _published(name: str, config: dict[str, Any], called: str) -> Published:
    """As timm states it; how the images come, its data config says in any case."""
    repository = repository_of(config) or name
    return Published(called, repository, licence_of(config), None, class_names(config))
