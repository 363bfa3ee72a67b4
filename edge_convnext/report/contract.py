"""`report.json`, the contract: what a build made, measured and decided.

The models below are the documentation: field descriptions end up in `report.schema.json`. A
consumer may rely on every field of schema `edge-convnext/report/3`; new optional fields can
come within it, a changed or removed one means `report/4`. A `report/2` is still read: its verdict
does not tell how sure it is.

Percentages are 0 to 100, drops are percentage points (pp), intervals are [low, high].
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    ValidationError,
    model_validator,
)

from edge_convnext.core.artifacts import (
    Precision,
)
from edge_convnext.core.bounds import TableName
from edge_convnext.core.documents import read_document
from edge_convnext.core.errors import ArtifactError, shorten
from edge_convnext.core.files import AnyPath, sha256_file, write_text_atomic

__all__ = [
    "HALF_SEARCHED",
    "STAGES",
    "AccuracyReport",
    "BenchmarkReport",
    "BenchmarkRow",
    "BoardReport",
    "BoardRun",
    "BundledFile",
    "CandidateAccuracy",
    "CandidateReport",
    "ClassAccuracy",
    "Confidence",
    "DataReport",
    "EnergyReport",
    "EngineReport",
    "EnvironmentReport",
    "FallbackReport",
    "FileReport",
    "Judgement",
    "LeftOutReport",
    "ModelReport",
    "ParityReport",
    "PrecisionAccuracy",
    "RankingReport",
    "RecoveryReport",
    "Report",
    "SensitivityReport",
    "SettingReport",
    "StageName",
    "StageReport",
    "Status",
    "VariantReport",
    "VerdictReport",
    "WeightsReport",
    "schema_json",
]

SCHEMA = "edge-convnext/report/3"
HALF_SEARCHED = "half of the evaluation images"  # a value of `searched_on`
_OLDER = ("edge-convnext/report/2",)  # its fields mean the same; those that came since are null

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
_LATER = ("approximate", "recover", "typed")  # a report written before them is still one
Confidence = Literal["shown", "likely"]  # the interval lies within the limit; the estimate does
Judgement = Literal[Confidence, "not"]
Status = Literal["done", "cached", "skipped", "not_run", "failed"]
_RAN = ("done", "cached")


def _ordered(interval: tuple[float, float]) -> tuple[float, float]:
    if interval[0] > interval[1]:
        raise ValueError("an interval is [low, high]")
    return interval


Percent = Annotated[float, Field(ge=0.0, le=100.0)]
Interval = Annotated[tuple[float, float], AfterValidator(_ordered)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class _Part(BaseModel):
    """Frozen, closed to unknown keys, finite numbers only."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        allow_inf_nan=False,
        from_attributes=True,
        populate_by_name=True,
        use_attribute_docstrings=True,
    )


class FileReport(_Part):
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


class WeightsReport(_Part):
    """Where the weights come from."""

    source: str
    """A file name, a hub id with its revision, `random`, or the demo's own training."""
    sha256: Sha256
    licence: str | None
    """Terms stated by the source; they hold for every file made from these weights."""


class ModelReport(_Part):
    """The network."""

    name: str
    """Such as `convnextv2_atto`."""
    params: PositiveInt
    image_size: PositiveInt
    """Height and width of the input in pixels."""
    num_classes: PositiveInt
    weights: WeightsReport
    in_channels: PositiveInt = 3
    classes: tuple[str, ...] = ()
    """Names in logit order; empty where none are known."""


class EnvironmentReport(_Part):
    """What ran the build; timings compare only between equal fingerprints."""

    versions: dict[str, str]
    """Package to version, of what is installed; `python` and `edge-convnext` among them."""
    platform: str
    cpu_model: str
    cpu_flags: tuple[str, ...]
    """Those that decide the speed of float and INT8 kernels."""
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


class DataReport(_Part):
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


class SettingReport(_Part):
    """One setting that decides what the model sees or says, and who decided it."""

    name: str
    """Such as `classes`, `image_size` or `mean`."""
    value: JsonValue
    """As it was used; of `classes` the names in logit order."""
    source: str
    """Such as `flag`, `recipe`, `checkpoint`, `folder names` or `default`."""
    detail: str = ""
    """The flag, or the file and the key in it."""


class ParityReport(_Part):
    """A stage's output against the stage before, on the same real images."""

    n_images: PositiveInt
    max_abs_err: NonNegativeFloat
    """Largest absolute difference of a logit."""
    sqnr_db: float | None
    """Signal to quantization noise of the logits; null when they are equal."""
    agreement_pct: Percent
    """Images with the same top-1 class."""


class EngineReport(_Part):
    """What the builder's log said."""

    builder: str
    compute_capabilities: tuple[str, ...]
    kernels: PositiveInt
    int8_kernels: NonNegativeInt
    """Convolutions and matrix products that read INT8."""
    activation_bytes: NonNegativeInt | None = None
    """Read and written by one inference, each tensor of a kernel once; a dynamic batch counts 1."""
    weight_bytes: NonNegativeInt | None = None


class VariantReport(_Part):
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


class StageReport(_Part):
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


class CandidateReport(_Part):
    """A graph in a runtime: what is evaluated and timed."""

    artifact: str
    """Its name, unique within a report."""
    form: TableName
    placement: TableName | None = None
    precision: Precision
    runtime: TableName
    precision_hint: Literal["f32", "bf16"] | None = None
    """The runtime's float type for what is not quantized: `f32`, `bf16`; null: its default."""
    settings: dict[str, str] = {}
    """Of the runtime, beyond those that this package always makes; its own names."""


class ClassAccuracy(_Part):
    """Top-1 of one class."""

    n: NonNegativeInt
    """Images of this class."""
    top1_pct: Percent | None
    """Null without images."""
    lost: NonNegativeInt | None = None
    """Images only FP32 gets right; null of FP32 itself, and in a report written before."""
    won: NonNegativeInt | None = None
    """Images only this precision gets right."""


class PrecisionAccuracy(_Part):
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


class AccuracyReport(_Part):
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


class BenchmarkReport(_Part):
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
    """Artifact name of the fastest model of the requested precision."""
    best_float: str | None = None
    """Artifact name of the float that ships where the chosen model does not: the fastest that may.
    The verdict's speed is against `rival_float`, which may be another."""
    rival_float: str | None = None
    """Artifact name of the float that the chosen model is least surely faster than, of those that
    may be the fastest; null in reports that compare with `best_float`."""
    raw_fp32: str | None = None
    """Artifact name of the unfolded FP32 export in ONNX Runtime."""
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
        """The timing of one artifact at one batch size, if there is one."""
        rows = (row for row in self.rows if (row.artifact, row.batch) == (artifact, batch))
        return next(rows, None)


class RecoveryReport(_Part):
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


class SensitivityReport(_Part):
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


class FallbackReport(_Part):
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


class RankingReport(_Part):
    """What quantizing each operation of one INT8 graph costs."""

    graph: str
    """Its plan, such as `conv.inner`."""
    operations: tuple[SensitivityReport, ...]
    """The most harmful first."""


class EnergyReport(_Part):
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


class LeftOutReport(_Part):
    """A candidate that could not be built or run on the board."""

    artifact: str
    reason: str


class BundledFile(_Part):
    """A graph of the build that this run is about."""

    path: str
    """In the build's folder."""
    sha256: Sha256


class BoardReport(_Part):
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


class VerdictReport(_Part):
    """What to ship, and why."""

    ship: Literal["fp32", "fp16", "int8", "undecided"]
    confidence: Confidence | None = None
    """`shown`: the 95 % intervals lie on that side of their limits; `likely`: the estimates do.
    Null where it is undecided, where only FP32 was asked for, and in a report written before
    `report/3`."""
    accuracy: Judgement | None = None
    """Whether the precision asked for keeps the accuracy budget; null: not measured."""
    speed: Judgement | None = None
    """Whether it is faster than the best float; null: not measured."""
    images_to_show: PositiveInt | None = None
    """Evaluation images, all in all, that would settle the accuracy if its rates stay; null where
    it is settled, or no number would settle it."""
    rounds_to_show: PositiveInt | None = None
    """Rounds of timing that would settle the speed if their spread stays; null as above."""
    speed_skewed: str | None = None
    """What disturbed the timings, so that the speed is `likely` at most."""
    classes_past: tuple[str, ...] = ()
    """Classes that surely lose more than the limit of each, or than the budget of the whole where
    none was stated: Holm's test over all classes at 95 %."""
    passed: bool
    """Whether what the user required is met; true when nothing was required."""
    reasons: tuple[str, ...]
    """Sentences with the figures."""


class BoardRun(_Part):
    """A board's own report, as `edge-convnext merge` folds it into the build's."""

    created: AwareDatetime
    environment: EnvironmentReport
    board: BoardReport
    accuracy: AccuracyReport | None
    benchmark: BenchmarkReport | None
    verdict: VerdictReport
    outputs: tuple[FileReport, ...] = ()
    """Files beside that report."""
    notes: tuple[str, ...] = ()


class Report(_Part):
    """One build."""

    schema_id: Literal["edge-convnext/report/3"] = Field("edge-convnext/report/3", alias="schema")
    created: AwareDatetime
    model: ModelReport
    environment: EnvironmentReport
    recipe: dict[str, JsonValue]
    """With every default and override resolved."""
    stated_recipe: dict[str, JsonValue] | None = None
    """`auto` where it was stated: `recover` and `sensitivity` run this one again."""
    data: DataReport | None
    stages: tuple[StageReport, ...]
    """One entry per stage, in the order of the chain."""
    accuracy: AccuracyReport | None
    """Null when the evaluate stage did not run; its reason says why."""
    benchmark: BenchmarkReport | None
    """Null when the benchmark stage did not run; its reason says why."""
    recoveries: tuple[RecoveryReport, ...] = ()
    """Of each INT8 graph; empty when the recover stage did not run."""
    fallbacks: tuple[FallbackReport, ...] = ()
    """Where an INT8 graph missed the budget; empty where all kept it."""
    sensitivity: tuple[RankingReport, ...] = ()
    """Of each INT8 graph; empty until `edge-convnext sensitivity` was run on this build."""
    verdict: VerdictReport
    folder: str
    """Where the build wrote, as the user gave it."""
    outputs: tuple[FileReport, ...] = ()
    """Files beside this report."""
    banner: str | None = None
    """Given for the demo: what this build is not, and what to pass instead."""
    notes: tuple[str, ...] = ()
    """What a reader must know to judge the figures."""
    settings: tuple[SettingReport, ...] = ()
    """Of weights and data, each with its source; empty in a report of an earlier version."""
    board: BoardReport | None = None
    """Given where `edge-convnext bench BUNDLE` wrote this report."""
    boards: tuple[BoardRun, ...] = ()
    """Board reports merged into this build's, one for each environment fingerprint."""

    @model_validator(mode="after")
    def _check_whole(self) -> Report:
        names = tuple(stage.name for stage in self.stages)
        if names != tuple(name for name in STAGES if name in names or name not in _LATER):
            raise ValueError(f"stages are, in this order: {', '.join(STAGES)}")
        for name, result in (("evaluate", self.accuracy), ("benchmark", self.benchmark)):
            if (result is not None) != (self.stage(name).status in _RAN):
                raise ValueError(f"the {name} stage's status contradicts its results")
        return self

    def stage(self, name: str) -> StageReport:
        """The entry of one stage."""
        return next(stage for stage in self.stages if stage.name == name)

    @property
    def data_folders(self) -> tuple[str, ...]:
        """Where the images of the build were, as its recipe names them."""
        stated = self.recipe.get("data")
        data = stated if isinstance(stated, dict) else {}
        named = (data.get("source"), data.get("calibration"))
        return tuple(one for one in named if isinstance(one, str) and one)

    def to_json(self) -> str:
        """Indented JSON, keys in the order of the contract."""
        fields = self.model_dump(mode="json", by_alias=True)
        return json.dumps(fields, indent=2, ensure_ascii=False, allow_nan=False) + "\n"

    def write(self, path: AnyPath) -> None:
        """Write `to_json()` in one visible step."""
        path = Path(path)
        write_text_atomic(path, self.to_json())

    @classmethod
    def read(cls, path: AnyPath) -> Report:
        """Read a report back, of this schema or an older one that it still reads.

        Raises:
            ArtifactError: No such file, not JSON, of another schema, or not valid.
        """
        path = Path(path)
        fields = read_document(
            path, SCHEMA, "`edge-convnext build` writes a report.json", "build again", _OLDER
        )
        try:
            return cls.model_validate({**fields, "schema": SCHEMA})
        except ValidationError as error:
            first = error.errors()[0]
            where = shorten(".".join(str(part) for part in first["loc"])) or "report"
            raise ArtifactError(
                f"{path}: not a valid report ({where}: {first['msg']}); build again"
            ) from error


T = TypeVar("T", StageReport, VariantReport)


def _with_reason(entry: T) -> T:
    if entry.status not in _RAN and not entry.reason:
        raise ValueError(f"status {entry.status} needs a reason")
    return entry


def schema_json() -> str:
    """The JSON Schema of `report.json`, as kept in `report.schema.json`."""
    schema: dict[str, Any] = Report.model_json_schema(mode="serialization")
    return json.dumps({"$id": SCHEMA, **schema}, indent=2) + "\n"
