"""`manifest.json` of a bundle: what lies in it, and what each graph is for."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeInt,
    model_validator,
)
from pydantic_core.core_schema import int_schema

from edge_convnext.core.artifacts import (
    MAX_IMAGE_SIZE,
    TFLITE_SUFFIX,
    GraphFormat,
    Interpolation,
    Precision,
    Preprocess,
    ResizeMode,
)
from edge_convnext.core.bounds import (
    MAX_CHANNELS,
    MAX_CLASSES,
    Batch,
    Count,
    TableName,
    size_of,
    why_too_large,
)
from edge_convnext.core.image_size import ImageSize
from edge_convnext.data.formats import IMAGE_SUFFIXES
from edge_convnext.report.described import ModelReport
from edge_convnext.report.part import Sha256

__all__ = [
    "IMAGES",
    "MANIFEST",
    "PREDICTIONS",
    "RECIPE",
    "REPORT",
    "SCHEMA",
    "SUFFIX",
    "TENSORS",
    "BundledGraph",
    "Contents",
    "EvaluationEntry",
    "EvaluationKind",
    "GraphKind",
    "Manifest",
    "Member",
    "Part",
    "PreprocessEntry",
    "check_name",
]

SCHEMA = "edge-convnext/bundle/1"
MANIFEST = "manifest.json"
REPORT = "report.json"
SUFFIX = ".ecb"  # of a bundle: `bench` recognises bundles by it
RECIPE = "recipe.yaml"
PREDICTIONS = "evaluation/predictions.csv"
TENSORS = "evaluation/images.npy"
IMAGES = "evaluation/images"

EvaluationKind = Literal["images", "tensors", "none"]
# cpu: portable Q/DQ with a float32 body, ONNX Runtime's fused products, or a model of LiteRT's.
# typed20: float16 body, opset 20, for TensorRT 10 and later and for RTX. opset17: float32 body, for
# TensorRT 8.6.
GraphKind = Literal["cpu", "typed20", "opset17"]

# Only data: nothing that a shell, Python or a loader would run.
_SUFFIXES = (".json", ".yaml", ".csv", ".npy", ".onnx", TFLITE_SUFFIX, *IMAGE_SUFFIXES)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)*")
_MAX_NAME = 200


def check_name(name: str) -> str:
    """Check a member's name: relative, without `..`, and of a kind that bundles have.

    Raises:
        ValueError: The name is not allowed.
    """
    if len(name) > _MAX_NAME or not _NAME.fullmatch(name):
        raise ValueError(f"{name[:_MAX_NAME]!r} is no name of a bundle's member")
    if PurePosixPath(name).suffix.lower() not in _SUFFIXES:
        raise ValueError(f"{name!r} is no kind of file that a bundle holds")
    return name


Name = Annotated[str, AfterValidator(check_name)]


class Part(BaseModel):
    """Frozen, closed to unknown keys, finite numbers only."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        allow_inf_nan=False,
        populate_by_name=True,
        from_attributes=True,
    )


class Member(Part):
    """One file of the bundle, except the manifest."""

    name: Name
    sha256: Sha256
    bytes: NonNegativeInt


class BundledGraph(Part):
    """One ONNX graph that the board may run or build an engine from."""

    name: str  # its name in the build: "model.int8.onnx", "gpu/int8.b1.onnx"
    file: Name  # the member
    precision: Precision
    form: TableName
    placement: TableName | None = None
    batch: Batch | None = None  # None: any
    kind: GraphKind
    format: GraphFormat = "qdq"
    quantized_ops: NonNegativeInt | None = None
    settings: dict[TableName, dict[str, str]] = {}  # settings that the build ran it with


class PreprocessEntry(Part):
    """`artifacts.Preprocess`."""

    image_size: Annotated[ImageSize, size_of(int_schema(ge=1, le=MAX_IMAGE_SIZE))]
    resize: ResizeMode
    crop_pct: float = Field(gt=0.0, le=1.0)
    interpolation: Interpolation
    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    @model_validator(mode="after")
    def _check_values(self) -> PreprocessEntry:
        Preprocess.from_json(self.model_dump())  # memory is taken by the size
        return self


class EvaluationEntry(Part):
    """Labelled images; labels and the reference's answers are in `evaluation/predictions.csv`."""

    kind: Literal["images", "tensors"]
    n_images: Count


class Contents(Part):
    """What every kind of bundle states."""

    schema_id: str = Field(alias="schema")
    edge_convnext: str  # version that wrote it
    model: ModelReport
    preprocess: PreprocessEntry
    graphs: tuple[BundledGraph, ...] = Field(min_length=1)
    evaluation: EvaluationEntry | None
    members: tuple[Member, ...]

    @model_validator(mode="after")
    def _check_whole(self) -> Contents:
        names = [member.name for member in self.members]
        if len(set(names)) != len(names):
            raise ValueError("a member is listed twice")
        needed = {graph.file for graph in self.graphs} | self.needed
        if self.evaluation is not None:
            needed.add(PREDICTIONS)
            needed |= {TENSORS} if self.evaluation.kind == "tensors" else set()
        if missing := needed - set(names):
            raise ValueError(f"{min(missing)} is not among the members")
        if len({graph.name for graph in self.graphs}) != len(self.graphs):
            raise ValueError("two graphs have one name")
        if self.model.num_classes > MAX_CLASSES or self.model.in_channels > MAX_CHANNELS:
            raise ValueError("more classes or channels than an image classifier has")
        largest = max(graph.batch or 1 for graph in self.graphs)
        size = self.preprocess.image_size
        if reason := why_too_large(largest, self.model.in_channels, size):
            raise ValueError(reason)
        return self

    @property
    def needed(self) -> set[str]:
        """Names of members, beside graphs and images, that this kind has."""
        return set()

    def member(self, name: str) -> Member:
        """One member by name."""
        return next(member for member in self.members if member.name == name)


class Manifest(Contents):
    """The bundle of a build."""

    schema_id: Literal["edge-convnext/bundle/1"] = Field("edge-convnext/bundle/1", alias="schema")

    @property
    def needed(self) -> set[str]:
        """Its report and recipe."""
        return {REPORT, RECIPE}
