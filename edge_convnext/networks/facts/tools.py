"""Settings in the dialects of tools: unset ones have the tool's default, not this package's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edge_convnext.core.errors import shorten
from edge_convnext.core.image_size import ImageSize, even_size, sides_of
from edge_convnext.networks.facts.sayings import (
    Said,
    add_pair,
    add_resized,
    add_scale,
    detail_of,
    each_of,
    get_value,
)
from edge_convnext.networks.facts.table import plain_key
from edge_convnext.networks.facts.values import (
    Problem,
    read_channels,
    read_fraction,
    read_interpolation,
    read_number,
    read_size,
)

__all__ = ["read_tool"]

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
INCEPTION = (0.5, 0.5, 0.5)
_TIMM_CROP = 0.875  # timm's DEFAULT_CROP_PCT
_WARPED_FROM = 384  # pixels: from this size on ConvNeXt's evaluation squashes and does not crop


def read_tool(fields: Mapping[Any, Any], where: str, channels: int, said: Said) -> bool:
    """Read a mapping that a known tool wrote; False where no known tool did."""
    for fits, read in (
        (_is_processor, _read_processor),
        (_is_timm_args, _read_timm_args),  # before `pretrained_cfg`, which shares some of its keys
        (_is_timm_cfg, _read_timm_cfg),
        (_is_facebook, _read_facebook),
        (_is_torchvision, _read_torchvision),
    ):
        if fits(fields):
            read(fields, where, channels, said)
            return True
    return False


# ---- transformers --------------------------------------------------------------------------


def _is_processor(fields: Mapping[Any, Any]) -> bool:
    kinds = ("image_processor_type", "feature_extractor_type", "do_normalize", "image_mean")
    return any(key in fields for key in kinds) and "model_type" not in fields


def _read_processor(fields: Mapping[Any, Any], where: str, channels: int, said: Said) -> None:
    """An image processor's settings.

    Source:
        transformers 5, `models/convnext/image_processing_convnext.py`: below 384 pixels the short
        side becomes int(size / crop_pct) and the centre is cut out; from 384 on it is squashed.
    """
    size = said.attempt("image_size", _processor_size, fields, detail_of(where, "size"))
    kind = str(fields.get("image_processor_type") or fields.get("feature_extractor_type") or "")
    convnext = "convnext" in kind.lower() or "crop_pct" in fields
    if fields.get("do_resize") is False:
        said.notes.append(f"{where}: do_resize is false, so images come at the size of the model; "
                          "they are resized here all the same")  # fmt: skip
    elif convnext and isinstance(size, int):  # its own processor refuses height and width
        warped = size >= _WARPED_FROM
        said.add("resize", "squash" if warped else "shortest", detail_of(where, "size"))
        crop = 1.0 if warped else _processor_crop(fields, said, where)
        said.add("crop_pct", crop, detail_of(where, "crop_pct"))
    elif size is not None:
        _processor_resize(fields, size, where, said)
    if "resample" in fields:
        said.attempt("interpolation", read_interpolation, fields["resample"],
                     detail_of(where, "resample"))  # fmt: skip
    _processor_scale(fields, where, channels, said)
    if fields.get("do_flip_channel_order") is True:
        said.bgr = detail_of(where, "do_flip_channel_order")


def _processor_size(fields: Mapping[Any, Any]) -> ImageSize | None:
    if fields.get("do_center_crop") is True and fields.get("crop_size") is not None:
        return read_size(fields["crop_size"])
    return read_size(fields.get("size"))


def _processor_crop(fields: Mapping[Any, Any], said: Said, where: str) -> float:
    try:
        return read_fraction(fields.get("crop_pct")) or 224 / 256
    except Problem as problem:
        said.notes.append(f"{detail_of(where, 'crop_pct')} {problem}; not used")
        return 224 / 256


def _processor_resize(fields: Mapping[Any, Any], size: ImageSize, where: str, said: Said) -> None:
    """Resize of other processors: a short side with a crop, or height and width."""
    resized = fields.get("size")
    short = resized.get("shortest_edge") if isinstance(resized, dict) else None
    if short is None and fields.get("do_center_crop") is not True:
        said.add("resize", "squash", detail_of(where, "size"))
        said.add("crop_pct", 1.0, detail_of(where, "size"))
        return
    cut = fields.get("do_center_crop") is True
    if not cut:
        said.notes.append(f"{where}: size has a shortest edge alone and nothing is cut, so images "
                          "keep their aspect there; here the centre is cut out")  # fmt: skip
    side: ImageSize = next((one for one in (short, resized) if type(one) is int), size)
    if isinstance(resized, dict) and "height" in resized and cut:
        sides = [resized["height"], resized.get("width", resized["height"])]
        side = even_size(sides) if all(type(one) is int for one in sides) else size
    add_resized(said, size, side, detail_of(where, "size"))


def _processor_scale(fields: Mapping[Any, Any], where: str, channels: int, said: Said) -> None:
    """Add mean and std for values in 0..1, converted from the stated scale."""
    normalised = fields.get("do_normalize", "image_mean" in fields) is not False
    if not normalised and "do_normalize" not in fields:
        return
    mean = read_channels(fields.get("image_mean"), channels) if normalised else (0.0, 0.0, 0.0)
    std = read_channels(fields.get("image_std"), channels) if normalised else (1.0, 1.0, 1.0)
    mean, std = (mean or IMAGENET_MEAN), (std or IMAGENET_STD)
    factor = (
        1.0
        if fields.get("do_rescale") is False
        else (read_number(fields.get("rescale_factor")) or 1 / 255)
    )
    detail = detail_of(where, "image_mean and image_std" if normalised else "do_normalize")
    if abs(factor * 255 - 1) > 1e-4 or fields.get("rescale_offset") is True:
        offset = 1.0 if fields.get("rescale_offset") is True else 0.0
        mean = each_of(mean, lambda one: (one + offset) / (255 * factor))
        std = each_of(std, lambda one: one / (255 * factor))
        said.notes.append(f"{where}: pixels are scaled by {factor:g} there, not by 1/255; mean and "
                          "std are stated for 0 to 1 here")  # fmt: skip
        add_scale(said, mean, std, detail, where, exact=True)
    else:
        add_scale(said, mean, std, detail, where)


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
