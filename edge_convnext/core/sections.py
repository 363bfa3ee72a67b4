"""The sections of a recipe, one for each stage."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, PositiveFloat, ValidationInfo, field_validator

from edge_convnext.core.artifacts import (
    ActivationType,
    GeluName,
    GraphFormat,
    ImagesType,
    Interpolation,
    RangeEstimator,
    ResizeMode,
    WeightRounding,
)
from edge_convnext.core.bounds import (
    Batch,
    BatchSizes,
    Channels,
    Classes,
    Count,
    Epochs,
    Milliseconds,
    Rounds,
    Seconds,
    StatedSize,
    TableName,
    Threads,
    TypeName,
    Warmup,
    why_too_long,
)
from edge_convnext.core.product_groups import MOST_GROUPS, GroupName
from edge_convnext.core.section import Alpha, BudgetPp, Section, Share

__all__ = [
    "BenchmarkConfig",
    "DataConfig",
    "EngineConfig",
    "EqualizeConfig",
    "EvaluateConfig",
    "ExportConfig",
    "FoldConfig",
    "GpuPlanConfig",
    "LoadConfig",
    "PlanConfig",
    "PreprocessConfig",
    "QuantizeConfig",
    "RecoverConfig",
    "SimplifyConfig",
    "TrainConfig",
]


class LoadConfig(Section):
    """The `load:` section: where the weights come from."""

    weights: str | None = None  # a file, "in1k[@REVISION]", "random"; None: the demo
    num_classes: Classes | None = None  # None: read from the checkpoint
    in_channels: Channels | None = None  # None: read from the checkpoint


class DataConfig(Section):
    """The `data:` section: labelled images, and which of them calibrate and evaluate."""

    source: str | None = None  # a folder, a CSV, or "digits"
    calibration: str | None = None  # a folder or CSV; None draws from the training side
    labels: str | None = None  # a file with one class name a line, in logit order
    val_fraction: Share = Field(0.2, gt=0.0, lt=1.0)  # of an unsplit set
    skip_bad_images: bool = False
    allow_duplicates: bool = False  # go on where over 1 % of the evaluation side is in training


_LARGEST_MEAN = 2.0  # of pixels in 0..1, with room for unusual normalisations


class PreprocessConfig(Section):
    """The `preprocess:` section; fields are `artifacts.Preprocess`'s."""

    image_size: StatedSize | None = None  # a side, or height and width
    resize: ResizeMode | None = None
    crop_pct: Share | None = Field(None, ge=0.01, le=1.0)
    interpolation: Interpolation | None = None
    mean: tuple[float, float, float] | None = None
    std: tuple[PositiveFloat, PositiveFloat, PositiveFloat] | None = None

    @field_validator("mean", "std")
    @classmethod
    def _of_scaled_pixels(
        cls, values: tuple[float, float, float] | None
    ) -> tuple[float, float, float] | None:
        if values is not None and max(map(abs, values)) > _LARGEST_MEAN:
            divided = ",".join(f"{value / 255:.4g}" for value in values)
            raise ValueError(f"pixels are scaled to 0..1 before: divide by 255 ({divided})")
        return values


class TrainConfig(Section):
    """The `train:` section: the demo's training and `edge-convnext train`."""

    image_size: StatedSize | None = None  # None: `preprocess.image_size`
    epochs: Epochs = 30
    batch: Batch = 64  # images
    lr: float = Field(2e-3, gt=0.0)  # peak, AdamW
    weight_decay: float = Field(0.05, ge=0.0)
    warmup_epochs: float = Field(3.0, ge=0.0, le=10_000.0)
    label_smoothing: Share = Field(0.1, ge=0.0, lt=1.0)
    drop_path: Share = Field(0.05, ge=0.0, lt=1.0)
    ema_decay: Share = Field(0.998, ge=0.0, lt=1.0)
    hflip: bool = True
    vflip: bool = False
    min_crop_area: Share = Field(0.6, gt=0.0, le=1.0)  # of random resized crops; 1.0: none
    rotate_deg: float = Field(0.0, ge=0.0, le=180.0)  # at most, either way
    color_jitter: float = Field(0.2, ge=0.0)  # brightness, contrast and saturation
    # Autocast, where the device has it in hardware; auto: if that is faster in the first steps.
    bfloat16: bool | Literal["auto"] = "auto"


class FoldConfig(Section):
    """The `fold:` section."""

    enabled: bool = True


class ExportConfig(Section):
    """The `export:` section."""

    opset: int = Field(20, ge=18, le=23)
    batch: Batch | Literal["dynamic"] = "dynamic"
    form: TableName = "auto"  # auto: the best known per runtime
    gelu: GeluName | Literal["auto"] = "auto"  # of the INT8 graph; auto: the best per runtime
    # Type of the images that graphs for a CPU take. uint8: pixels; float16 is float32 there.
    input: ImagesType = "float32"


class SimplifyConfig(Section):
    """The `simplify:` section."""

    enabled: bool = True
    timeout_s: Seconds = 120


class EqualizeConfig(Section):
    """The `equalize:` section."""

    enabled: bool = True
    alpha: Alpha | Literal["auto"] = "auto"  # auto: the best of each layer


class QuantizeConfig(Section):
    """The `quantize:` section; names are NNCF's where NNCF has one."""

    subset_size: Count = 300  # calibration images
    placement: TableName = "auto"  # auto: the best known per runtime
    weight_granularity: Literal["per_channel", "per_tensor"] = "per_channel"
    # auto: the best known per runtime, `reconstruction` unless a plan says otherwise
    activations_range_estimator: RangeEstimator | Literal["auto"] = "auto"
    weight_rounding: WeightRounding = "auto"
    quantile_outlier_prob: float = Field(1e-4, gt=0.0, lt=0.5)  # of mean_quantile
    overflow_fix: Literal["disable", "first_layer_only", "enable"] = "disable"
    fast_bias_correction: bool = True  # False: the slower one, which looks at the whole graph
    disable_bias_correction: bool = True  # it gains nothing here and takes most of the time
    activation_type: ActivationType | Literal["auto"] = "auto"  # auto: the best per runtime
    ignored_names: tuple[str, ...] = ()  # node names kept in float
    ignored_patterns: tuple[str, ...] = ()  # regular expressions of such names
    ignored_types: tuple[TypeName, ...] = ()  # types of operations kept in float, such as Conv
    later: ClassVar[frozenset[str]] = frozenset({"ignored_types"})

    @property
    def own_ranges(self) -> bool:
        """Whether ranges are this project's; without a plan, `auto` means so."""
        return self.activations_range_estimator in ("auto", "reconstruction")

    @property
    def symmetric_ranges(self) -> bool:
        """Whether the estimator is NNCF's alone, which knows no zero points, and no roles."""
        return self.activations_range_estimator not in ("auto", "reconstruction", "minmax")


class RecoverConfig(Section):
    """The `recover:` section: fine-tuning of an INT8 graph, taught by the float one."""

    enabled: bool = False  # it takes minutes, and most models lose nothing to begin with
    images: int = Field(2000, ge=5, le=1_000_000)  # from the training side; a fifth only judges
    epochs: Epochs = 3
    batch: Batch = 32
    lr: float = Field(3e-5, gt=0.0, le=1e30)  # of weights, biases and norms; Adam, in float32
    scale_lr: float = Field(3e-3, gt=0.0, le=1e30)  # of quantizers, as a share of each scale


class GpuPlanConfig(Section):
    """One entry of `engine.plans`."""

    form: TableName
    placement: TableName | None = None  # of INT8 plans, and of those alone


class EngineConfig(Section):
    """The `engine:` section: graphs for TensorRT, and TensorRT for RTX, compiled ahead of time."""

    # One graph and engine for each; auto: 1 and 8, or 1 alone where no GPU target was named.
    batches: BatchSizes | Literal["auto"] = "auto"
    # Type of the images, and of the logits where it is a float type. uint8: pixels, NHWC,
    # normalised in the graph.
    input: ImagesType = "float16"
    compute_capabilities: tuple[str, ...] = ("8.6", "8.9", "12.0")
    max_batch: Batch = 8  # of the optimization profile, when the graph's batch is dynamic
    timeout_s: Seconds = 600
    # By precision and by the batch size from which a plan holds; others are the shipped ones.
    plans: dict[Literal["fp16", "int8"], dict[Batch, GpuPlanConfig]] = {}

    @field_validator("plans")
    @classmethod
    def _placed_where_quantized(
        cls, plans: dict[Literal["fp16", "int8"], dict[int, GpuPlanConfig]]
    ) -> dict[Literal["fp16", "int8"], dict[int, GpuPlanConfig]]:
        for precision, by_batch in plans.items():
            for batch, plan in by_batch.items():
                if (plan.placement is not None) != (precision == "int8"):
                    needs = "needs a placement" if precision == "int8" else "has no placement"
                    raise ValueError(f"the plan {precision} {batch} {needs}")
        return plans


class EvaluateConfig(Section):
    """The `evaluate:` section."""

    batch: Batch = 4  # images per inference; 16 took an eighth longer on two cores
    # top-1 budget for shipping a quantized model, of the mean and of any class
    max_drop_pp: BudgetPp = Field(1.0, ge=0.0, le=100.0)
    max_class_drop_pp: BudgetPp | None = Field(None, ge=0.0, le=100.0)
    fallback: bool = True  # past it, return the most harmful operations to float
    allow_bad_model: bool = False  # go on with a float model that is no better than guessing


class BenchmarkConfig(Section):
    """The `benchmark:` section."""

    batches: BatchSizes = (1, 8)
    threads: Threads | None = None  # None: every core this process may use
    rounds: Rounds = 20  # that choose; finalists have as many again, which judge
    min_round_ms: Milliseconds = 50  # per candidate; at least 3 inferences
    warmup: Warmup = 3  # inferences before each round's timing
    # decision: the planned graphs at the smallest batch size alone. No other forms of the float,
    # no other batch sizes, no memory; and graphs for a GPU only where the recipe names one.
    scope: Literal["full", "decision"] = "full"
    # At most so long the race waits for a quiet machine, or is run again after a busy one.
    wait_quiet_min: float = Field(0.0, ge=0.0, le=1440.0)
    throughput: bool = False  # measure images per second with several requests in flight, too

    @field_validator("batches")
    @classmethod
    def _once_each(cls, batches: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(dict.fromkeys(batches))

    @field_validator("min_round_ms")
    @classmethod
    def _over_by_morning(cls, round_ms: int, info: ValidationInfo) -> int:
        if reason := why_too_long(info.data.get("rounds", 1), round_ms):
            raise ValueError(reason)
        return round_ms


class PlanConfig(Section):
    """One entry of `plans:`; fields are `plans.Plan`'s."""

    form: TableName
    placement: TableName
    activation_type: ActivationType = "int8"
    format: GraphFormat = "qdq"
    gelu: GeluName = "erf"
    range_estimator: RangeEstimator = "reconstruction"
    settings: dict[str, str] = {}
    # Of networks that are placed by role: what `tune` changed of the placement.
    float_groups: tuple[GroupName, ...] = Field((), max_length=MOST_GROUPS)
    int8_groups: tuple[GroupName, ...] = ()

    @field_validator("int8_groups")
    @classmethod
    def _few_and_once(cls, names: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        floats = info.data.get("float_groups", ())
        if both := sorted(set(names) & set(floats)):
            raise ValueError(f"'{both[0]}' can't be in float_groups too")
        if len(names) + len(floats) > MOST_GROUPS:
            raise ValueError(f"a plan changes at most {MOST_GROUPS} groups in all")
        return names

    @field_validator("settings")
    @classmethod
    def _batch_is_dynamic(cls, settings: dict[str, str]) -> dict[str, str]:
        if settings.get("batch", "dynamic") != "dynamic":
            raise ValueError("batch can only be 'dynamic': a fixed one is export.batch")
        return settings
