"""Settings of transformers' image processors: what each class does with its fields.

A field that a file leaves out has the class's own value, and a class may ignore a field. So what
the fields of one name mean depends on the class, and the file has its name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from edge_convnext.core.image_size import ImageSize, even_size, show_size, sides_of
from edge_convnext.networks.facts.processor_classes import IMAGENET_MEAN, IMAGENET_STD, OWN_VALUES
from edge_convnext.networks.facts.sayings import Said, add_resized, add_scale, detail_of, each_of
from edge_convnext.networks.facts.values import (
    Problem,
    plain_value,
    read_channels,
    read_fraction,
    read_interpolation,
    read_number,
    read_size,
)

__all__ = ["is_processor", "read_processor"]

# These have their own way, whatever the fields say.
_CONVNEXT, _MOBILEVIT, _PP = (
    "ConvNextImageProcessor", "MobileViTImageProcessor", "PPLCNetImageProcessor",
)  # fmt: skip
_PERCEIVER, _SEGFORMER = "PerceiverImageProcessor", "SegformerImageProcessor"
_LEVIT, _POOL = "LevitImageProcessor", "PoolFormerImageProcessor"
_WARPED_FROM = 384  # pixels: from this size on ConvNeXt's squashes and cuts nothing
_MARKS = ("image_processor_type", "feature_extractor_type", "do_normalize", "do_rescale",
          "do_flip_channel_order", "image_mean")  # fmt: skip

# Of the short side, or of both, whatever the aspect.
_Resized: TypeAlias = int | tuple[int, int]


def is_processor(fields: Mapping[Any, Any]) -> bool:
    """Whether a mapping is the settings of an image processor."""
    return any(key in fields for key in _MARKS) and "model_type" not in fields


@dataclass(frozen=True)
class _Fields:
    """The fields of a file, and what its class puts where they are unset."""

    stated: Mapping[Any, Any]
    name: str  # of the class, as the table has it; empty where the file names none
    where: str

    @property
    def own(self) -> Mapping[str, Any]:
        return OWN_VALUES.get(self.name, {})

    def get(self, key: str) -> Any:
        value = plain_value(self.stated.get(key))
        return self.own.get(key) if value is None else value

    def detail(self, key: str) -> str:
        if self.own.get(key) is None or self.stated.get(key) is not None:
            return detail_of(self.where, key)
        return f"{self.where}: {key} is unset, so {self.name}'s own"

    @property
    def cuts(self) -> bool:
        """Whether the centre of `crop_size` is what the network gets."""
        if self.name in (_PERCEIVER, _SEGFORMER):
            return False
        return self.get("do_center_crop") is True and self.get("crop_size") is not None


def read_processor(fields: Mapping[Any, Any], where: str, channels: int, said: Said) -> None:
    """Read an image processor's settings as its class applies them.

    Args:
        fields: Content of `preprocessor_config.json`, or what is like it.
        where: Its name in messages.
        channels: Channels of the network's input.
        said: Takes what is stated, and notes on what is done otherwise here.
    """
    used = _Fields(fields, _class_of(fields), where)
    place = "crop_size" if used.cuts else "size"
    size = said.attempt("image_size", read_size, used.get(place), used.detail(place))
    if used.get("do_resize") is False:
        said.notes.append(f"{where}: do_resize is false, so images come at the size of the model; "
                          "they are resized here all the same")  # fmt: skip
    elif size is not None:
        _add_resize(used, size, said)
    if used.get("resample") is not None:
        said.attempt("interpolation", read_interpolation, used.get("resample"),
                     used.detail("resample"))  # fmt: skip
    _add_values(used, channels, said)
    if used.name == _PP:
        said.bgr = f"{where}: {_PP}"
    elif used.get("do_flip_channel_order") is True:
        said.bgr = used.detail("do_flip_channel_order")


def _class_of(fields: Mapping[Any, Any]) -> str:
    """The class by the name that the table has: `ViTImageProcessor` of `ViTImageProcessorFast`."""
    stated = fields.get("image_processor_type") or fields.get("feature_extractor_type") or ""
    name = str(stated).replace("FeatureExtractor", "ImageProcessor")
    name = name.removesuffix("Fast").removesuffix("Pil")
    if name in OWN_VALUES:
        return name
    if not name and "do_flip_channel_order" in fields:
        return _MOBILEVIT  # alone has it, of those for classifiers
    return _CONVNEXT if "convnext" in name.lower() else name


# ---- size and crop ---------------------------------------------------------------------------


def _add_resize(used: _Fields, size: ImageSize, said: Said) -> None:
    sides = _sides_of(used)
    if sides is None:
        return
    detail = used.detail("size")
    if used.name == _PERCEIVER and used.get("do_center_crop") is True:  # cuts first
        whole = read_size(used.get("crop_size"))
        add_resized(said, size, size if whole is None else whole, used.detail("crop_size"))
        return
    part = _part_of(used, sides, said)
    if part is not None:
        sides = _enlarged(sides, part)
        detail = used.detail("crop_pct")
    elif used.name == _LEVIT and isinstance(sides, int):
        sides = int(256 / 224 * sides)
        detail = f"{used.where}: {_LEVIT} resizes to 256/224 of size"
    elif used.name == _PP and type(short := used.get("resize_short")) is int:
        sides, detail = short, used.detail("resize_short")
    _add_sides(used, size, sides, part, detail, said)


def _sides_of(used: _Fields) -> _Resized | None:
    """What `size` says: the short side, or height and width."""
    stated = used.get("size")
    if isinstance(stated, Mapping):
        stated = stated.get("shortest_edge") or [stated.get("height"), stated.get("width")]
    sides = list(stated) if isinstance(stated, list | tuple) else [stated]
    numbers = [int(one) for one in sides if _is_whole(one)]
    if len(numbers) != len(sides) or len(numbers) not in (1, 2) or min(numbers) < 1:
        return None
    if len(numbers) == 2:
        high, wide = numbers
        # ConvNeXt's own refuses height and width: of a square its one number is meant.
        return high if used.name == _CONVNEXT and high == wide else (high, wide)
    square = used.get("default_to_square")
    if square is None:
        square = not used.cuts  # of a class that is not known
    return (numbers[0], numbers[0]) if square is True else numbers[0]


def _is_whole(value: Any) -> bool:
    number = read_number(value)
    return number is not None and number.is_integer()


def _part_of(used: _Fields, sides: _Resized, said: Said) -> float | None:
    """The part that is cut out of a larger resize, by `crop_pct`; None where nothing enlarges."""
    by_part = used.name == _POOL or (isinstance(sides, int) and _like_convnext(used))
    if not by_part or (_like_convnext(used) and min(_pair(sides)) >= _WARPED_FROM):
        return None
    usual = 224 / 256 if used.get("crop_pct") is None else used.own.get("crop_pct", 224 / 256)
    try:
        return read_fraction(used.get("crop_pct")) or usual
    except Problem as problem:
        said.notes.append(f"{used.detail('crop_pct')} {problem}; not used")
        return float(usual)


def _like_convnext(used: _Fields) -> bool:
    return used.name == _CONVNEXT or (not used.own and "crop_pct" in used.stated)


def _pair(sides: _Resized) -> tuple[int, int]:
    return (sides, sides) if isinstance(sides, int) else sides


def _enlarged(sides: _Resized, part: float) -> _Resized:
    """Sides before a part is cut out; a square's are those of the short side."""
    high, wide = (int(side / part) for side in _pair(sides))
    return high if high == wide else (high, wide)


def _add_sides(
    used: _Fields, size: ImageSize, sides: _Resized, part: float | None, detail: str, said: Said
) -> None:
    """Add the resize to `sides` and the crop to `size`, and tell what differs from it here."""
    if isinstance(sides, int) and _like_convnext(used) and part is None:
        sides = (sides, sides)  # warped
    if min(_pair(sides)) < min(sides_of(size)):
        said.notes.append(f"{detail}: images are resized to less than the {show_size(size)} pixels "
                          "that are cut out there, and padded with black; here they are "
                          "resized to that")  # fmt: skip
        said.add("resize", "squash" if isinstance(sides, tuple) else "shortest", detail)
        said.add("crop_pct", 1.0, detail)
    elif isinstance(sides, tuple) and sides == sides_of(size):
        said.add("resize", "squash", detail)
        said.add("crop_pct", 1.0, detail)
    elif isinstance(sides, tuple):
        said.notes.append(f"{detail}: images are squashed to {show_size(even_size(sides))} pixels "
                          "there and then cut; here they are resized by their short "
                          "side")  # fmt: skip
        add_resized(said, size, even_size(sides), detail)
    elif part is not None and _enlarged(sides_of(size), part) == sides:
        said.add("resize", "shortest", used.detail("size"))
        said.add("crop_pct", part, detail)
    else:
        if not used.cuts and used.name != _PERCEIVER:
            said.notes.append(f"{used.where}: size has a shortest edge alone and nothing is cut, "
                              "so images keep their aspect there; here the centre is cut "
                              "out")  # fmt: skip
        add_resized(said, size, sides, detail)


# ---- values ----------------------------------------------------------------------------------


def _add_values(used: _Fields, channels: int, said: Said) -> None:
    """Add mean and std for values in 0..1, converted from the scale that the class makes.

    With p in 0..1 it computes y = 255 factor p - offset, then (y - mean) / std. EfficientNet's
    divides by std once more (`include_top`).
    """
    found = _mean_and_std(used, channels)
    if found is None:
        return
    mean, std, detail = found
    rescales = used.get("do_rescale") is not False
    factor = (read_number(used.get("rescale_factor")) or 1 / 255) if rescales else 1.0
    offset = 1.0 if rescales and used.get("rescale_offset") is True else 0.0
    twice = read_channels(used.get("image_std"), channels)
    if used.name == "EfficientNetImageProcessor" and used.get("include_top") is True and twice:
        std = (std[0] * twice[0], std[1] * twice[1], std[2] * twice[2])
        said.notes.append(f"{used.detail('include_top')}: it divides by image_std once more, so "
                          "that is in std here")  # fmt: skip
    if abs(factor * 255 - 1) <= 1e-4 and not offset:
        add_scale(said, mean, std, detail, used.where)
        return
    mean = each_of(mean, lambda one: (one + offset) / (255 * factor))
    std = each_of(std, lambda one: one / (255 * factor))
    said.notes.append(f"{used.where}: pixels are scaled by {factor:g} there, not by 1/255; mean "
                      "and std are stated for 0 to 1 here")  # fmt: skip
    add_scale(said, mean, std, detail, used.where, exact=True)


_Channels: TypeAlias = tuple[float, float, float]


def _mean_and_std(used: _Fields, channels: int) -> tuple[_Channels, _Channels, str] | None:
    """What is subtracted and divided by after the scale; None where nothing states it."""
    normalises = used.get("do_normalize")
    if used.name == _MOBILEVIT:  # whatever the file says, it has no such step
        return (0.0,) * 3, (1.0,) * 3, f"{used.where}: {_MOBILEVIT} normalises nothing"
    if normalises is None and "image_mean" not in used.stated:
        return None
    if normalises is False:
        return (0.0,) * 3, (1.0,) * 3, used.detail("do_normalize")
    mean = read_channels(used.get("image_mean"), channels)
    std = read_channels(used.get("image_std"), channels)
    mean, std = mean or IMAGENET_MEAN, std or IMAGENET_STD
    if used.name == _PP:  # normalises RGB, and turns the channels after that
        mean, std = mean[::-1], std[::-1]
    keys = [used.detail("image_mean"), used.detail("image_std")]
    unset = all("is unset" in one for one in keys)
    return mean, std, keys[0] if unset else detail_of(used.where, "image_mean and image_std")
