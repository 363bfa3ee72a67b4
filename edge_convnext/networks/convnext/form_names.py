"""Names of the graph forms, without torch; the forms themselves are in `forms`, `gpu_forms`."""

from __future__ import annotations

from typing import Literal

__all__ = ["ONE_IMAGE_FORMS", "CpuFormName", "GpuFormName"]

CpuFormName = Literal["linear", "conv", "conv_moments", "conv_uncentred", "nhwc"]
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
# Forms that compute weights per image: their graphs have batch size 1.
ONE_IMAGE_FORMS: frozenset[GpuFormName] = frozenset(
    ("weights_expand", "weights_mixed", "late", "late_mixed")
)
