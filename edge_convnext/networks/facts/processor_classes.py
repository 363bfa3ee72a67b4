"""The fields of transformers' image processors that a file leaves out, or states as null, by class.

Source:
    transformers 5.24, `models/*/image_processing_*.py`, of the classes that it pairs with image
    classifiers; `tests/networks/facts/test_processors.py` compares with these classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["IMAGENET_MEAN", "IMAGENET_STD", "OWN_VALUES"]

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_HALF = {"image_mean": (0.5,) * 3, "image_std": (0.5,) * 3}
_IMAGENET = {"image_mean": IMAGENET_MEAN, "image_std": IMAGENET_STD}
_CLIP = {
    "image_mean": (0.48145466, 0.4578275, 0.40821073),
    "image_std": (0.26862954, 0.26130258, 0.27577711),
}
_BILINEAR, _BICUBIC = {"resample": 2}, {"resample": 3}
# `default_to_square`: whether a size of one number means both sides, or the short one.
_SHORT = {"default_to_square": False}
_CUT_224 = {"crop_size": {"height": 224, "width": 224}, "do_center_crop": True}


def _square(side: int) -> dict[str, Any]:
    return {"size": {"height": side, "width": side}, "default_to_square": True}


def _short(side: int) -> dict[str, Any]:
    return {"size": {"shortest_edge": side}, **_SHORT}


_COMMON: Mapping[str, Any] = {
    "do_resize": True, "do_center_crop": False, "do_rescale": True, "rescale_factor": 1 / 255,
    "do_normalize": True,
}  # fmt: skip
_OF_CLIP = {**_COMMON, **_CLIP, **_BICUBIC, **_short(224), **_CUT_224}
_OF_MOBILENET = {**_COMMON, **_HALF, **_BILINEAR, **_short(256), **_CUT_224}

OWN_VALUES: Mapping[str, Mapping[str, Any]] = {
    "BeitImageProcessor": {**_COMMON, **_HALF, **_BICUBIC, **_square(224),
                           "crop_size": {"height": 224, "width": 224}},
    "BitImageProcessor": _OF_CLIP,
    "CLIPImageProcessor": _OF_CLIP,
    "ConvNextImageProcessor": {**_COMMON, **_HALF, **_BICUBIC, **_short(384),
                               "crop_pct": 224 / 256},
    "DeiTImageProcessor": {**_COMMON, **_HALF, **_BICUBIC, **_square(256), **_CUT_224},
    "EfficientNetImageProcessor": {**_COMMON, **_HALF, **_BICUBIC, **_square(346),
                                   "crop_size": {"height": 289, "width": 289},
                                   "rescale_offset": False, "include_top": True},
    "LevitImageProcessor": {**_COMMON, **_IMAGENET, **_BICUBIC, **_short(224), **_CUT_224},
    "MobileNetV1ImageProcessor": _OF_MOBILENET,
    "MobileNetV2ImageProcessor": _OF_MOBILENET,
    "MobileViTImageProcessor": {**_COMMON, **_BICUBIC, **_short(224), "do_normalize": None,
                                "crop_size": {"height": 256, "width": 256},
                                "do_center_crop": True, "do_flip_channel_order": True},
    "PPLCNetImageProcessor": {**_COMMON, **_BILINEAR, **_square(256), **_CUT_224,
                              "crop_size": 224, "resize_short": 256,
                              "image_mean": (0.406, 0.456, 0.485),
                              "image_std": (0.225, 0.224, 0.229)},
    "PerceiverImageProcessor": {**_COMMON, **_IMAGENET, **_BICUBIC, **_square(224),
                                "crop_size": {"height": 256, "width": 256},
                                "do_center_crop": True},
    "PoolFormerImageProcessor": {**_COMMON, **_IMAGENET, **_BICUBIC, **_short(224), **_CUT_224,
                                 "crop_pct": 0.9},
    "PvtImageProcessor": {**_COMMON, **_IMAGENET, **_BICUBIC, **_square(224)},
    "SegformerImageProcessor": {**_COMMON, **_IMAGENET, **_BILINEAR, **_square(512),
                                "do_center_crop": None},
    "SiglipImageProcessor": {**_COMMON, **_HALF, **_BICUBIC, **_square(224), **_SHORT},
    "TextNetImageProcessor": {**_COMMON, **_IMAGENET, **_BILINEAR, **_short(640),
                              "crop_size": {"height": 224, "width": 224}},
    "ViTImageProcessor": {**_COMMON, **_HALF, **_BILINEAR, **_square(224)},
}  # fmt: skip
