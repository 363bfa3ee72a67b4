"""The stages of a build, as a report states them."""

from __future__ import annotations

from typing import Literal, TypeVar, get_args

from pydantic import (
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveInt,
    model_validator,
)

from edge_convnext.core.artifacts import (
    Precision,
)
from edge_convnext.core.bounds import TableName
from edge_convnext.report.described import (
    FileReport,
)
from edge_convnext.report.part import Interval, Part, Percent

__all__ = [
    "LATER",
    "RAN",
    "STAGES",
    "EngineReport",
    "FallbackReport",
    "ParityReport",
    "RankingReport",
    "RecoveryReport",
    "SensitivityReport",
    "StageName",
    "StageReport",
    "Status",
    "VariantReport",
]

StageName = Literal[
    "load",
    "fold",
    "export",
    "simplify",
    "approximate",
    "equalize",
    "quantize",
    "recover",
    "lower",
    "typed",
    "engine",
    "evaluate",
    "benchmark",
]


STAGES: tuple[StageName, ...] = get_args(StageName)


LATER = ("approximate", "recover", "typed")  # a report written before them is still one


Status = Literal["done", "cached", "skipped", "not_run", "failed"]


RAN = ("done", "cached")


class ParityReport(Part):
    """A stage's output against the stage before, on the same real images."""

    n_images: PositiveInt
    max_abs_err: NonNegativeFloat
    """Largest absolute difference of a logit."""
    sqnr_db: float | None
    """Signal to quantization noise of the logits; null when they are equal."""
    agreement_pct: Percent
    """Images with the same top-1 class."""


class EngineReport(Part):
    """What the builder's log said."""

    builder: str
    compute_capabilities: tuple[str, ...]
    kernels: PositiveInt
    int8_kernels: NonNegativeInt
    """Convolutions and matrix products that read INT8."""
    activation_bytes: NonNegativeInt | None = None
    """Read and written by one inference, each tensor of a kernel once; a dynamic batch counts 1."""
    weight_bytes: NonNegativeInt | None = None


class VariantReport(Part):
    """One of several artefacts that a stage made, such as a graph form per runtime."""

    form: TableName | None = None
    placement: TableName | None = None
    precision: Precision | None = None
    batch: PositiveInt | None = None
    """Of a graph or engine of one batch size; null where it is dynamic."""
    runtime: TableName | None = None
    target: str | None = None
    """`cpu`, `rtx` or `tensorrt`."""
    status: Status
    reason: str | None = None
    """Given unless the status is done or cached."""
    seconds: NonNegativeFloat | None = None
    artifact: FileReport | None = None
    parity: ParityReport | None = None
    quantized_ops: NonNegativeInt | None = None
    engine: EngineReport | None = None

    @model_validator(mode="after")
    def _check_reason(self) -> VariantReport:
        return _with_reason(self)


class StageReport(Part):
    """One stage of the chain."""

    name: StageName
    status: Status
    reason: str | None = None
    """Given unless the status is done or cached."""
    seconds: NonNegativeFloat | None = None
    artifact: FileReport | None = None
    """Of the shipped model, where a stage made several."""
    parity: ParityReport | None = None
    variants: tuple[VariantReport, ...] = ()

    @model_validator(mode="after")
    def _check_reason(self) -> StageReport:
        return _with_reason(self)


class RecoveryReport(Part):
    """What fine-tuning did to one INT8 graph, on training images it did not learn from."""

    graph: str
    """Its plan, such as `conv.inner`."""
    kept: bool
    """Whether the logits came nearer to the float graph's; otherwise the graph is as it was."""
    before: ParityReport
    """The graph against the float graph."""
    after: ParityReport
    """The trained one, kept or not."""
    steps: PositiveInt
    n_training: PositiveInt
    """Images that it learnt from."""


class SensitivityReport(Part):
    """One quantized operation, compared in logits with the float graph."""

    name: str
    """Node: module path and operation."""
    alone_sqnr_db: float | None
    """Only it quantized; null where the logits stay equal."""
    alone_agreement_pct: Percent
    spared_sqnr_db: float | None
    """All quantized but it."""
    spared_agreement_pct: Percent
    noise_share_pct: Percent
    """Of the noise power that the operations make one by one."""


class FallbackReport(Part):
    """An INT8 graph past the accuracy budget, and what was done about it."""

    graph: str
    """Its plan, such as `conv.inner`."""
    kept_float: tuple[str, ...] | None
    """Operations returned to float; null where not even nearly all of them suffice."""
    quantized_ops: NonNegativeInt
    """Before."""
    top1_drop_before_pp: float
    top1_drop_pp: float | None
    """With the fallback, on evaluation images that the search for it never saw."""
    searched_on: str | None = None
    """What images the search looked at."""
    n_searched: PositiveInt | None = None
    n_judged: PositiveInt | None = None
    """Evaluation images that the search left; every accuracy of this report is of these."""
    reason: str | None = None
    """Why no fallback was looked for."""
    speedup_vs_full: float | None = Field(None, gt=0.0)
    """Below 1: what the fallback costs in speed, at the smallest batch; null untimed."""
    speedup_vs_full_ci95: Interval | None = None
    sensitivity: tuple[SensitivityReport, ...]
    """The most harmful first."""


class RankingReport(Part):
    """What quantizing each operation of one INT8 graph costs."""

    graph: str
    """Its plan, such as `conv.inner`."""
    operations: tuple[SensitivityReport, ...]
    """The most harmful first."""


_T = TypeVar("_T", StageReport, VariantReport)


def _with_reason(entry: _T) -> _T:
    if entry.status not in RAN and not entry.reason:
        raise ValueError(f"status {entry.status} needs a reason")
    return entry
