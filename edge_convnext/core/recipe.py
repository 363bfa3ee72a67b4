"""Recipes: YAML in, one frozen and typed section per stage out.

Pydantic stops here. Every field has a default, unknown keys are refused with the nearest
valid name, and `null` means "not stated": the checkpoint's own value, or the default, applies
(the report has the resolved values).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PositiveFloat,
    PrivateAttr,
    ValidationInfo,
    field_validator,
)

from edge_convnext.core.artifacts import (
    ActivationType,
    GeluName,
    GraphFormat,
    ImagesType,
    Interpolation,
    Precision,
    RangeEstimator,
    ResizeMode,
)
from edge_convnext.core.bounds import (
    Batch,
    BatchSizes,
    Channels,
    Classes,
    Count,
    Epochs,
    ImageSize,
    Milliseconds,
    Rounds,
    Seconds,
    TableName,
    Threads,
    Warmup,
    why_too_large,
    why_too_long,
)
from edge_convnext.core.origins import Origin
from edge_convnext.core.percentages import meant_per_cent

__all__ = [
    "DIGITS",
    "RANDOM",
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
    "Recipe",
    "RecoverConfig",
    "SimplifyConfig",
    "Stated",
    "TargetName",
    "TrainConfig",
]

DIGITS = "digits"  # as `data.source`: the bundled ones
RANDOM = "random"  # as `load.weights`: drawn by the seed, for speed alone
TargetName = Literal["cpu", "rtx", "tensorrt"]
Targets = Annotated[tuple[TargetName, ...], Field(min_length=1)]
Alpha = Annotated[float, Field(ge=0.0, le=1.0)]


_USUAL_SIZE = 224  # pixels, where the weights have the say


class Section(BaseModel):
    """Frozen, and closed to unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class LoadConfig(Section):
    """The `load:` section: where the weights come from."""

    weights: str | None = None  # a file, "in1k[@REVISION]", "random"; None: the demo
    num_classes: Classes | None = None  # None: read from the checkpoint
    in_channels: Channels | None = None  # None: read from the checkpoint


def _meant_share(value: Any) -> Any:
    """Refuse per cents where a share is meant: pydantic would only name the limit."""
    if isinstance(value, (int, float)) and 1.0 < value <= 100.0:
        raise ValueError(f"a share, not per cent: did you mean {value / 100:g}?")
    return value


Share = Annotated[float, BeforeValidator(_meant_share)]


def _meant_points(value: Any) -> Any:
    """Refuse a fraction where percentage points are meant, which no build would keep."""
    if isinstance(value, (int, float)) and (meant := meant_per_cent(value)):
        raise ValueError(meant)
    return value


BudgetPp = Annotated[float, BeforeValidator(_meant_points)]


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

    image_size: ImageSize | None = None
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

    image_size: ImageSize | None = None  # None: `preprocess.image_size`
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
    bfloat16: bool = True  # autocast, where the device has it in hardware


class FoldConfig(Section):
    """The `fold:` section."""

    enabled: bool = True


class ExportConfig(Section):
    """The `export:` section."""

    opset: int = Field(20, ge=18, le=23)
    batch: Batch | Literal["dynamic"] = "dynamic"
    form: TableName = "auto"  # auto: the best known per runtime
    gelu: GeluName | Literal["auto"] = "auto"  # of the INT8 graph; auto: the best per runtime


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
    quantile_outlier_prob: float = Field(1e-4, gt=0.0, lt=0.5)  # of mean_quantile
    overflow_fix: Literal["disable", "first_layer_only", "enable"] = "disable"
    fast_bias_correction: bool = True  # False: the slower one, which looks at the whole graph
    disable_bias_correction: bool = True  # it gains nothing here and takes most of the time
    activation_type: ActivationType | Literal["auto"] = "auto"  # auto: the best per runtime
    ignored_names: tuple[str, ...] = ()  # node names kept in float
    ignored_patterns: tuple[str, ...] = ()  # regular expressions of such names

    @property
    def own_ranges(self) -> bool:
        """Whether ranges are this project's; without a plan, `auto` means so."""
        return self.activations_range_estimator in ("auto", "reconstruction")


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

    batch: Batch = 16  # images per inference
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
    # At most so long the race waits for a quiet machine, or is run again after a busy one.
    wait_quiet_min: float = Field(0.0, ge=0.0, le=1440.0)

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
    settings: dict[str, str] = {}  # of the runtime, its names; or `batch: dynamic`

    @field_validator("settings")
    @classmethod
    def _batch_is_dynamic(cls, settings: dict[str, str]) -> dict[str, str]:
        if settings.get("batch", "dynamic") != "dynamic":
            raise ValueError("batch can only be 'dynamic': a fixed one is export.batch")
        return settings


@dataclass(frozen=True)
class Stated:
    """Who stated a recipe's fields. It decides no result: recipes that differ in it are equal."""

    source: str = field(default="", compare=False)  # the recipe's file
    flags: Mapping[str, str] = field(default_factory=dict, compare=False)  # by dotted field


class Recipe(Section):
    """One whole build."""

    name: str = "custom"
    about: str = ""  # one line for `edge-convnext recipes`
    model: str = "convnextv2_atto"  # its full name; `recipe_file` knows the shorter ones
    precision: Precision = "int8"
    targets: Targets | Literal["auto"] = "auto"
    runtime: TableName = "auto"  # a key of `runtimes.load.RUNTIMES`; auto: all that are installed
    seed: int = Field(0, ge=0, lt=2**63)
    load: LoadConfig = LoadConfig()
    data: DataConfig = DataConfig()
    preprocess: PreprocessConfig = PreprocessConfig()
    train: TrainConfig = TrainConfig()
    fold: FoldConfig = FoldConfig()
    export: ExportConfig = ExportConfig()
    simplify: SimplifyConfig = SimplifyConfig()
    equalize: EqualizeConfig = EqualizeConfig()
    quantize: QuantizeConfig = QuantizeConfig()
    recover: RecoverConfig = RecoverConfig()
    engine: EngineConfig = EngineConfig()
    evaluate: EvaluateConfig = EvaluateConfig()
    benchmark: BenchmarkConfig = BenchmarkConfig()
    plans: dict[TableName, PlanConfig] = {}  # of runtimes that shall not get the shipped one
    _stated: Stated = PrivateAttr(default_factory=Stated)  # in no dump, and so in no cache key

    def origin(self, section: str, name: str) -> Origin | None:
        """The origin of a field of a section: a flag or the recipe's file; None: not stated."""
        if getattr(getattr(self, section), name) is None:
            return None
        flag = self._stated.flags.get(f"{section}.{name}")
        return Origin("flag", flag) if flag else Origin("recipe", Path(self._stated.source).name)

    @field_validator("train", "export", "recover", "engine", "evaluate", "benchmark")
    @classmethod
    def _fits_in_memory(cls, section: Any, info: ValidationInfo) -> Any:
        load, preprocess = info.data.get("load"), info.data.get("preprocess")
        channels = (load.in_channels if load else None) or 3
        size = (preprocess.image_size if preprocess else None) or _USUAL_SIZE
        batches = getattr(section, "batches", None) or (getattr(section, "batch", 1),)
        largest = max((batch for batch in batches if isinstance(batch, int)), default=1)
        if reason := why_too_large(largest, channels, size):
            raise ValueError(reason)
        return section


def recipe_folder() -> Path:
    """Where the shipped recipes lie: in the wheel, or at the top of a checkout."""
    here = Path(__file__).parent
    installed = here / "_recipes"
    return installed if installed.is_dir() else here.parents[1] / "recipes"


def recipe_names() -> tuple[str, ...]:
    """Names of the shipped recipes."""
    return tuple(sorted(path.stem for path in recipe_folder().glob("*.yaml")))
