"""Everything that can be tried for a GPU: forms of a batch size, and placements of Q/DQ."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from edge_convnext.core.artifacts import FormName, PlacementName

if TYPE_CHECKING:
    from edge_convnext.networks.family import NetworkFamily

__all__ = ["GpuPlan", "list_forms"]


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


def list_forms(batch: int, family: NetworkFamily) -> tuple[FormName, ...]:
    """Forms that have a graph for that many images, in the order they are tried."""
    forms = (family.portable[0], *family.gpu_forms)
    return tuple(form for form in forms if batch == 1 or form not in family.one_image_forms)
