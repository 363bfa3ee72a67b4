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
    Field,
    PrivateAttr,
    ValidationInfo,
    field_validator,
)

from edge_convnext.core.artifacts import (
    Precision,
)
from edge_convnext.core.bounds import (
    TableName,
    why_too_large,
)
from edge_convnext.core.origins import Origin
from edge_convnext.core.section import Section
from edge_convnext.core.sections import (
    BenchmarkConfig,
    DataConfig,
    EngineConfig,
    EqualizeConfig,
    EvaluateConfig,
    ExportConfig,
    FoldConfig,
    LoadConfig,
    PlanConfig,
    PreprocessConfig,
    QuantizeConfig,
    RecoverConfig,
    SimplifyConfig,
    TrainConfig,
)

__all__ = [
    "DIGITS",
    "RANDOM",
    "Recipe",
    "Stated",
    "TargetName",
]

DIGITS = "digits"  # as `data.source`: the bundled ones
RANDOM = "random"  # as `load.weights`: drawn by the seed, for speed alone
# arm-cpu: graphs for the CPU of a board, which are checked here and timed there.
TargetName = Literal["cpu", "arm-cpu", "rtx", "tensorrt"]
Targets = Annotated[tuple[TargetName, ...], Field(min_length=1)]


_USUAL_SIZE = 224  # pixels, where the weights have the say


@dataclass(frozen=True)
class Stated:
    """Who stated a recipe's fields. It decides no result: recipes that differ in it are equal."""

    source: str = field(default="", compare=False)  # the recipe's file
    flags: Mapping[str, str] = field(default_factory=dict, compare=False)  # by dotted field
    note: str = field(default="", compare=False)  # on a model that is built under another name


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
    plans: dict[TableName, PlanConfig] = {}
    _stated: Stated = PrivateAttr(default_factory=Stated)  # in no dump, and so in no cache key

    @property
    def note(self) -> str:
        """What is to be told of the model's name; empty: nothing."""
        return self._stated.note

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
