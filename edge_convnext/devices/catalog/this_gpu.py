"""Match a GPU in a slot, as `nvidia-smi` describes it, with the table."""

from __future__ import annotations

from dataclasses import dataclass

from edge_convnext.devices.catalog.delivery import Advice, Delivery, advise, deliver_to_gpu
from edge_convnext.devices.catalog.lookup import find_gpu

__all__ = ["GpuTarget", "match_gpu"]


@dataclass(frozen=True)
class GpuTarget:
    """What can be delivered to a GPU of this machine."""

    gpu: str  # the name `nvidia-smi` gives
    device: str | None  # its name in the table
    delivery: Delivery | None
    advice: Advice | None
    notes: tuple[str, ...]  # where the table and the machine differ


def match_gpu(name: str, capability: str | None) -> GpuTarget:
    """Find a GPU in the table; where the two differ, the machine's own figures count.

    Args:
        name: Name of the GPU, such as "NVIDIA GeForce RTX 4090".
        capability: Compute capability such as "8.9"; None where `nvidia-smi` is too old to say.
    """
    device = find_gpu(name)
    listed = device.compute.capability if device else None
    counts = capability or listed
    advice = advise(counts)
    notes: tuple[str, ...] = ()
    if device is None:
        known = f", known by its compute capability {counts}" if advice else ""
        notes = (f"{name} is not in the table{known}",)
    elif capability and capability != listed:
        notes = (f"the table has compute capability {listed} for the {device.title}",)
    return GpuTarget(
        gpu=name,
        device=device.name if device else None,
        delivery=deliver_to_gpu(counts) if counts else None,
        advice=advice,
        notes=notes,
    )
