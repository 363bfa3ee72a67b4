"""Accuracy and timings, as a report states them."""

from __future__ import annotations

from typing import Literal

from pydantic import (
    NonNegativeFloat,
    NonNegativeInt,
    PositiveInt,
)

from edge_convnext.core.artifacts import Precision, file_of
from edge_convnext.core.bounds import TableName
from edge_convnext.report.part import Interval, Part, Percent

__all__ = [
    "AccuracyReport",
    "BenchmarkReport",
    "BenchmarkRow",
    "CandidateAccuracy",
    "CandidateReport",
    "ClassAccuracy",
    "Int8ProductsReport",
    "MovedProduct",
    "PrecisionAccuracy",
    "RefusedCandidate",
    "smallest_batch",
]


class CandidateReport(Part):
    """A graph in a runtime: what is evaluated and timed."""

    artifact: str
    """Its name, unique within a report."""
    form: TableName
    placement: TableName | None = None
    precision: Precision
    runtime: TableName
    precision_hint: Literal["f32", "bf16", "f16"] | None = None
    """Its float type for what is not quantized: `f32`, `bf16`, `f16`; null: its default."""
    settings: dict[str, str] = {}
    """Of the runtime, beyond those that this package always makes; its own names."""

    @property
    def file(self) -> str:
        """Name of its file: behind that, `artifact` may tell how it is run."""
        return file_of(self.artifact)


class RefusedCandidate(CandidateReport):
    """A candidate that is wrong where it would run: it does not ship."""

    reason: str
    rule: str | None = None
    """Of the runtime's lint; null where only the logits tell."""
    node: str | None = None
    """That breaks the rule."""
    sqnr_db: float | None = None
    """Of its logits in its runtime, against the float graph's; null where it was not run, and
    where they are equal."""
    onnxruntime_sqnr_db: float | None = None
    """Of the same graph in ONNX Runtime."""
    agreement_pct: Percent | None = None
    """Images with the same top-1 class as the float graph, in its runtime."""
    n_images: PositiveInt | None = None
    """Real images that it was run on."""
    timed: bool = False
    """Raced all the same: a float, which INT8 has to beat to be called faster."""


class MovedProduct(Part):
    """A product that the runtime does not compute in the precision that was planned."""

    node: str
    reason: str


class Int8ProductsReport(CandidateReport):
    """Convolutions and matrix products in INT8, in the file and in the runtime's own graph."""

    planned_int8_products: NonNegativeInt
    """With quantized weights and activations in the file."""
    found_int8_products: NonNegativeInt | None
    """Of those, in the runtime's own graph; null where it does not tell, and `reason` says why."""
    reason: str | None = None
    in_float: tuple[MovedProduct, ...] = ()
    """Those that are missing, and why."""
    beyond_plan: tuple[MovedProduct, ...] = ()
    """Planned in float and computed in INT8, and why."""


class ClassAccuracy(Part):
    """Top-1 of one class."""

    n: NonNegativeInt
    """Images of this class."""
    top1_pct: Percent | None
    """Null without images."""
    lost: NonNegativeInt | None = None
    """Images only FP32 gets right; null of FP32 itself, and in a report written before."""
    won: NonNegativeInt | None = None
    """Images only this precision gets right."""


class PrecisionAccuracy(Part):
    """Accuracy of one precision."""

    top1_pct: Percent
    top5_pct: Percent | None
    """Null below 6 classes."""
    per_class: dict[str, ClassAccuracy]
    """By class name, in logit order."""


class CandidateAccuracy(CandidateReport):
    """One candidate against the FP32 reference, image by image."""

    top1_pct: Percent
    top1_drop_pp: float
    top1_drop_ci95_pp: Interval
    agreement_pct: Percent
    sqnr_db: float | None
    """Of the logits; null when they are equal, and on a board, which has not the reference's."""
    lost: NonNegativeInt
    """Images only the reference gets right."""
    won: NonNegativeInt
    """Images only the candidate gets right."""


class AccuracyReport(Part):
    """The shipped precision against the FP32 reference (the torch model), same images."""

    n_images: PositiveInt
    fp32: PrecisionAccuracy
    fp16: PrecisionAccuracy | None = None
    int8: PrecisionAccuracy | None = None
    top1_drop_pp: float | None = None
    """FP32 minus the shipped precision; null when only FP32 was evaluated."""
    top1_drop_ci95_pp: Interval | None = None
    """95 % interval of the paired difference."""
    agreement_pct: Percent | None = None
    """Images with the same top-1 class."""
    sqnr_db: float | None = None
    """Of the logits; null when they are equal, and on a board, which has not the reference's."""
    lost: NonNegativeInt | None = None
    won: NonNegativeInt | None = None
    candidates: tuple[CandidateAccuracy, ...] = ()
    """Every candidate evaluated; the fields above repeat the chosen one."""


class BenchmarkRow(CandidateReport):
    """Timing of one candidate at one batch size, interleaved with the others."""

    threads: PositiveInt
    batch: PositiveInt
    latency_ms_p50: NonNegativeFloat
    """Per inference of one batch, over all rounds."""
    latency_ms_p90: NonNegativeFloat | None
    """Null with too few samples."""
    latency_ms_p99: NonNegativeFloat | None
    """Null below 1,000 samples."""
    throughput_img_s: NonNegativeFloat
    samples: PositiveInt
    rounds: PositiveInt
    size_bytes: NonNegativeInt
    peak_memory_bytes: NonNegativeInt | None
    """Of a process that runs this candidate alone."""
    baseline_memory_bytes: NonNegativeInt | None = None
    """Of that process before it loads the model."""
    round_latency_ms_p50: tuple[NonNegativeFloat, ...] = ()
    """In the order of the rounds, which every candidate shares."""
    gpu_ms_p50: NonNegativeFloat | None = None
    """Of the GPU alone, copies left out; null on a CPU."""
    gpu_ms_p90: NonNegativeFloat | None = None
    """Null with too few samples."""
    gpu_ms_p99: NonNegativeFloat | None = None
    """Null below 1,000 samples."""
    round_gpu_ms_p50: tuple[NonNegativeFloat, ...] = ()
    """In the order of the rounds."""
    latency_ms_deciles: tuple[NonNegativeFloat, ...] = ()
    """The 10th, 20th, to the 90th percentile; empty with too few samples, and in older reports."""


class BenchmarkReport(Part):
    """Timings of one interleaved run; never cached."""

    rows: tuple[BenchmarkRow, ...]
    speedup_vs_raw_fp32: NonNegativeFloat | None = None
    """Raw FP32's latency in ONNX Runtime over the chosen model's, smallest batch size: median
    over fresh loads of both (`judge_loads`), or over rounds where nothing was loaded afresh."""
    speedup_vs_best_float: NonNegativeFloat | None = None
    """The same of `rival_float`, which stands for every float that may be the fastest; of
    `best_float` where that is null. What users gain over `best_float` is the ratio of the rows."""
    speedup_vs_raw_fp32_ci95: Interval | None = None
    """95 % interval of that median, over the same loads or rounds."""
    speedup_vs_best_float_ci95: Interval | None = None
    """The same."""
    chosen: str | None = None
    """Artifact name of the model of the requested precision that is the fastest, or as fast and
    nearer to FP32."""
    best_float: str | None = None
    """Artifact name of the float that ships where the chosen model does not: the fastest that may.
    The verdict's speed is against `rival_float`, which may be another."""
    rival_float: str | None = None
    """Artifact name of the float that the chosen model is least surely faster than, of those that
    may be the fastest; null in reports that compare with `best_float`."""
    raw_fp32: str | None = None
    """Artifact name of the unfolded FP32 export in ONNX Runtime."""
    forms_not_raced: tuple[str, ...] = ()
    """Forms of the float that might be faster and were left out, as the recipe's scope says."""
    timed_once: tuple[str, ...] = ()
    """Artifacts that were timed at the smallest batch size alone, and whose memory was not
    measured: more than 1.3 times as slow there as the fastest float or, in the built precision, as
    the fastest of their runtime."""
    other_load_pct: Percent | None = None
    """CPU time that other programs took during the timings; they skew ratios too."""
    throttled_periods: NonNegativeInt | None = None
    """Scheduler periods in which a CPU quota stopped this process, or what shares its quota, during
    the timings; null without a quota."""
    judge_loads: PositiveInt | None = None
    """How often each finalist was loaded afresh to be judged; null where rounds that chose a
    candidate judge it too."""
    judge_rounds: PositiveInt | None = None
    """The last rounds of each finalist's row, load by load: they judge, and did not choose."""

    @property
    def hardest_float(self) -> str | None:
        """The float that `speedup_vs_best_float` is over."""
        return self.rival_float or self.best_float

    @property
    def observations(self) -> str:
        """What the intervals of the speed-ups are over, in words."""
        return "rounds" if self.judge_loads is None else f"{self.judge_loads} fresh loads"

    def row(self, artifact: str | None, batch: int) -> BenchmarkRow | None:
        """The timing of one artefact at one batch size, if there is one."""
        rows = (row for row in self.rows if (row.artifact, row.batch) == (artifact, batch))
        return next(rows, None)


def smallest_batch(benchmark: BenchmarkReport) -> int:
    """Batch size that speed-ups are of; 1 where no row was timed."""
    return min((row.batch for row in benchmark.rows), default=1)
