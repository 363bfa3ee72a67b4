"""ImageNet-1k weights on the Hugging Face hub: where they are, and on what terms.

Source: timm 1.0.31, `timm/models/convnext.py` (names, licences, crops); all at 224 px.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

__all__ = ["IN1K", "HubWeights", "find_published"]

_IN1K_CLASSES = 1000


@dataclass(frozen=True)
class HubWeights:
    """One repository with a `model.safetensors` in timm's dialect."""

    repository: str
    licence: str
    crop_pct: float = 0.875
    revision: str | None = None  # a commit; None: the commit that is found at first download


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


def find_published(path: Path, model: str) -> tuple[str, HubWeights] | None:
    """Recognise a local copy of a model's ImageNet weights, so that its terms are not lost.

    Known are a file in a hub cache (`models--OWNER--NAME/snapshots/COMMIT/`) and one with
    timm's `config.json` beside it, as `hf download --local-dir` leaves them.

    Returns:
        What to call the weights, and where they are published; None for any other file.
    """
    hub = IN1K.get(model)
    if hub is None:
        return None
    folder = path.absolute().parent
    cached = f"models--{hub.repository.replace('/', '--')}"
    if folder.parent.name == "snapshots" and folder.parent.parent.name == cached:
        return f"{hub.repository}@{folder.name}", hub
    if _read_timm_name(folder / "config.json") == hub.repository.partition("/")[2]:
        return f"{path.name} of {hub.repository}", hub
    return None


def _read_timm_name(config: Path) -> str | None:
    """`architecture.tag` of a timm model with ImageNet's classes."""
    try:
        fields = json.loads(config.read_text(encoding="utf-8"))
        if fields["num_classes"] != _IN1K_CLASSES:
            return None
        return f"{fields['architecture']}.{fields['pretrained_cfg']['tag']}"
    except (OSError, ValueError, KeyError, TypeError):
        return None  # none there, or another tool's
