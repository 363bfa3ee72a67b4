"""Lists of image transforms, as mmpretrain, albumentations and scripts write them down."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from edge_convnext.core.image_size import show_size
from edge_convnext.core.standins import to_plain
from edge_convnext.networks.facts.sayings import Said, add_resized
from edge_convnext.networks.facts.table import plain_key
from edge_convnext.networks.facts.values import Problem, read_interpolation, read_size

__all__ = ["read_pipeline"]

_SHORT = ("resizeedge", "smallestmaxsize")
_SQUARE = ("resize",)
_CROPS = ("centercrop",)
_RANDOM = ("random", "mixup", "cutmix", "jitter", "flip")


def read_pipeline(steps: Sequence[Any], where: str) -> Said:
    """Read the resize, the crop and the filter of an evaluation's transforms.

    Source:
        mmpretrain 1.2, `configs/_base_/datasets`; mmcv 2, `Resize`: scale is (width, height);
        albumentations, `to_dict`.
    """
    said = Said()
    named = [(_kind(step), step) for step in steps if isinstance(step, Mapping)]
    if not named or any(word in kind for kind, _ in named for word in _RANDOM):
        return said
    short = next((step for kind, step in named if kind in _SHORT or _is_edge(kind, step)), None)
    square = next((step for kind, step in named if kind in _SQUARE), None)
    crop = next((step for kind, step in named if kind in _CROPS), None)
    detail = f"{where}: {', '.join(kind for kind, _ in named)[:80]}"
    resize = short if short is not None else square
    if resize is None:
        return said
    try:
        resized = read_size(_side_of(resize))
        size = read_size(_side_of(crop)) if crop is not None else resized
    except Problem as problem:
        said.notes.append(f"{detail} {problem}; not used")
        return said
    if size is None or resized is None:
        return said
    said.add("image_size", size, detail)
    if crop is not None:
        add_resized(said, size, resized, detail)
        if short is None and isinstance(to_plain(_side_of(resize)), list | tuple):
            said.notes.append(f"{detail}: images are squashed to {show_size(resized)} pixels there "
                              "and then cut; here they are resized by their short "
                              "side")  # fmt: skip
    else:
        said.add("resize", "shortest" if resize is short else "squash", detail)
        said.add("crop_pct", 1.0, detail)
    said.attempt("interpolation", _filter_of, resize, detail)
    return said


def _kind(step: Mapping[Any, Any]) -> str:
    stated = next(
        (step[key] for key in ("type", "__class_fullname__", "name", "_target_") if key in step), ""
    )
    return plain_key(str(stated).rpartition(".")[2])


def _is_edge(kind: str, step: Mapping[Any, Any]) -> bool:
    """Whether a single number is given, which torchvision takes as the short side."""
    own = str(step.get("__class_fullname__", "")).startswith("torchvision.")
    side = to_plain(step.get("size"))
    return own and kind == "resize" and not (isinstance(side, list | tuple) and len(side) > 1)


def _side_of(step: Mapping[Any, Any]) -> Any:
    for key in ("scale", "crop_size", "size", "max_size", "image_size"):
        if key in step:
            value = to_plain(step[key])
            if not isinstance(value, list | tuple) or len(value) != 2:
                one = isinstance(value, list | tuple) and len(value) == 1
                return value[0] if one else value
            if key == "crop_size" and value[0] != value[-1]:  # mmcls had height first, mmcv width
                raise Problem("has two sides, and not which is the height: state it with "
                              "--image-size HEIGHT,WIDTH")  # fmt: skip
            return value[::-1] if key == "scale" else value  # mmcv has the width first
    return {key: step[key] for key in ("height", "width") if key in step}


def _filter_of(step: Mapping[Any, Any]) -> Any:
    stated = step.get("interpolation")
    own = str(step.get("__class_fullname__", "")).startswith("torchvision.")
    if isinstance(stated, int) and not own:  # albumentations uses OpenCV's numbers
        return {0: "nearest", 1: "bilinear", 2: "bicubic", 4: "lanczos"}.get(stated)
    return read_interpolation(stated)
