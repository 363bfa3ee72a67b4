"""One mapping of settings, read as the tool that wrote it means it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from edge_convnext.convnext.hub import IN1K
from edge_convnext.errors import shorten
from edge_convnext.origins import FactName
from edge_convnext.said.class_names import read_names
from edge_convnext.said.table import RESIZED_KEYS, STATS_KEYS, find_keys, plain_key
from edge_convnext.said.values import (
    Problem,
    crop_pct_of,
    read_channels,
    read_fraction,
    read_interpolation,
    read_licence,
    read_number,
    read_size,
)
from edge_convnext.standins import to_plain

__all__ = ["Said", "Saying", "add_resized", "read_mapping"]

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
INCEPTION = (0.5, 0.5, 0.5)
_TIMM_CROP = 0.875  # timm's DEFAULT_CROP_PCT
_WARPED_FROM = 384  # pixels: from there on ConvNeXt's evaluation squashes and crops nothing
_SHOWN = 4


@dataclass(frozen=True)
class Saying:
    """One value, and the key that says so."""

    name: FactName
    value: Any
    detail: str


@dataclass
class Said:
    """What a mapping says, and sentences on what can't be used of it."""

    sayings: list[Saying] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    bgr: str | None = None  # who says that the channels are in the order of OpenCV

    def add(self, name: FactName, value: Any, detail: str) -> None:
        """Add a value, unless there is none."""
        if value is not None:
            self.sayings.append(Saying(name, value, detail))

    def attempt(self, name: FactName, read: Callable[[], Any], detail: str) -> Any:
        """Add what `read` returns, or the sentence that it raises."""
        try:
            value = read()
        except Problem as problem:
            self.notes.append(f"{detail} {problem}; not used")
            return None
        self.add(name, value, detail)
        return value


def read_mapping(fields: Mapping[Any, Any], where: str, num_classes: int, channels: int) -> Said:
    """Read a mapping: class names, preprocessing, licence.

    Args:
        fields: A mapping from a checkpoint or a file beside it, without the mappings in it.
        where: What a message calls it, "args" or "config.json".
        num_classes: That the classifier tells apart; 0 where there is no classifier.
        channels: Of the network's input.
    """
    said = Said()
    _read_classes(fields, where, num_classes, said)
    for fits, read in _READERS:
        if fits(fields):
            read(fields, where, channels, said)
            break
    _read_channels_in(fields, where, channels, said)
    for key in find_keys(fields, "licence"):
        said.add("licence", read_licence(fields[key]), _detail(where, key))
    return said


def _detail(where: str, key: object) -> str:
    return f"{where}: {shorten(str(key), 60)}" if where else shorten(str(key), 60)


def _get(fields: Mapping[Any, Any], *keys: str) -> Any:
    """A value by the first of the keys that is there, in any spelling."""
    spelled = {plain_key(key): key for key in fields}
    for key in keys:
        if plain_key(key) in spelled:
            return to_plain(fields[spelled[plain_key(key)]])
    return None


def _read_classes(fields: Mapping[Any, Any], where: str, num_classes: int, said: Said) -> None:
    for key in find_keys(fields, "classes"):
        names = read_names(fields[key], str(key))
        if not names or not num_classes:
            continue
        if len(names) == num_classes:
            said.add("classes", names, _detail(where, key))
        elif len(names) > 1:
            shown = shorten(", ".join(names[:_SHOWN]), 80)
            said.notes.append(
                f"{_detail(where, key)} has {len(names)} entries ({shown}), and the classifier "
                f"{num_classes} outputs; they are not used as class names"
            )


def _read_channels_in(fields: Mapping[Any, Any], where: str, channels: int, said: Said) -> None:
    for key in find_keys(fields, "in_channels"):
        stated = read_number(fields[key])
        if stated is not None and stated != channels:
            said.notes.append(
                f"{_detail(where, key)} says {stated:g} channels, and the weights take {channels}"
            )


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
    size = said.attempt("image_size", lambda: _processor_size(fields), _detail(where, "size"))
    kind = str(fields.get("image_processor_type") or fields.get("feature_extractor_type") or "")
    convnext = "convnext" in kind.lower() or "crop_pct" in fields
    if fields.get("do_resize") is False:
        said.notes.append(f"{where}: do_resize is false, so images come at the size of the model; "
                          "they are resized here all the same")  # fmt: skip
    elif convnext and size is not None:
        warped = size >= _WARPED_FROM
        said.add("resize", "squash" if warped else "shortest", _detail(where, "size"))
        crop = 1.0 if warped else _processor_crop(fields, said, where)
        said.add("crop_pct", crop, _detail(where, "crop_pct"))
    elif size is not None:
        _processor_resize(fields, size, where, said)
    if "resample" in fields:
        said.attempt("interpolation", lambda: read_interpolation(fields["resample"]),
                     _detail(where, "resample"))  # fmt: skip
    _processor_scale(fields, where, channels, said)
    if fields.get("do_flip_channel_order") is True:
        said.bgr = _detail(where, "do_flip_channel_order")


def _processor_size(fields: Mapping[Any, Any]) -> int | None:
    if fields.get("do_center_crop") is True and fields.get("crop_size") is not None:
        return read_size(fields["crop_size"])
    return read_size(fields.get("size"))


def _processor_crop(fields: Mapping[Any, Any], said: Said, where: str) -> float:
    try:
        return read_fraction(fields.get("crop_pct")) or 224 / 256
    except Problem as problem:
        said.notes.append(f"{_detail(where, 'crop_pct')} {problem}; not used")
        return 224 / 256


def _processor_resize(fields: Mapping[Any, Any], size: int, where: str, said: Said) -> None:
    """Of other processors: a short side with a crop, or a square."""
    resized = fields.get("size")
    short = resized.get("shortest_edge") if isinstance(resized, dict) else None
    if short is None and fields.get("do_center_crop") is not True:
        said.add("resize", "squash", _detail(where, "size"))
        said.add("crop_pct", 1.0, _detail(where, "size"))
        return
    cut = fields.get("do_center_crop") is True
    if not cut:
        said.notes.append(f"{where}: size has a shortest edge alone and nothing is cut, so images "
                          "keep their aspect there; here the centre is cut out")  # fmt: skip
    side = short if type(short) is int else size
    if isinstance(resized, dict) and "height" in resized and cut:
        side = resized["height"] if type(resized["height"]) is int else size
    add_resized(said, size, side, _detail(where, "size"))


def _processor_scale(fields: Mapping[Any, Any], where: str, channels: int, said: Said) -> None:
    """Mean and std of values in 0..1, whatever scale they are stated in."""
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
    detail = _detail(where, "image_mean and image_std" if normalised else "do_normalize")
    if abs(factor * 255 - 1) > 1e-4 or fields.get("rescale_offset") is True:
        offset = 1.0 if fields.get("rescale_offset") is True else 0.0
        mean = _each(mean, lambda one: (one + offset) / (255 * factor))
        std = _each(std, lambda one: one / (255 * factor))
        said.notes.append(f"{where}: pixels are scaled by {factor:g} there, not by 1/255; mean and "
                          "std are stated for 0 to 1 here")  # fmt: skip
        _add_scale(said, mean, std, detail, where, exact=True)
    else:
        _add_scale(said, mean, std, detail, where)


def _each(
    values: tuple[float, float, float], change: Callable[[float], float]
) -> tuple[float, float, float]:
    return change(values[0]), change(values[1]), change(values[2])


# ---- timm ----------------------------------------------------------------------------------


def _is_timm_cfg(fields: Mapping[Any, Any]) -> bool:
    marks = {"first_conv", "pool_size", "hf_hub_id", "crop_mode", "fixed_input_size", "tag"}
    return "input_size" in fields and bool(marks & {*fields})


def _read_timm_cfg(fields: Mapping[Any, Any], where: str, channels: int, said: Said) -> None:
    """`pretrained_cfg`, where every value is of evaluation."""
    said.attempt("image_size", lambda: read_size(fields["input_size"]),
                 _detail(where, "input_size"))  # fmt: skip
    _timm_crop(fields, where, said, None)
    said.attempt("interpolation", lambda: read_interpolation(fields.get("interpolation")),
                 _detail(where, "interpolation"))  # fmt: skip
    _pair(fields, where, channels, said)


def _timm_crop(fields: Mapping[Any, Any], where: str, said: Said, default: float | None) -> None:
    crop = said.attempt("crop_pct", lambda: read_fraction(fields.get("crop_pct")),
                        _detail(where, "crop_pct"))  # fmt: skip
    if crop is None and default is not None:
        crop = default
        said.add("crop_pct", crop, f"{where}: crop_pct is unset, so timm's own")
    mode = fields.get("crop_mode") or "center"
    if crop is None:
        return
    if mode == "squash":
        said.add("resize", "squash", _detail(where, "crop_mode"))
        if crop < 1:
            said.notes.append(f"{where}: crop_mode squash with crop_pct {crop:g} cuts the edges "
                              "off a squashed image; nothing is cut here")  # fmt: skip
    else:
        said.add("resize", "shortest", f"{where}: crop_pct, as timm applies it")
        if mode != "center":
            said.notes.append(f"{_detail(where, 'crop_mode')} is {shorten(str(mode), 40)}; images "
                              "are resized by their short side here")  # fmt: skip


def _is_timm_args(fields: Mapping[Any, Any]) -> bool:
    keys = {plain_key(key) for key in fields}
    return {"model", "croppct", "interpolation", "imgsize"} <= keys


def _read_timm_args(fields: Mapping[Any, Any], where: str, channels: int, said: Said) -> None:
    """Arguments of timm's train.py; what is unset is taken from the model's own settings.

    Source:
        timm 1.0.31, `data/config.py`, `resolve_data_config`.
    """
    stated = _get(fields, "input_size") or _get(fields, "img_size")
    if stated is not None:
        said.attempt("image_size", lambda: read_size(stated), _detail(where, "img_size"))
    else:
        said.add("image_size", 224, f"{where}: img_size is unset, so timm's own")
    name = str(_get(fields, "model") or "")
    _timm_crop(fields, where, said, _timm_default_crop(name, said, where))
    filter_ = said.attempt(
        "interpolation", lambda: read_interpolation(_get(fields, "interpolation")),
        _detail(where, "interpolation"),
    )  # fmt: skip
    if filter_ is None:
        said.add("interpolation", "bicubic", f"{where}: interpolation is unset, so timm's own")
    if _get(fields, "mean") is not None or _get(fields, "std") is not None or "clip" in name:
        _pair(fields, where, channels, said)
    else:
        said.add("mean", IMAGENET_MEAN, f"{where}: mean is unset, so timm's own")
        said.add("std", IMAGENET_STD, f"{where}: std is unset, so timm's own")


def _timm_default_crop(name: str, said: Said, where: str) -> float:
    base, _, tag = name.removeprefix("timm/").partition(".")
    for hub in IN1K.values():
        known, _, its_tag = hub.repository.removeprefix("timm/").partition(".")
        if known == base and tag in ("", its_tag):
            return hub.crop_pct
    if name and _TIMM_CROP:
        said.notes.append(f"{where}: timm takes what is unset from '{shorten(name, 60)}', whose "
                          f"own crop is not known here; where it counts it is {_TIMM_CROP}")  # fmt: skip
    return _TIMM_CROP


# ---- facebookresearch, torchvision's references, others -------------------------------------


def _is_facebook(fields: Mapping[Any, Any]) -> bool:
    return "imagenet_default_mean_and_std" in fields


def _read_facebook(fields: Mapping[Any, Any], where: str, _channels: int, said: Said) -> None:
    """Arguments of facebookresearch/ConvNeXt and ConvNeXt-V2.

    Source:
        `datasets.py`, `build_transform` of the evaluation side.
    """
    size = said.attempt("image_size", lambda: read_size(fields.get("input_size")),
                        _detail(where, "input_size"))  # fmt: skip
    if size is not None and size >= _WARPED_FROM:
        said.add("resize", "squash", f"{where}: input_size, squashed from {_WARPED_FROM} on")
        said.add("crop_pct", 1.0, f"{where}: input_size, squashed from {_WARPED_FROM} on")
    elif size is not None:
        crop = said.attempt("crop_pct", lambda: read_fraction(fields.get("crop_pct")),
                            _detail(where, "crop_pct"))  # fmt: skip
        if crop is None:
            said.add("crop_pct", 224 / 256, f"{where}: crop_pct is unset, so its own")
        said.add("resize", "shortest", f"{where}: crop_pct, as its evaluation applies it")
    said.add("interpolation", "bicubic", f"{where}: of its evaluation")
    usual = bool(fields["imagenet_default_mean_and_std"])
    detail = _detail(where, "imagenet_default_mean_and_std")
    said.add("mean", IMAGENET_MEAN if usual else INCEPTION, detail)
    said.add("std", IMAGENET_STD if usual else INCEPTION, detail)


def _is_torchvision(fields: Mapping[Any, Any]) -> bool:
    return "val_crop_size" in fields and "val_resize_size" in fields


def _read_torchvision(fields: Mapping[Any, Any], where: str, _channels: int, said: Said) -> None:
    """Arguments of torchvision's references: its presets normalise as ImageNet."""
    size = said.attempt("image_size", lambda: read_size(fields["val_crop_size"]),
                        _detail(where, "val_crop_size"))  # fmt: skip
    resized = fields["val_resize_size"]
    if size is not None and type(resized) is int:
        add_resized(said, size, resized, _detail(where, "val_resize_size"))
    said.attempt("interpolation", lambda: read_interpolation(fields.get("interpolation")),
                 _detail(where, "interpolation"))  # fmt: skip
    said.add("mean", IMAGENET_MEAN, f"{where}: of torchvision's presets")
    said.add("std", IMAGENET_STD, f"{where}: of torchvision's presets")


def _read_others(fields: Mapping[Any, Any], where: str, channels: int, said: Said) -> None:
    """Settings of scripts: the usual keys, each for itself."""
    size = None
    for key in find_keys(fields, "image_size"):
        if plain_key(key) == "size" and not _of_pixels(where):
            continue
        if "model_type" in fields and fields[key] == 224:
            continue  # transformers' own default, written whatever the images were
        found = said.attempt("image_size", lambda key=key: read_size(fields[key]),
                             _detail(where, key))  # fmt: skip
        size = size or found
    for key in find_keys(fields, "crop_pct"):
        crop = said.attempt("crop_pct", lambda key=key: read_fraction(fields[key]),
                            _detail(where, key))  # fmt: skip
        if crop is not None and crop < 1:
            said.add("resize", "shortest", _detail(where, key))
    for key in find_keys(fields, "interpolation"):
        said.attempt("interpolation", lambda key=key: read_interpolation(fields[key]),
                     _detail(where, key))  # fmt: skip
    resized = _get(fields, *RESIZED_KEYS)
    if size is not None and type(resized) is int and resized > size:
        add_resized(said, size, resized, f"{where}: the size before the crop".lstrip(": "))
    for key in find_keys(fields, "resize"):
        if fields[key] in ("squash", "shortest"):
            said.add("resize", fields[key], _detail(where, key))
    _pair(fields, where, channels, said)
    if _is_bgr(fields, where):
        said.bgr = where


def _is_bgr(fields: Mapping[Any, Any], where: str) -> bool:
    """Channels in the order of OpenCV: mmpretrain's preprocessor turns them only when asked to."""
    if _get(fields, "mean") is None:
        return False
    stated = _get(fields, "to_rgb", "bgr_to_rgb")
    own = where.endswith("data_preprocessor") and "num_classes" in fields
    return _get(fields, "bgr") is True or stated is False or (own and stated is None)


def _of_pixels(where: str) -> bool:
    """Whether a mapping is of images, so that plain words like `size` and `mean` are too."""
    words = ("norm", "transform", "prepro", "image", "img", "augment", "input", "data", "resize")
    return any(word in where.lower() for word in words)


def add_resized(said: Said, size: int, resized: int, detail: str) -> None:
    if resized < size:
        said.notes.append(f"{detail} says {resized} pixels before a crop of {size}; not used")
        return
    said.add("resize", "shortest", detail)
    said.add("crop_pct", crop_pct_of(size, resized), detail)


def _pair(fields: Mapping[Any, Any], where: str, channels: int, said: Said) -> None:
    """Mean and standard deviation, stated apart or together."""
    means, stds = find_keys(fields, "mean"), find_keys(fields, "std")
    mean = next((v for k in means if (v := _channel_values(fields[k], k, where, channels))), None)
    std = next((v for k in stds if (v := _channel_values(fields[k], k, where, channels))), None)
    if mean is not None or std is not None:
        key = " and ".join(shorten(str(keys[0]), 40) for keys in (means, stds) if keys)
        _add_scale(said, mean, std, _detail(where, key), where)
        return
    for stat in STATS_KEYS:
        both = _get(fields, stat)
        if isinstance(both, list | tuple) and len(both) == 2:
            mean, std = (read_channels(one, channels) if _is_list(one) else None for one in both)
            if mean and std:
                _add_scale(said, mean, std, _detail(where, stat), where)
                return


def _is_list(value: Any) -> bool:
    return isinstance(to_plain(value), list | tuple)


def _channel_values(
    value: Any, key: object, where: str, channels: int
) -> tuple[float, float, float] | None:
    """A single number under a plain `mean` may be any mean: of a metric, of a loss."""
    plain = plain_key(key) in ("mean", "std", "means", "stds")
    if plain and not _is_list(value) and not isinstance(value, str) and not _of_pixels(where):
        return None
    return read_channels(value, channels)


def _add_scale(
    said: Said,
    mean: tuple[float, float, float] | None,
    std: tuple[float, float, float] | None,
    detail: str,
    where: str,
    exact: bool = False,
) -> None:
    """Mean and std as they are for pixels of 0 to 1."""
    if std is not None and min(std) <= 0:
        said.notes.append(f"{detail}: a standard deviation of 0 or less divides by nothing; mean "
                          "and std of it are not used: pass --mean and --std")  # fmt: skip
        return
    if mean is None or std is None:
        which = "mean" if std is None else "standard deviation"
        said.notes.append(f"{detail}: a {which} alone; the other is not stated there")
    if not exact and max((*(mean or (0.0,)), *(std or (0.0,)))) > 2:
        mean = _each(mean, lambda one: one / 255) if mean else None
        std = _each(std, lambda one: one / 255) if std else None
        said.notes.append(f"{detail}: stated for pixels of 0 to 255, and divided by 255 here")
    if not exact and mean and (min(mean) < -1 or max(mean) > 1.5):
        said.notes.append(f"{detail}: a mean of {max(mean):.3g} is outside the images' 0 to 1")
    said.add("mean", mean, detail)
    said.add("std", std, detail)


_Reader = Callable[[Mapping[Any, Any], str, int, Said], None]
_READERS: tuple[tuple[Callable[[Mapping[Any, Any]], bool], _Reader], ...] = (
    (_is_processor, _read_processor),
    (_is_timm_cfg, _read_timm_cfg),
    (_is_timm_args, _read_timm_args),
    (_is_facebook, _read_facebook),
    (_is_torchvision, _read_torchvision),
    (lambda _fields: True, _read_others),
)
