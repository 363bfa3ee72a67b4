"""Published top-1 figures, each with its source; none is measured here."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["PUBLISHED_TOP1", "Published"]


@dataclass(frozen=True)
class Published:
    """ImageNet-1k top-1 at 224 px, and who reports it."""

    top1_pct: float
    source: str


_TIMM = "timm results-imagenet.csv, convnextv2_{}.fcmae_ft_in1k at 224 px"
_PAPER = "facebookresearch/ConvNeXt-V2 README, FCMAE fine-tuned on in1k"

PUBLISHED_TOP1: dict[str, Published] = {
    **{
        f"convnextv2_{size}": Published(top1, _TIMM.format(size))
        for size, top1 in {
            "atto": 76.64,
            "femto": 78.48,
            "pico": 80.30,
            "nano": 81.86,
            "tiny": 82.95,
        }.items()
    },
    "convnextv2_base": Published(84.9, _PAPER),
    "convnextv2_large": Published(85.8, _PAPER),
    "convnextv2_huge": Published(86.3, _PAPER),
    # arXiv 2201.03545, table 1.
    "convnextv1_tiny": Published(82.1, "arXiv 2201.03545, table 1"),
    "convnextv1_small": Published(83.1, "arXiv 2201.03545, table 1"),
    "convnextv1_base": Published(83.8, "arXiv 2201.03545, table 1"),
}
