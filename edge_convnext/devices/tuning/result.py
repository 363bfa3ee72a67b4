"""`search.json`: what a search on a board found; the desk makes a recipe of it."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, JsonValue, NonNegativeFloat, PositiveFloat, PositiveInt, ValidationError

from edge_convnext.core.documents import read_document
from edge_convnext.core.errors import ArtifactError
from edge_convnext.report.described import EnergyReport, EnvironmentReport, FileReport
from edge_convnext.report.part import Interval, Part, Percent, Sha256

__all__ = ["RESULT", "BoardSearch", "BoardTrial", "LastRace", "LastRow", "read_result"]

RESULT = "search.json"
_SCHEMA = "edge-convnext/board-search/1"


class BoardTrial(Part):
    """One graph in one runtime on the board."""

    name: str
    """Such as `nhwc.inner.int8.onnx onnxruntime f32`."""
    graph: str
    """The graph's name in the search."""
    sha256: Sha256
    """Of the graph, which is calibrated in full."""
    runtime: str
    hint: str | None = None
    """Type of the floats, where a runtime lets it be chosen."""
    settings: dict[str, str] = Field(default_factory=dict)
    precision: str
    latency_ms_p50: PositiveFloat | None = None
    """Of the last rung that it ran in; None where it was not timed."""
    ratio: PositiveFloat | None = None
    """Latency over that of the leader of that rung."""
    ratio_ci95: Interval | None = None
    rounds: PositiveInt | None = None
    agreement_pct: Percent | None = None
    """With the float model; of finalists, where there are labelled images."""
    top1_drop_pp: float | None = None
    won: bool = False
    reason: str
    """Why it won, lost or was left out."""


class LastRow(Part):
    """One candidate in the last race, at one power mode."""

    name: str
    precision: str
    batch: PositiveInt
    latency_ms_p50: PositiveFloat
    latency_ms_p90: PositiveFloat | None = None
    gpu_ms_p50: PositiveFloat | None = None
    throughput_img_s: PositiveFloat
    """Of inferences one after the other."""
    vs_best_float: PositiveFloat | None = None
    """How many times as fast as the float that it beats least surely; None of floats."""
    vs_best_float_ci95: Interval | None = None
    energy: EnergyReport | None = None
    """None where the board has no power meter."""


class LastRace(Part):
    """The last race at one power mode: the finalists, loaded afresh several times."""

    power_mode: str | None
    """None where the board has none."""
    rows: tuple[LastRow, ...] = ()
    reason: str | None = None
    """Why there are no rows."""
    notes: tuple[str, ...] = ()
    """What a reader of these timings needs to know: throttling, clocks."""


class BoardSearch(Part):
    """The whole search on one board."""

    schema_id: Literal["edge-convnext/board-search/1"] = Field(
        "edge-convnext/board-search/1", alias="schema"
    )
    created: datetime
    bundle_sha256: Sha256
    """Of the manifest of the search's bundle."""
    board: str
    environment: EnvironmentReport
    builder: str | None = None
    """The TensorRT that built the engines."""
    trials: tuple[BoardTrial, ...]
    winner: str
    """Name of the trial that won."""
    races: tuple[LastRace, ...]
    """The first one at the power mode in which the board was found."""
    stopped: str
    """Why the race of the INT8 graphs ended."""
    seconds: NonNegativeFloat
    """Of building and timing, those of earlier runs of the same search included."""
    other_load_pct: NonNegativeFloat = 0.0
    state: dict[str, JsonValue] | None = None
    """Mode, clocks and temperatures before the search, where the board reports them."""
    notes: tuple[str, ...] = ()
    outputs: tuple[FileReport, ...] = ()
    """Files beside this one: the engine that won."""

    @property
    def won(self) -> BoardTrial:
        """The trial that won."""
        return next(one for one in self.trials if one.name == self.winner)

    def to_json(self) -> dict[str, Any]:
        """Plain values, as in the file."""
        return self.model_dump(mode="json", by_alias=True)


def read_result(path: Path) -> BoardSearch:
    """Read what a board wrote.

    Raises:
        ArtifactError: It is missing, or not what a search on a board writes.
    """
    fields = read_document(path, _SCHEMA, "search again", "search again")
    try:
        found = BoardSearch.model_validate(fields)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ArtifactError(f"{path}: {where}: {first['msg']}; search again") from error
    if found.winner not in {one.name for one in found.trials}:
        raise ArtifactError(f"{path}: its winner is none of its trials; search again")
    return found
