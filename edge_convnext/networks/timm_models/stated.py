"""What timm states about a model and its weights: preprocessing, class names, terms."""

from __future__ import annotations

from typing import Any

from edge_convnext.networks.facts.values import read_licence
from edge_convnext.networks.published import Settings
from edge_convnext.networks.timm_models.library import config_of, import_timm, timm_version

__all__ = ["class_names", "licence_of", "stated_by_timm"]

_PIXELS = ("input_size", "crop_pct", "crop_mode", "interpolation", "mean", "std")
_IN1K = 1000


def stated_by_timm(name: str) -> Settings:
    """Preprocessing as `timm.data.resolve_model_data_config` gives it.

    Source:
        timm 1.0.31, `data/config.py`: what is unset is 224 pixels, bicubic, ImageNet's mean and
        std, and a crop of 0.875.
    """
    resolved = dict(import_timm().data.resolve_data_config(pretrained_cfg=config_of(name)))
    fields = {key: resolved[key] for key in _PIXELS if key in resolved}
    return Settings(fields, f"timm {timm_version()}, pretrained_cfg of {name}")


def licence_of(config: dict[str, Any]) -> str | None:
    """Of the weights that a `pretrained_cfg` is about."""
    return read_licence(config.get("license"))


def class_names(config: dict[str, Any]) -> tuple[str, ...]:
    """Of ImageNet's 1,000 classes, where the weights of a `pretrained_cfg` tell them."""
    names = config.get("label_names")
    if names:
        return tuple(map(str, names))
    if config.get("num_classes") != _IN1K or not str(config.get("tag", "")).endswith("in1k"):
        return ()
    info = import_timm().data.ImageNetInfo("imagenet-1k")
    return tuple(str(info.index_to_description(index)) for index in range(_IN1K))
