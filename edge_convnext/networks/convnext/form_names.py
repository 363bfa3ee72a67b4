"""Names of the graph forms: `forms` and `gpu_forms`, which need torch, have the forms."""

from __future__ import annotations

from typing import Literal

__all__ = ["ONE_IMAGE_FORMS", "CpuFormName", "GpuFormName"]

CpuFormName = Literal["linear", "conv", "conv_moments", "nhwc"]
GpuFormName = Literal[
    "mixed",
    "expand",
    "weights_expand",
    "weights_mixed",
    "late",
    "late_mixed",
    "late_product_mixed",
    "late_product2_mixed",
    "product_expand",
    "product3_expand",
    "product_mixed",
]
# They compute weights per image: their graphs have a batch of 1.
ONE_IMAGE_FORMS: frozenset[GpuFormName] = frozenset(
    ("weights_expand", "weights_mixed", "late", "late_mixed")
)
