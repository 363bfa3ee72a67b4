"""What this project can deliver to a device (an engine or the ONNX file), and in what precision."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from edge_convnext.devices.catalog.lookup import find_architecture
from edge_convnext.devices.catalog.rows import Device, Jetpack, Precision, load_table
from edge_convnext.devices.catalog.rtx import RTX_CAPABILITIES

__all__ = [
    "CLASSIC_TENSORRT",
    "Advice",
    "Delivery",
    "DeliveryKind",
    "advise",
    "deliver",
    "deliver_to_board",
    "deliver_to_gpu",
]

DeliveryKind = Literal["rtx_ahead", "on_board", "onnx_only"]

# The one place that says how well engines of JetPack's own TensorRT are tested.
CLASSIC_TENSORRT = (
    "`edge-convnext engine` builds on the machine that runs it; run on an H200, not yet on a Jetson"
)

_OLDEST_CAPABILITY = (7, 5)  # that TensorRT 10 compiles for
_ONNX_FLAGS = ("--target cpu",)
_OLDEST_PYTHON = (3, 10)  # pyproject.toml's requires-python


@dataclass(frozen=True)
class Delivery:
    """How a model gets onto a device; `status` is None where this version can do it."""

    kind: DeliveryKind
    label: str
    reason: str
    status: str | None = None
    flags: tuple[str, ...] = ()  # of `build`

    @property
    def next_line(self) -> str:
        """The `build` command for it."""
        return " ".join(["edge-convnext build --weights WEIGHTS --data DATA", *self.flags])

    @property
    def text(self) -> str:
        """The whole of it in one line."""
        return f"{self.label}{f' ({self.status})' if self.status else ''}: {self.reason}"


@dataclass(frozen=True)
class Advice:
    """The precision to try first, of those that the GPU has in hardware; measuring decides."""

    precisions: tuple[Precision, ...]
    try_first: Precision
    reason: str

    @property
    def text(self) -> str:
        """The whole of it in one line."""
        return f"{self.try_first} first, of {' '.join(self.precisions)}: {self.reason}"


def advise(capability: str | None) -> Advice | None:
    """The table's advice for GPUs of a compute capability such as "8.7"."""
    row = find_architecture(capability) if capability else None
    return Advice(row.precisions, row.try_first, row.reason) if row else None


def deliver(device: Device) -> Delivery:
    """The best delivery to a device, with its newest JetPack."""
    if device.family is None:
        return deliver_to_gpu(device.compute.capability)
    rows = [row for row in load_table().jetpacks if device.family in row.families]
    return deliver_to_board(rows[-1])


def deliver_to_gpu(capability: str) -> Delivery:
    """The delivery to a GPU in a slot."""
    known = ", ".join(RTX_CAPABILITIES)
    if capability in RTX_CAPABILITIES:
        return Delivery(
            "rtx_ahead",
            "engine built ahead of time with TensorRT for RTX",
            f"it compiles for compute capabilities {known}; built without a GPU, not yet run on "
            "one",
            flags=("--target rtx", f"--compute-capability {capability}"),
        )
    if tuple(map(int, capability.split("."))) < _OLDEST_CAPABILITY:
        return Delivery(
            "onnx_only",
            "ONNX only",
            f"TensorRT 10 and TensorRT for RTX compile for compute capability 7.5 and later, not "
            f"{capability}",
            flags=_ONNX_FLAGS,
        )
    return Delivery(
        "on_board",
        "engine built on the machine that has the GPU",
        f"by its own TensorRT; TensorRT for RTX compiles ahead of time for {known}, not "
        f"{capability}",
        CLASSIC_TENSORRT,
        ("--target tensorrt",),
    )


def deliver_to_board(jetpack: Jetpack) -> Delivery:
    """The delivery to a Jetson with that JetPack."""
    if tuple(map(int, jetpack.python.split("."))) < _OLDEST_PYTHON:
        lacks = "" if jetpack.layer_normalization else " without LayerNormalization"
        needed = ".".join(map(str, _OLDEST_PYTHON))
        return Delivery(
            "onnx_only",
            "ONNX only",
            f"JetPack {jetpack.title} has Python {jetpack.python}, edge-convnext needs {needed} or "
            f"newer; and TensorRT {jetpack.tensorrt}{lacks}",
            flags=_ONNX_FLAGS,
        )
    return Delivery(
        "on_board",
        "engine built on the board",
        f"from the ONNX file, by JetPack's own TensorRT {jetpack.tensorrt}; an engine fits one "
        "kind of board and one version",
        CLASSIC_TENSORRT,
        ("--target tensorrt",),
    )
