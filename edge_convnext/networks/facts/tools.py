"""Settings in the dialects of tools: unset ones have the tool's default, not this package's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edge_convnext.core.errors import shorten
from edge_convnext.core.image_size import sides_of
from edge_convnext.networks.facts.processor_classes import IMAGENET_MEAN, IMAGENET_STD
from edge_convnext.networks.facts.sayings import (
    Said,
    add_pair,
    add_resized,
    detail_of,
    get_value,
)
from edge_convnext.networks.facts.table import plain_key
from edge_convnext.networks.facts.values import (
    read_fraction,
    read_interpolation,
    read_size,
)

__all__ = ["read_tool"]

INCEPTION = (0.5, 0.5, 0.5)
_TIMM_CROP = 0.875  # timm's DEFAULT_CROP_PCT
_WARPED_FROM = 384  # pixels: from this size on ConvNeXt's evaluation squashes and does not crop


def read_tool(fields: Mapping[Any, Any], where: str, channels: int, said: Said) -> bool:
    """Read a mapping that a known tool wrote; False where no known tool did."""
    for fits, read in (
        (_is_timm_args, _read_timm_args),  # before `pretrained_cfg`, which shares some of its keys
        (_is_timm_cfg, _read_timm_cfg),
        (_is_facebook, _read_facebook),
        (_is_torchvision, _read_torchvision),
    ):
        if fits(fields):
            read(fields, where, channels, said)
            return True
    return False


# ---- timm ----------------------------------------------------------------------------------


def _is_timm_cfg(fields: Mapping[Any, Any]) -> bool:
    marks = {"first_conv", "pool_size", "hf_hub_id", "crop_mode", "fixed_input_size", "tag"}
    return "input_size" in fields and bool(marks & {*fields})


def _read_timm_cfg(fields: Mapping[Any, Any], where: str, channels: int, said: Said) -> None:
    """Read `pretrained_cfg`, where every value is for evaluation."""
    said.attempt("image_size", read_size, fields["input_size"],
                 detail_of(where, "input_size"))  # fmt: skip
    _timm_crop(fields, where, said, None)
    said.attempt("interpolation", read_interpolation, fields.get("interpolation"),
                 detail_of(where, "interpolation"))  # fmt: skip
    add_pair(fields, where, channels, said)


def _timm_crop(fields: Mapping[Any, Any], where: str, said: Said, default: float | None) -> None:
    crop = said.attempt("crop_pct", read_fraction, fields.get("crop_pct"),
                        detail_of(where, "crop_pct"))  # fmt: skip
    if crop is None and default is not None:
        crop = default
        said.add("crop_pct", crop, f"{where}: crop_pct is unset, so timm's own")
    mode = fields.get("crop_mode") or "center"
    if crop is None:
        return
    if mode == "squash":
        said.add("resize", "squash", detail_of(where, "crop_mode"))
        if crop < 1:
            said.notes.append(f"{where}: crop_mode squash with crop_pct {crop:g} cuts the edges "
                              "off a squashed image; nothing is cut here")  # fmt: skip
    else:
        said.add("resize", "shortest", f"{where}: crop_pct, as timm applies it")
        if mode != "center":
            said.notes.append(f"{detail_of(where, 'crop_mode')} is {shorten(str(mode), 40)}; "
                              "images are resized by their short side here")  # fmt: skip


def _is_timm_args(fields: Mapping[Any, Any]) -> bool:
    keys = {plain_key(key) for key in fields}
    return {"model", "croppct", "interpolation", "imgsize"} <= keys


def _read_timm_args(fields: Mapping[Any, Any], where: str, channels: int, said: Said) -> None:
    """Read arguments of timm's train.py; unset ones come from the model's settings.

    Source:
        timm 1.0.31, `data/config.py`, `resolve_data_config`.
    """
    stated = get_value(fields, "input_size") or get_value(fields, "img_size")
    if stated is not None:
        said.attempt("image_size", read_size, stated, detail_of(where, "img_size"))
    else:
        said.add("image_size", 224, f"{where}: img_size is unset, so timm's own")
    name = str(get_value(fields, "model") or "")
    _timm_crop(fields, where, said, _timm_default_crop(name, said, where))
    filter_ = said.attempt(
        "interpolation", read_interpolation, get_value(fields, "interpolation"),
        detail_of(where, "interpolation"),
    )  # fmt: skip
    if filter_ is None:
        said.add("interpolation", "bicubic", f"{where}: interpolation is unset, so timm's own")
    if (
        get_value(fields, "mean") is not None
        or get_value(fields, "std") is not None
        or "clip" in name
    ):
        add_pair(fields, where, channels, said)
    else:
        said.add("mean", IMAGENET_MEAN, f"{where}: mean is unset, so timm's own")
        said.add("std", IMAGENET_STD, f"{where}: std is unset, so timm's own")


def _timm_default_crop(name: str, said: Said, where: str) -> float:
    base, _, tag = name.removeprefix("timm/").partition(".")
    for model, crop_pct in said.crops.items():
        known, _, its_tag = model.partition(".")
        if known == base and tag in ("", its_tag):
            return crop_pct
    if name:
        said.notes.append(
            f"{where}: timm takes what is unset from '{shorten(name, 60)}', whose own crop is not "
            f"known here; where it counts it is {_TIMM_CROP}"
        )
    return _TIMM_CROP


# ---- facebookresearch, torchvision's references, others -------------------------------------


def _is_facebook(fields: Mapping[Any, Any]) -> bool:
    return "imagenet_default_mean_and_std" in fields


def _read_facebook(fields: Mapping[Any, Any], where: str, _channels: int, said: Said) -> None:
    """Read arguments of facebookresearch/ConvNeXt and ConvNeXt-V2.

    Source:
        `datasets.py`, `build_transform` of the evaluation side.
    """
    size = said.attempt("image_size", read_size, fields.get("input_size"),
                        detail_of(where, "input_size"))  # fmt: skip
    if size is not None and min(sides_of(size)) >= _WARPED_FROM:
        said.add("resize", "squash", f"{where}: input_size, squashed from {_WARPED_FROM} on")
        said.add("crop_pct", 1.0, f"{where}: input_size, squashed from {_WARPED_FROM} on")
    elif size is not None:
        crop = said.attempt("crop_pct", read_fraction, fields.get("crop_pct"),
                            detail_of(where, "crop_pct"))  # fmt: skip
        if crop is None:
            said.add("crop_pct", 224 / 256, f"{where}: crop_pct is unset, so its own")
        said.add("resize", "shortest", f"{where}: crop_pct, as its evaluation applies it")
    said.add("interpolation", "bicubic", f"{where}: of its evaluation")
    usual = bool(fields["imagenet_default_mean_and_std"])
    detail = detail_of(where, "imagenet_default_mean_and_std")
    said.add("mean", IMAGENET_MEAN if usual else INCEPTION, detail)
    said.add("std", IMAGENET_STD if usual else INCEPTION, detail)


def _is_torchvision(fields: Mapping[Any, Any]) -> bool:
    return "val_crop_size" in fields and "val_resize_size" in fields


def _read_torchvision(fields: Mapping[Any, Any], where: str, _channels: int, said: Said) -> None:
    """Read arguments of torchvision's references: its presets normalise as ImageNet."""
    size = said.attempt("image_size", read_size, fields["val_crop_size"],
                        detail_of(where, "val_crop_size"))  # fmt: skip
    resized = fields["val_resize_size"]
    if size is not None and type(resized) is int:
        add_resized(said, size, resized, detail_of(where, "val_resize_size"))
    said.attempt("interpolation", read_interpolation, fields.get("interpolation"),
                 detail_of(where, "interpolation"))  # fmt: skip
    said.add("mean", IMAGENET_MEAN, f"{where}: of torchvision's presets")
    said.add("std", IMAGENET_STD, f"{where}: of torchvision's presets")
