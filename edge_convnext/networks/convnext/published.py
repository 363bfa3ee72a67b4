"""Published top-1 figures, each with its source; none was measured by this project."""

from __future__ import annotations

from edge_convnext.networks.published import PublishedTop1

__all__ = ["PUBLISHED_TOP1"]


_TIMM = "timm results-imagenet.csv, convnextv2_{}.fcmae_ft_in1k at 224 px"
_PAPER = "facebookresearch/ConvNeXt-V2 README, FCMAE fine-tuned on in1k"

PUBLISHED_TOP1: dict[str, PublishedTop1] = {
    **{
        f"convnextv2_{size}": PublishedTop1(top1, _TIMM.format(size))
        for size, top1 in {
            "atto": 76.64,
            "femto": 78.48,
            "pico": 80.30,
            "nano": 81.86,
            "tiny": 82.95,
        }.items()
    },
    "convnextv2_base": PublishedTop1(84.9, _PAPER),
    "convnextv2_large": PublishedTop1(85.8, _PAPER),
    "convnextv2_huge": PublishedTop1(86.3, _PAPER),
    # arXiv 2201.03545, table 1.
    "convnextv1_tiny": PublishedTop1(82.1, "arXiv 2201.03545, table 1"),
    "convnextv1_small": PublishedTop1(83.1, "arXiv 2201.03545, table 1"),
    "convnextv1_base": PublishedTop1(83.8, "arXiv 2201.03545, table 1"),
}
