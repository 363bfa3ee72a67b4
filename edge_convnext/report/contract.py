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
from typing import Any, Literal

from pydantic import (
    AwareDatetime,
    Field,
    JsonValue,
    PositiveInt,
    ValidationError,
    model_validator,
)

from edge_convnext.core.documents import read_document
from edge_convnext.core.errors import ArtifactError, MissingDependencyError, shorten
from edge_convnext.core.files import AnyPath, write_text_atomic
from edge_convnext.report.described import (
    BoardReport,
    DataReport,
    EnvironmentReport,
    FileReport,
    ModelReport,
    SettingReport,
)
from edge_convnext.report.measured import (
    AccuracyReport,
    BenchmarkReport,
    Int8ProductsReport,
    RefusedCandidate,
)
from edge_convnext.report.notebook import candidate_rows, notebook_html
from edge_convnext.report.part import Part
from edge_convnext.report.stages import (
    LATER,
    RAN,
    STAGES,
    FallbackReport,
    RankingReport,
    RecoveryReport,
    StageReport,
)
from edge_convnext.report.throughput import ThroughputReport

__all__ = [
    "HALF_SEARCHED",
    "BoardRun",
    "Confidence",
    "Judgement",
    "Report",
    "VerdictReport",
    "schema_json",
]

SCHEMA = "edge-convnext/report/3"
HALF_SEARCHED = "half of the evaluation images"  # a value of `searched_on`
_OLDER = ("edge-convnext/report/2",)  # its fields mean the same; those that came since are null

Confidence = Literal["shown", "likely"]  # the interval lies within the limit; the estimate does
Judgement = Literal[Confidence, "not"]


class VerdictReport(Part):
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


class BoardRun(Part):
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


class Report(Part):
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
    throughput: ThroughputReport | None = None
    """Null unless it was asked for (`benchmark.throughput`)."""
    refused: tuple[RefusedCandidate, ...] = ()
    """Candidates that are wrong where they would run; empty in a report of an earlier version."""
    int8_products: tuple[Int8ProductsReport, ...] = ()
    """Of each INT8 candidate that may ship; empty in a report of an earlier version."""
    recoveries: tuple[RecoveryReport, ...] = ()
    """Of each INT8 graph; empty when the recover stage did not run."""
    fallbacks: tuple[FallbackReport, ...] = ()
    """Where an INT8 graph missed the budget; empty where all kept it."""
    sensitivity: tuple[RankingReport, ...] = ()
    """Of each INT8 graph; empty until `edge-convnext sensitivity` was run on this build."""
    verdict: VerdictReport
    folder: str
    """Where the build wrote, as the user gave it."""
    label: str | None = None
    """What the user calls this build, or the commit where git told one; null in older reports."""
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
        if names != tuple(name for name in STAGES if name in names or name not in LATER):
            raise ValueError(f"stages are, in this order: {', '.join(STAGES)}")
        for name, result in (("evaluate", self.accuracy), ("benchmark", self.benchmark)):
            if (result is not None) != (self.stage(name).status in RAN):
                raise ValueError(f"the {name} stage's status contradicts its results")
        return self

    def stage(self, name: str) -> StageReport:
        """The entry of one stage."""
        return next(stage for stage in self.stages if stage.name == name)

    @property
    def refused_names(self) -> frozenset[str]:
        """Artifacts that may not ship: they are wrong where they would run."""
        return frozenset(one.artifact for one in self.refused)

    @property
    def repeatable_recipe(self) -> dict[str, JsonValue]:
        """The recipe that builds the same again: with `auto` where that was stated."""
        return self.stated_recipe or self.recipe

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

    def to_dataframe(self) -> Any:
        """One row for each candidate and batch size, as a `pandas.DataFrame`.

        Columns are named as the fields of `report.json`; what was not measured is missing.

        Raises:
            MissingDependencyError: pandas is not installed.
        """
        try:
            from pandas import DataFrame
        except ImportError as error:
            raise MissingDependencyError(
                "Report.to_dataframe needs pandas: pip install pandas"
            ) from error
        return DataFrame(candidate_rows(self.accuracy, self.benchmark, self.refused))

    def _repr_html_(self) -> str:
        """The report at a glance, as Jupyter shows it."""
        verdict = self.verdict
        what = "undecided" if verdict.ship == "undecided" else f"ship {verdict.ship}"
        return notebook_html(
            self.model.name,
            ", ".join(filter(None, (what, verdict.confidence))),
            (*([self.banner] if self.banner else []), *verdict.reasons),
            candidate_rows(self.accuracy, self.benchmark, self.refused),
        )

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
            path, SCHEMA, "`edge-convnext build` writes a report.json", "build again", _OLDER,
            "a report",
        )  # fmt: skip
        try:
            return cls.model_validate({**fields, "schema": SCHEMA})
        except ValidationError as error:
            first = error.errors()[0]
            where = shorten(".".join(str(part) for part in first["loc"])) or "report"
            raise ArtifactError(
                f"{path}: not a valid report ({where}: {first['msg']}); build again"
            ) from error


def schema_json() -> str:
    """The JSON Schema of `report.json`, as kept in `report.schema.json`."""
    schema: dict[str, Any] = Report.model_json_schema(mode="serialization")
    return json.dumps({"$id": SCHEMA, **schema}, indent=2) + "\n"
