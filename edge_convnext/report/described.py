"""The model, the data, the machine and the files, as a report states them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import (
    Field,
    JsonValue,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    WithJsonSchema,
)
from pydantic_core.core_schema import int_schema

from edge_convnext.core.bounds import size_of
from edge_convnext.core.files import sha256_file
from edge_convnext.core.image_size import ImageSize
from edge_convnext.report.part import Part, Sha256

__all__ = [
    "BoardReport",
    "BundledFile",
    "DataReport",
    "EnergyReport",
    "EnvironmentReport",
    "FileReport",
    "LeftOutReport",
    "ModelReport",
    "SettingReport",
    "WeightsReport",
]


class FileReport(Part):
    """A file of this build."""

    path: str
    """Relative to the report's folder, or absolute for a file in the cache."""
    sha256: Sha256
    bytes: NonNegativeInt

    @classmethod
    def of(cls, path: Path, folder: Path) -> FileReport:
        """Describe the file at `path`, named relative to `folder` if it lies in it."""
        named = path.relative_to(folder) if path.is_relative_to(folder) else path
        return cls(path=named.as_posix(), sha256=sha256_file(path), bytes=path.stat().st_size)


class WeightsReport(Part):
    """Where the weights come from."""

    source: str
    """A file name, a hub id with its revision, `random`, or the demo's own training."""
    sha256: Sha256
    licence: str | None
    """Terms stated by the source; they hold for every file made from these weights."""


_SIDE = {"exclusiveMinimum": 0, "type": "integer"}
_SIZE = {"anyOf": [_SIDE, {"items": _SIDE, "maxItems": 2, "minItems": 2, "type": "array"}]}


class ModelReport(Part):
    """The network."""

    name: str
    """Such as `convnextv2_atto`."""
    params: PositiveInt
    image_size: Annotated[ImageSize, size_of(int_schema(gt=0)), WithJsonSchema(_SIZE)]
    """Side of the input in pixels; of a rectangle its height and width."""
    num_classes: PositiveInt
    weights: WeightsReport
    in_channels: PositiveInt = 3
    classes: tuple[str, ...] = ()
    """Names in logit order; empty where none are known."""


class EnvironmentReport(Part):
    """What ran the build; timings compare only between equal fingerprints."""

    versions: dict[str, str]
    """Package to version, of what is installed; `python` and `edge-convnext` among them."""
    platform: str
    cpu_model: str
    cpu_flags: tuple[str, ...]
    """Those that decide the speed of float and INT8 kernels."""
    int8: dict[str, str] = Field(default_factory=dict)
    """What a feature of the CPU means for INT8, by its flag; empty in older reports."""
    cores: PositiveInt
    """That this process may keep busy."""
    cpu_quota: PositiveFloat | None = None
    """CPUs' worth of time that its control groups grant; null: no quota."""
    memory_bytes: NonNegativeInt | None
    gpus: tuple[str, ...]
    jetson: str | None
    """Board and Jetson Linux release."""
    fingerprint: str
    """Hash of CPU, flags, cores, quota, memory and GPUs; names no user and no host."""

    @property
    def flags_text(self) -> str:
        """The flags in one line, each with what it means for INT8, where that is known."""
        if not self.int8:
            return " ".join(self.cpu_flags)
        known = {**dict.fromkeys(self.cpu_flags, ""), **self.int8}
        return "; ".join(f"{flag}: {text}" if text else flag for flag, text in known.items())


class DataReport(Part):
    """The images behind accuracy and calibration."""

    source: str
    """A folder, a CSV, or `digits`."""
    split: str
    """One sentence on how training and validation sides came about."""
    n_train: NonNegativeInt | None
    n_val: NonNegativeInt | None
    n_calibration: NonNegativeInt | None
    calibration_source: str | None = None
    """Given when the calibration images are not drawn from the training side."""
    left_out: NonNegativeInt = 0
    """Calibration candidates dropped because they occur in the evaluation set."""
    skipped_images: NonNegativeInt = 0
    """Unreadable images, left out on request."""


class SettingReport(Part):
    """One setting that decides what the model sees or says, and who decided it."""

    name: str
    """Such as `classes`, `image_size` or `mean`."""
    value: JsonValue
    """As it was used; of `classes` the names in logit order."""
    source: str
    """Such as `flag`, `recipe`, `checkpoint`, `folder names` or `default`."""
    detail: str = ""
    """The flag, or the file and the key in it."""


class EnergyReport(Part):
    """What one candidate takes from the supply, inferences back to back."""

    artifact: str
    batch: PositiveInt
    mean_w: NonNegativeFloat
    """While it ran."""
    idle_w: NonNegativeFloat | None = None
    """Of the idle board, on the same rails, just before."""
    energy_mj_per_image: NonNegativeFloat
    """Mean power times time, by the images; idle power is not subtracted."""
    images: PositiveInt
    samples: PositiveInt
    """Readings of the power."""
    power_scope: str
    """Which rails: figures of different scopes do not compare."""
    power_source: str
    """What was read."""


class LeftOutReport(Part):
    """A candidate that could not be built or run on the board, or is computed wrongly there."""

    artifact: str
    reason: str


class BundledFile(Part):
    """A graph of the build that this run is about."""

    path: str
    """In the build's folder."""
    sha256: Sha256


class BoardReport(Part):
    """How a bundle was measured on a board, beyond what every report tells."""

    name: str
    """The board, or the machine where it is none."""
    bundle_sha256: Sha256
    """Of the bundle's manifest, which names everything in it."""
    graphs: tuple[BundledFile, ...]
    ships: str | None
    """File that the verdict is for, beside this report; null where it is undecided."""
    state_before: dict[str, JsonValue] | None = None
    """Power mode, clocks, temperatures, throttling; null where they can't be read."""
    state_after: dict[str, JsonValue] | None = None
    state_reason: str | None = None
    """Why the state was not read."""
    clocks_locked: bool | None = None
    """Whether all clocks were held at their maximum; null where that is not known."""
    energy: tuple[EnergyReport, ...] = ()
    energy_reason: str | None = None
    """Why no energy was measured."""
    left_out: tuple[LeftOutReport, ...] = ()
