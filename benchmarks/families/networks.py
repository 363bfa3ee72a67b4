"""The networks of the table, by the names that `--model` takes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

__all__ = ["NETWORKS", "Network"]


@dataclass(frozen=True)
class Network:
    """One network: how a build is asked for it."""

    name: str  # unique; names its folder
    model: str
    image_size: int = 224  # pixels
    weights: str = "random"
    fields: dict[str, Any] = field(default_factory=dict, hash=False)


def _timm(name: str, model: str) -> Network:
    return Network(name, f"timm:{model}")


def _conv2former(size: str) -> Network:
    return Network(f"Conv2Former-{size}", f"conv2former_{size.lower()}")


# SqueezeNet is written in the tests: a network of the user's own. Those that the speed limits are
# for come first: an interrupted run has them.
NETWORKS: tuple[Network, ...] = (
    _timm("MobileNetV2", "mobilenetv2_100"),
    Network("SqueezeNet 1.1", "module:support.squeezenet:squeezenet1_1"),
    _timm("ResNet-18", "resnet18"),
    _timm("ViT-S/16", "vit_small_patch16_224"),
    _timm("MobileNetV3-L", "mobilenetv3_large_100"),
    _timm("EfficientNet-B0", "efficientnet_b0"),
    _timm("Swin-T", "swin_tiny_patch4_window7_224"),
    _conv2former("N"),
    Network("ConvNeXt V2 atto", "convnextv2_atto"),
    _timm("MobileViT-xxs", "mobilevit_xxs"),
    _timm("MobileNetV1", "mobilenetv1_100"),
    _timm("MobileNetV3-S", "mobilenetv3_small_100"),
    _timm("DeiT-Ti", "deit_tiny_patch16_224"),
    _timm("RegNet-Y 400MF", "regnety_004"),
    _timm("EfficientNetV2-B0", "tf_efficientnetv2_b0"),
    _timm("MobileViT-xs", "mobilevit_xs"),
    _timm("MobileViT-s", "mobilevit_s"),
    _timm("EfficientNetV2-S", "efficientnetv2_s"),
    _conv2former("T"),
    _conv2former("S"),
    _timm("ViT-B/16", "vit_base_patch16_224"),
    _conv2former("B"),
    _conv2former("L"),
)
