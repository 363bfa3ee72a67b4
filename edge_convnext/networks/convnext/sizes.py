"""The ConvNeXt sizes that this project knows, and their names.

V1: Liu et al., "A ConvNet for the 2020s", arXiv 2201.03545.
V2: Woo et al., "ConvNeXt V2: Co-designing and Scaling ConvNets with Masked Autoencoders",
arXiv 2301.00808. The V1 sizes below `tiny` are timm's (`convnext_atto` and so on).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from edge_convnext.core.artifacts import NetworkShape
from edge_convnext.core.errors import LoadError
from edge_convnext.core.image_size import ImageSize, sides_of
from edge_convnext.networks.model_names import unknown_model

__all__ = [
    "SHORT_NAMES",
    "SIZES",
    "Architecture",
    "architecture_names",
    "find_architecture",
    "match_architecture",
    "name_architecture",
    "name_of_config",
    "require_convnext",
    "why_other",
]

_LONGEST_CHARS = 200  # the longest name that is looked up


@dataclass(frozen=True)
class Architecture:
    """The shape of one ConvNeXt: `depths[i]` blocks of `widths[i]` channels in stage i."""

    name: str
    version: int  # 1 (LayerScale) or 2 (GRN)
    depths: tuple[int, int, int, int]
    widths: tuple[int, int, int, int]
    num_classes: int = 1000
    in_channels: int = 3

    @property
    def family(self) -> str:
        """The key in `networks.family.FAMILIES`."""
        return "convnext"

    def count_params(self) -> int:
        """Count the trainable parameters."""
        first = self.widths[0]
        total = first * self.in_channels * 16 + first + 2 * first  # stem conv, LayerNorm
        for before, after in zip(self.widths, self.widths[1:], strict=False):
            total += 2 * before + after * before * 4 + after  # LayerNorm, 2x2 convolution
        for depth, width in zip(self.depths, self.widths, strict=True):
            block = width * 49 + width + 2 * width  # depthwise 7x7, LayerNorm
            block += 8 * width * width + 5 * width  # pwconv1, pwconv2 with their biases
            block += 8 * width if self.version == 2 else width  # GRN, or LayerScale
            total += depth * block
        last = self.widths[-1]
        return total + 2 * last + self.num_classes * last + self.num_classes

    def count_macs(self, image_size: ImageSize) -> int:
        """Count multiply-accumulates for one image, convolutions and linears only.

        Args:
            image_size: Side of a square, or height and width, in pixels.
        """
        high, wide = (side // 4 for side in sides_of(image_size))
        total = high * wide * self.widths[0] * self.in_channels * 16
        for index, (depth, width) in enumerate(zip(self.depths, self.widths, strict=True)):
            if index:
                high, wide = high // 2, wide // 2
                total += high * wide * width * self.widths[index - 1] * 4
            total += depth * high * wide * (49 * width + 8 * width * width)
        return total + self.num_classes * self.widths[-1]


def require_convnext(shape: NetworkShape) -> Architecture:
    """Return the architecture of weights if it is a ConvNeXt's.

    Raises:
        LoadError: The weights belong to another network.
    """
    if not isinstance(shape, Architecture):
        raise LoadError(f"{shape.name}: is not a ConvNeXt network; pass weights of one")
    return shape


Four = tuple[int, int, int, int]  # one number per stage

SIZES: dict[str, tuple[Four, Four]] = {  # depths, widths
    "atto": ((2, 2, 6, 2), (40, 80, 160, 320)),
    "femto": ((2, 2, 6, 2), (48, 96, 192, 384)),
    "pico": ((2, 2, 6, 2), (64, 128, 256, 512)),
    "nano": ((2, 2, 8, 2), (80, 160, 320, 640)),
    "tiny": ((3, 3, 9, 3), (96, 192, 384, 768)),
    "small": ((3, 3, 27, 3), (96, 192, 384, 768)),
    "base": ((3, 3, 27, 3), (128, 256, 512, 1024)),
    "large": ((3, 3, 27, 3), (192, 384, 768, 1536)),
    "huge": ((3, 3, 27, 3), (352, 704, 1408, 2816)),
}

_V1 = ("atto", "femto", "pico", "nano", "tiny", "small", "base")
SHORT_NAMES = ("atto", "femto", "pico", "nano", "tiny", "base", "large", "huge")


def architecture_names() -> tuple[str, ...]:
    """Every full model name, V2 first."""
    sizes = {"convnextv2": SHORT_NAMES, "convnextv1": _V1}
    return tuple(f"{version}_{size}" for version, known in sizes.items() for size in known)


def find_architecture(name: str, num_classes: int = 1000, in_channels: int = 3) -> Architecture:
    """Look a model up by any of its usual names.

    These are a full name (`convnextv2_atto`), a V2 size (`atto`), and the names of timm
    (`convnextv2_atto.fcmae_ft_in1k`, `convnext_tiny`), transformers
    (`facebook/convnextv2-atto-1k-224`), torchvision (`ConvNeXt_Tiny_Weights`) and mmpretrain
    (`convnext-v2-atto_fcmae-in1k`). `convnext` without a number is V1.

    Raises:
        RecipeError: There is no such model; the message names the most similar ones.
    """
    found = match_architecture(name, num_classes, in_channels)
    if found is None:
        raise unknown_model(name, (*architecture_names(), *SHORT_NAMES))
    return found


def match_architecture(
    name: str, num_classes: int = 1000, in_channels: int = 3
) -> Architecture | None:
    """Look a model up as `find_architecture` does, but return None for an unknown name."""
    full = _find_name(name)
    if full is None:
        return None
    depths, widths = SIZES[full.partition("_")[2]]
    version = 1 if full.startswith("convnextv1_") else 2
    return Architecture(full, version, depths, widths, num_classes, in_channels)


# Words after a size that change only the weights: data, resolution, recipe, publisher. Others mean
# other networks: `_hnf` has a norm before its head, `_ols` an overlapping stem, `_rms` RMSNorm.
_TAGS = re.compile(
    r"(?:in|imagenet)?(?:1k|12k|21k|22k)|in1k|in22k|\d{3}|fcmae|ft|ema|pre|fb|weights|default"
    r"|imagenet1k|v1|d[12]h?|3rdparty|noema|\d+xb\d+|\d{8}|[0-9a-f]{8}|pt|pth|safetensors|to|augreg"
)


def _find_name(name: str) -> str | None:
    """Return the full name for any unambiguous spelling."""
    plain = name[:_LONGEST_CHARS].strip().lower().replace("hf-hub:", "").replace("hf_hub:", "")
    words = [word for word in re.split(r"[\W_]+", plain.rpartition("/")[2]) if word]
    family = re.fullmatch(r"convnext(?:v([12]))?", words[0]) if words else None
    version, rest = "2", words  # a size alone means V2
    if family is not None:
        version, rest = family[1] or "1", words[1:]
        if family[1] is None and rest[:1] in (["v1"], ["v2"]):
            version, rest = rest[0][1], rest[1:]
    if not rest or not all(_TAGS.fullmatch(word) for word in rest[1:]):
        return None
    if family is None and len(rest) > 1:
        return None
    full = f"convnextv{version}_{rest[0]}"
    return full if full in architecture_names() else None


def name_architecture(version: int, depths: Four, widths: Four) -> str:
    """Name a shape: `convnextv2_atto`, or a description if it is no known size."""
    for size in _V1 if version == 1 else SHORT_NAMES:
        if SIZES[size] == (depths, widths):
            return f"convnextv{version}_{size}"
    stages = "-".join(map(str, depths)), "-".join(map(str, widths))
    return f"a ConvNeXt V{version} with depths {stages[0]} and widths {stages[1]}"


def name_of_config(config: Mapping[str, object]) -> str | None:
    """The size of a `config.json` of transformers; None where no size has its shape.

    Source:
        transformers 5, `models/convnext/configuration_convnext.py` and that of `convnextv2`.
    """
    kind, depths, widths = (config.get(key) for key in ("model_type", "depths", "hidden_sizes"))
    version = {"convnext": 1, "convnextv2": 2}.get(str(kind))
    if version is None or config.get("patch_size", 4) != 4:
        return None
    for size in _V1 if version == 1 else SHORT_NAMES:
        if tuple(map(list, SIZES[size])) == (depths, widths):
            return f"convnextv{version}_{size}"
    return None


def why_other(asked: Architecture, found: Architecture) -> str:
    """Explain further why found weights fit no known size; empty, or one more clause."""
    if found.widths != asked.widths or found.depths == asked.depths:
        return ""
    depths = "-".join(map(str, asked.depths))
    return f"; its widths are that model's, whose depths are {depths}: blocks differ"
