"""The table of devices: the YAML files beside this module, read into frozen rows.

Every group of values names its sources, keys of `sources.yaml`, and says whether they confirm
it. Unknown keys, unknown sources, and gaps between the files are refused.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, PositiveFloat, PositiveInt
from pydantic import model_validator as validates

__all__ = [
    "Architecture",
    "Boost",
    "Cache",
    "Compute",
    "Device",
    "Dla",
    "Fact",
    "Family",
    "Jetpack",
    "Memory",
    "Module",
    "Peak",
    "Power",
    "Precision",
    "Row",
    "Source",
    "Table",
    "load_table",
    "read_yaml",
]

RECALLED = "recalled"  # the source of figures that were not checked against a document

Family = Literal["xavier-nx", "agx-xavier", "orin-nano", "orin-nx", "agx-orin", "thor"]
Precision = Literal["fp32", "fp16", "bf16", "int8", "fp8", "fp4"]
Capability = Annotated[str, Field(pattern=r"^\d{1,2}\.\d$")]
Version = Annotated[str, Field(pattern=r"^\d+(\.\d+){1,2}$")]
Release = Annotated[str, Field(pattern=r"^\d+\.\d+\.\d+$")]  # of Jetson Linux (L4T)
Part = Annotated[str, Field(pattern=r"^p\d{4}-\d{4}$")]
DeviceName = Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")]


class Row(BaseModel):
    """Frozen and closed to unknown keys; numbers are not taken as versions."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Source(Row):
    """A document, or how a figure was made where there is none."""

    title: str
    url: str | None = None


class Fact(Row):
    """Values that share their sources."""

    sources: tuple[str, ...] = Field(min_length=1)
    unverified: bool = False  # not confirmed by the sources

    @validates(mode="after")
    def _memory_confirms_nothing(self) -> Fact:
        if RECALLED in self.sources and not self.unverified:
            raise ValueError("what is only recalled is unverified")
        return self


class Compute(Fact):
    """The CUDA compute capability, such as "8.7"."""

    capability: Capability


class Memory(Fact):
    """Size in GiB; peak bandwidth in GB/s, shared with the CPU on a Jetson."""

    memory_gib: PositiveInt
    bandwidth_gb_s: PositiveFloat


class Cache(Fact):
    """The GPU's L2 cache, in MiB."""

    l2_mib: PositiveFloat


class Peak(Fact):
    """The GPU's INT8 peak without structured sparsity, in TOPS."""

    int8_dense_tops: PositiveFloat


class Dla(Fact):
    """Deep learning accelerators beside the GPU; their INT8 peak together, dense, in TOPS."""

    cores: NonNegativeInt
    int8_dense_tops: PositiveFloat | None = None


class Power(Fact):
    """Modes of `nvpmodel`; their INT8 peaks differ by up to twelve times."""

    modes: tuple[str, ...] = Field(min_length=1)


class Boost(Fact):
    """Figures that Super mode raises; None: they stay."""

    int8_dense_tops: PositiveFloat
    bandwidth_gb_s: PositiveFloat | None = None
    dla_int8_dense_tops: PositiveFloat | None = None
    modes: tuple[str, ...] = Field(min_length=1)


class Module(Fact):
    """NVIDIA's part numbers, as the device tree has them."""

    parts: tuple[Part, ...] = Field(min_length=1)


class Device(Row):
    """A Jetson module, or a GPU for a slot where `family` is None."""

    name: DeviceName
    title: str
    family: Family | None = None
    compute: Compute
    memory: Memory
    cache: Cache | None = None  # unknown
    peak: Peak | None = None  # unknown
    dla: Dla | None = None
    power: Power | None = None
    boost: Boost | None = None
    module: Module | None = None

    @validates(mode="after")
    def _jetsons_are_whole(self) -> Device:
        if (self.family is None) != (None in (self.dla, self.power, self.module)):
            raise ValueError("a Jetson has dla, power and module, and only a Jetson has a family")
        return self

    @property
    def facts(self) -> dict[str, Fact]:
        """The groups of values this device has, by field name."""
        return {name: value for name, value in self if isinstance(value, Fact)}


class Jetpack(Fact):
    """JetPack releases with one set of versions."""

    title: str
    releases: dict[Release, Version] = Field(min_length=1)  # Jetson Linux to JetPack
    cuda: Version
    tensorrt: Version
    python: Annotated[str, Field(pattern=r"^3\.\d+$")]
    layer_normalization: bool  # whether its TensorRT reads that ONNX operator
    families: tuple[Family, ...] = Field(min_length=1)
    dla_families: tuple[Family, ...]  # whose DLA its TensorRT can use
    note: str | None = None  # what is not verified


class Architecture(Fact):
    """Precisions that GPUs of one compute capability compute fast."""

    compute_capability: Capability
    name: str
    precisions: tuple[Precision, ...]  # in hardware
    try_first: Precision  # for ConvNeXt V2, before measuring
    reason: str


class Table(Row):
    """All rows, after `_is_consistent`."""

    devices: tuple[Device, ...]
    jetpacks: tuple[Jetpack, ...]  # oldest first
    architectures: tuple[Architecture, ...]
    sources: dict[str, Source]

    @validates(mode="after")
    def _is_consistent(self) -> Table:
        facts = [fact for device in self.devices for fact in device.facts.values()]
        named = {
            key for fact in (*facts, *self.jetpacks, *self.architectures) for key in fact.sources
        }
        if unlike := named ^ set(self.sources):
            raise ValueError(f"sources.yaml and the rows differ in {sorted(unlike)}")
        _require_once("device", [device.name for device in self.devices])
        parts = [part for device in self.devices if device.module for part in device.module.parts]
        _require_once("part number", parts)
        _require_once("Jetson Linux", [key for row in self.jetpacks for key in row.releases])
        known = [row.compute_capability for row in self.architectures]
        _require_once("compute capability", known)
        if lost := {device.compute.capability for device in self.devices} - set(known):
            raise ValueError(f"architectures.yaml lacks {sorted(lost)}")
        served = {family for row in self.jetpacks for family in row.families}
        if boards := {device.family for device in self.devices if device.family} - served:
            raise ValueError(f"no JetPack for {sorted(boards)}")
        return self


def _require_once(what: str, names: list[str]) -> None:
    if twice := {name for name in names if names.count(name) > 1}:
        raise ValueError(f"{what} listed twice: {sorted(twice)}")


class _GpuRow(Row):
    name: DeviceName
    title: str
    capability: Capability
    memory_gib: PositiveInt
    bandwidth_gb_s: PositiveFloat
    l2_mib: PositiveFloat
    int8_dense_tops: PositiveFloat


class _GpuSheet(Row):
    """`gpus.yaml`: one line per GPU, with their sources stated once."""

    capability_sources: tuple[str, ...]
    figure_sources: tuple[str, ...]
    unverified: bool  # of the figures
    rows: tuple[_GpuRow, ...]

    def devices(self) -> list[Device]:
        stated: dict[str, Any] = {"sources": self.figure_sources, "unverified": self.unverified}
        return [
            Device(
                name=row.name,
                title=row.title,
                compute=Compute(capability=row.capability, sources=self.capability_sources),
                memory=Memory(
                    memory_gib=row.memory_gib, bandwidth_gb_s=row.bandwidth_gb_s, **stated
                ),
                cache=Cache(l2_mib=row.l2_mib, **stated),
                peak=Peak(int8_dense_tops=row.int8_dense_tops, **stated),
            )
            for row in self.rows
        ]


@lru_cache(maxsize=1)
def load_table() -> Table:
    """The shipped table; a few milliseconds once per process."""
    gpus = _GpuSheet.model_validate(read_yaml("gpus"))
    return Table.model_validate(
        {
            "devices": [*read_yaml("jetsons"), *gpus.devices()],
            "jetpacks": read_yaml("jetpacks"),
            "architectures": read_yaml("architectures"),
            "sources": read_yaml("sources"),
        }
    )


def read_yaml(name: str) -> Any:
    """The plain values of a YAML file beside this module."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast, where built
    text = Path(__file__).with_name(f"{name}.yaml").read_text(encoding="utf-8")
    return yaml.load(text, loader)
