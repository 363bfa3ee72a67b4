"""Everything that can be tried for a GPU: forms of a batch size, and placements of Q/DQ."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from edge_convnext.core.artifacts import FormName, GpuFormName, PlacementName

__all__ = ["PLACEMENTS", "GpuPlan", "list_forms"]

# `pointwise` has kernels more and no bytes less (benchmarks/results/2026-11-25-rtx-plans.md).
PLACEMENTS: tuple[PlacementName, ...] = ("blocks", "late_blocks", "last_blocks")


@dataclass(frozen=True)
class GpuPlan:
    """One way to write and quantize the graph for a GPU, with a float16 body."""

    form: FormName
    placement: PlacementName | None = None

    @property
    def precision(self) -> Literal["fp16", "int8"]:
        """Of its products."""
        return "fp16" if self.placement is None else "int8"

    @property
    def label(self) -> str:
        """Such as `late_mixed.blocks`."""
        return ".".join(filter(None, (self.form, self.placement)))


def list_forms(batch: int) -> tuple[FormName, ...]:
    """Forms that have a graph for that many images, in the order they are tried."""
    from edge_convnext.networks.convnext.gpu_forms import ONE_IMAGE_FORMS

    forms: tuple[FormName, ...] = ("linear", *get_args(GpuFormName))
    return tuple(form for form in forms if batch == 1 or form not in ONE_IMAGE_FORMS)
