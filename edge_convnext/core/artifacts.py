"""Values that stages pass to each other: frozen, typed, free of heavy imports."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, TypeAlias, get_args

from edge_convnext.core.errors import ArtifactError
from edge_convnext.core.image_size import ImageSize, even_size, sides_of
from edge_convnext.core.origins import Fact

__all__ = [
    "ARM_GRAPH",
    "CPU_FOLDER",
    "GPU_FOLDER",
    "LITERT_FORMAT",
    "MAX_IMAGE_SIZE",
    "METADATA_KEY",
    "TFLITE_SUFFIX",
    "ActivationType",
    "CpuRuntimeName",
    "Engine",
    "FormName",
    "GeluName",
    "GpuRuntimeName",
    "GraphFormat",
    "ImagesType",
    "Interpolation",
    "ModelInfo",
    "NetworkShape",
    "OnnxModel",
    "Parity",
    "PlacementName",
    "Precision",
    "Preprocess",
    "RangeEstimator",
    "ResizeMode",
    "RuntimeName",
    "WeightRounding",
    "Weights",
    "file_of",
]

Precision = Literal["fp32", "fp16", "int8"]
# Names that a network family has: how a graph is written, and what of it is quantized. `raw` is the
# reference's own modules, in every family.
FormName: TypeAlias = str
# Symmetric; affine with a zero point; that one where it is never negative, or behind a Concat.
ActivationType = Literal["int8", "uint8", "mixed"]
PlacementName: TypeAlias = str
# Exact; the approximation of Hendrycks and Gimpel; a scaled HardSwish, to be fine-tuned behind.
GeluName = Literal["erf", "tanh", "hardswish"]
# Portable; ONNX Runtime's fused products, with static ranges or those of each inference; LiteRT's.
GraphFormat = Literal["qdq", "onnxruntime", "onnxruntime_dynamic", "litert"]
# auto: reconstruction for networks that are placed by roles, where ranges are chosen so too.
WeightRounding = Literal["auto", "nearest", "reconstruction"]

# NNCF's `RangeEstimatorParametersSet`, less its histogram: for a symmetric quantizer it takes
# the range from the positive values alone.
RangeEstimator = Literal[
    "reconstruction",  # this project's, `ranges`
    "minmax",
    "mean_minmax",
    "median_minmax",
    "mean_no_outliers_minmax",
    "mean_quantile",
]
# Keys of `runtimes.load.RUNTIMES`: of those that load graphs on the CPU, and those of engines.
CpuRuntimeName: TypeAlias = str
GpuRuntimeName: TypeAlias = str
RuntimeName: TypeAlias = str
ImagesType = Literal["float32", "float16", "uint8"]  # that a graph takes; uint8: pixels
ResizeMode = Literal["squash", "shortest"]
Interpolation = Literal["nearest", "bilinear", "bicubic", "lanczos"]

METADATA_KEY = "edge_convnext"
TFLITE_SUFFIX = ".tflite"  # of models for LiteRT
LITERT_FORMAT: GraphFormat = "litert"
# Of a build: graphs for one runtime on the CPU beside what ships, and graphs for TensorRT.
CPU_FOLDER, GPU_FOLDER = "cpu", "gpu"
ARM_GRAPH = "cpu/int8.arm.onnx"  # in Q/DQ alone, for the CPUs of boards
MAX_IMAGE_SIZE = 4096  # pixels
# Errors that reading JSON of any content may raise.
_UNREADABLE = (AttributeError, KeyError, OverflowError, RecursionError, TypeError, ValueError)
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


@dataclass(frozen=True)
class Preprocess:
    """From an RGB image to the network's input, float32[3, height, width].

    `squash` resizes to height x width and ignores the aspect. `shortest` keeps it: it resizes the
    short side to floor(image_size / crop_pct), or for a rectangle as little as covers both
    floor(height / crop_pct) and floor(width / crop_pct), and crops the centre. Values are then
    scaled to 0..1, `mean` subtracted and divided by `std`, per channel.

    The defaults are what most tutorials train with: a plain bilinear resize to a square and
    ImageNet's mean and std. timm's ImageNet weights state their own.
    """

    image_size: ImageSize = 224  # a square given as two numbers becomes one
    resize: ResizeMode = "squash"
    crop_pct: float = 1.0
    interpolation: Interpolation = "bilinear"
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)

    def __post_init__(self) -> None:
        object.__setattr__(self, "image_size", even_size(self.image_size))

    @property
    def height(self) -> int:
        """Height of the network's input, in pixels."""
        return sides_of(self.image_size)[0]

    @property
    def width(self) -> int:
        """Width of the network's input, in pixels."""
        return sides_of(self.image_size)[1]

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Preprocess:
        """Read what `dataclasses.asdict` wrote, lists for tuples allowed."""
        if not isinstance(fields, Mapping):
            raise TypeError("not a mapping")
        known = {name: fields[name] for name in cls.__dataclass_fields__ if name in fields}
        for name in known.keys() & {"mean", "std"}:
            known[name] = tuple(float(value) for value in known[name])
        read = cls(**known)
        read._check()
        return read

    def _check(self) -> None:
        """Refuse values that no preprocessing can have: a file may state anything."""
        if not _is_size(self.image_size):
            raise ValueError(f"image_size is not 1 to {MAX_IMAGE_SIZE} pixels, or two such numbers")
        if not (isinstance(self.crop_pct, (int, float)) and 0.01 <= self.crop_pct <= 1.0):
            raise ValueError("crop_pct is not 0.01 to 1")
        if self.resize not in get_args(ResizeMode):
            raise ValueError(f"resize is not one of {', '.join(get_args(ResizeMode))}")
        if self.interpolation not in get_args(Interpolation):
            raise ValueError(f"interpolation is not one of {', '.join(get_args(Interpolation))}")
        if len(self.mean) != 3 or len(self.std) != 3:
            raise ValueError("mean and std do not have three values each")
        if not all(map(math.isfinite, (*self.mean, *self.std))) or min(self.std) <= 0:
            raise ValueError("mean and std are not finite numbers, each std above 0")


def file_of(artifact: str) -> str:
    """Name of an artefact's file: `model.int8.onnx` of `model.int8.onnx bf16`."""
    return artifact.partition(" ")[0]


def _is_size(size: object) -> bool:
    """Whether an image can have this size; a pair has two numbers."""
    sides = size if isinstance(size, tuple) else (size, size)
    return len(sides) == 2 and all(
        type(side) is int and 1 <= side <= MAX_IMAGE_SIZE for side in sides
    )


@dataclass(frozen=True)
class ModelInfo:
    """Facts that every artefact from one checkpoint carries."""

    model: str  # "convnextv2_atto"
    num_classes: int
    in_channels: int
    classes: tuple[str, ...]  # names in logit order; empty when none are known
    preprocess: Preprocess
    weights_source: str  # a file name, a hub id with its revision, "random"
    weights_sha256: str
    weights_licence: str | None

    def to_metadata(self, **extra: str | int | None) -> dict[str, str]:
        """One JSON value under one key, for ONNX and safetensors metadata."""
        return {METADATA_KEY: json.dumps({**asdict(self), **extra}, sort_keys=True)}

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str], source: Path) -> ModelInfo:
        """Read `to_metadata`'s key back.

        Raises:
            ArtifactError: `source` does not carry it, or has values that can't be.
        """
        fields: Any = None
        try:
            fields = json.loads(metadata[METADATA_KEY])
            classes = tuple(_text(name) for name in fields["classes"])
            licence = fields["weights_licence"]
            read = cls(
                model=_text(fields["model"]),
                num_classes=int(fields["num_classes"]),
                in_channels=int(fields["in_channels"]),
                classes=classes,
                preprocess=Preprocess.from_json(fields["preprocess"]),
                weights_source=_text(fields["weights_source"]),
                weights_sha256=_text(fields["weights_sha256"]),
                weights_licence=None if licence is None else _text(licence),
            )
            if classes and len(classes) != read.num_classes:
                raise ValueError(f"{len(classes)} class names for {read.num_classes} classes")
            return read
        except _UNREADABLE as error:
            raise ArtifactError(f"{source}: {_why_unread(fields, error)}") from error


def _why_unread(fields: object, error: Exception) -> str:
    if not isinstance(fields, dict) or not fields:
        return (
            "no edge-convnext metadata in this file; pass a model that `edge-convnext build` wrote"
        )
    reason = f"{error} is missing" if isinstance(error, KeyError) else error
    return f"its edge-convnext metadata is damaged ({reason}); build it again"


def _text(value: object) -> str:
    """Check that a value is text. It may be printed, so control characters are escaped."""
    if not isinstance(value, str) or _CONTROLS.search(value):
        raise TypeError("a name in it is not plain text")
    return value


class NetworkShape(Protocol):
    """The shape of a network: sizes and counts that every architecture can give."""

    @property
    def family(self) -> str:
        """A key of `networks.family.FAMILIES`."""
        ...

    @property
    def name(self) -> str:
        """In full, such as `convnextv2_atto`."""
        ...

    @property
    def num_classes(self) -> int:
        """Logits per image."""
        ...

    @property
    def in_channels(self) -> int:
        """Channels of an image."""
        ...

    def count_params(self) -> int:
        """Number of trainable parameters."""
        ...

    def count_macs(self, image_size: ImageSize) -> int:
        """Multiply-accumulates of one image, a square or of some height and width in pixels."""
        ...


@dataclass(frozen=True)
class Weights:
    """A state dict on disk: safetensors, float32, this project's parameter names."""

    path: Path
    architecture: NetworkShape
    info: ModelInfo
    folded: bool = False
    facts: tuple[Fact, ...] = ()  # what the file, and the files beside it, say of themselves
    notes: tuple[str, ...] = ()  # sentences on what was chosen, left out or looks wrong

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", Path(self.path))  # users may give a str


@dataclass(frozen=True)
class OnnxModel:
    """A graph on disk: `images` float32[N, C, H, W] to `logits` float32[N, num_classes]."""

    path: Path
    precision: Precision
    form: FormName
    placement: PlacementName | None = None  # of Q/DQ; None for float graphs
    quantized_ops: int = 0  # weighted operations that read quantized activations

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", Path(self.path))  # users may give a str


@dataclass(frozen=True)
class Engine:
    """A TensorRT engine on disk, and what the builder's log says about it."""

    path: Path
    precision: Precision
    builder: str  # "tensorrt-rtx 1.7.1"
    compute_capabilities: tuple[str, ...]
    kernels: int
    int8_kernels: int  # convolutions and matrix products with INT8 inputs
    activation_bytes: int  # that one inference reads and writes, each tensor of a kernel once
    weight_bytes: int
    build_seconds: float


@dataclass(frozen=True)
class Parity:
    """How far two graphs' logits are apart on the same real images."""

    n_images: int
    max_abs_err: float
    sqnr_db: float | None  # None when the outputs are equal: the ratio is infinite
    agreement_pct: float  # equal top-1

    @property
    def sqnr_or_inf(self) -> float:
        """`sqnr_db` to compare by: infinite where nothing differs."""
        return math.inf if self.sqnr_db is None else self.sqnr_db
