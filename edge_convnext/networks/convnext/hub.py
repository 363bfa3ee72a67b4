"""Published ImageNet-1k weights: where they are, and under which licence.

Source: timm 1.0.31, `timm/models/convnext.py` (names, licences, crops); all at 224 px.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from edge_convnext.core.artifacts import Preprocess
from edge_convnext.core.bounded import read_text_bounded
from edge_convnext.networks.published import HubWeights, Published

__all__ = ["IN1K", "find_published"]

_IN1K_CLASSES = 1000
_CONFIG_BYTES = 4 << 20


def _v2(size: str, revision: str | None = None) -> HubWeights:
    repository = f"timm/convnextv2_{size}.fcmae_ft_in1k"
    return HubWeights(repository, "CC BY-NC 4.0", revision=revision)


def _v1(name: str, crop_pct: float = 0.875) -> HubWeights:
    return HubWeights(f"timm/convnext_{name}", "Apache-2.0", crop_pct)


IN1K: dict[str, HubWeights] = {
    "convnextv2_atto": _v2("atto"),
    "convnextv2_femto": _v2("femto"),
    "convnextv2_pico": _v2("pico", "99e7c3ede3168ec5d4980ab71f4c92d0ae1fe62b"),
    "convnextv2_nano": _v2("nano", "38747e4ef56f397b98d082729a4ee90c7b50cb38"),
    "convnextv2_tiny": _v2("tiny"),
    "convnextv2_base": _v2("base", "7b29800e499fdc06de5b612970f3384dc8d29ca5"),
    "convnextv2_large": _v2("large"),
    "convnextv2_huge": _v2("huge"),
    "convnextv1_atto": _v1("atto.d2_in1k"),
    "convnextv1_femto": _v1("femto.d1_in1k"),
    "convnextv1_pico": _v1("pico.d1_in1k"),
    "convnextv1_nano": _v1("nano.d1h_in1k", crop_pct=0.95),
    "convnextv1_tiny": _v1("tiny.fb_in1k"),
    "convnextv1_small": _v1("small.fb_in1k"),
    "convnextv1_base": _v1("base.fb_in1k"),
}

# torchvision's files, whose names end in the first digits of their digest. The values are 224 over
# 236, 230 and 232 px, cut so that any rounding gives these (torchvision 0.29, models/convnext.py).
_TORCHVISION = {
    ("convnextv1_tiny", "convnext_tiny-983f1562.pth"): 0.949,
    ("convnextv1_small", "convnext_small-0c510722.pth"): 0.9738,
    ("convnextv1_base", "convnext_base-6075fbad.pth"): 0.9655,
}
# facebookresearch's files of fine-tuned weights (README of ConvNeXt and ConvNeXt-V2).
_FACEBOOK = re.compile(r"convnext(v2)?_\w+?_1k_(224|384|512)(_ema)?\.pth?")


def find_published(path: Path, model: str) -> Published | None:
    """Recognise a local copy of a model's ImageNet weights, so that its licence is not lost.

    Recognised are a file in a hub cache (`models--OWNER--NAME/snapshots/COMMIT/`), a file with
    timm's `config.json` next to it, as `hf download --local-dir` leaves them, and the file names
    of torchvision and facebookresearch.

    Returns:
        Name, origin, licence and preprocessing of the weights; None for any other file.
    """
    if found := _find_by_name(path, model):
        return found
    hub = IN1K.get(model)
    if hub is None:
        return None
    folder = path.absolute().parent
    cached = f"models--{hub.repository.replace('/', '--')}"
    if folder.parent.name == "snapshots" and folder.parent.parent.name == cached:
        return hub.published_as(f"{hub.repository}@{folder.name}")
    if _read_timm_name(folder / "config.json") == hub.repository.partition("/")[2]:
        return hub.published_as(f"{path.name} of {hub.repository}")
    return None


def _find_by_name(path: Path, model: str) -> Published | None:
    if crop_pct := _TORCHVISION.get((model, path.name)):
        preprocess = Preprocess(resize="shortest", crop_pct=crop_pct)
        return Published(path.name, f"torchvision, {path.name}", "BSD-3-Clause", preprocess)
    named = _FACEBOOK.fullmatch(path.name)
    if named is None or not path.name.startswith(model.replace("convnextv1", "convnext") + "_"):
        return None
    size = int(named[2])
    warped = size >= 384
    preprocess = Preprocess(
        image_size=size,
        resize="squash" if warped else "shortest",
        crop_pct=1.0 if warped else 0.875,
        interpolation="bicubic",
    )
    licence = "CC BY-NC 4.0" if named[1] else "MIT"
    return Published(path.name, f"facebookresearch, {path.name}", licence, preprocess)


def _read_timm_name(config: Path) -> str | None:
    """Read `architecture.tag` of a timm model with ImageNet's classes; None if there is none."""
    try:
        fields = json.loads(read_text_bounded(config, _CONFIG_BYTES))
        if fields["num_classes"] != _IN1K_CLASSES:
            return None
        return f"{fields['architecture']}.{fields['pretrained_cfg']['tag']}"
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None  # there is no config, or another tool wrote it
