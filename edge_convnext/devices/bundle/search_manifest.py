"""`manifest.json` of a search's bundle: which graphs a board races, in which runtimes, and how.

It has no report and no recipe: nothing of a search ships before a board has chosen. Every INT8
graph is calibrated in full, so that the graph that wins is the one that ships, byte by byte.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, NonNegativeInt, model_validator

from edge_convnext.core.bounds import Batch, Milliseconds, TableName, Threads, Warmup
from edge_convnext.core.section import BudgetPp
from edge_convnext.devices.bundle.manifest import Contents, Part

__all__ = ["SEARCH_SCHEMA", "Entrant", "SearchEntry", "SearchManifest"]

SEARCH_SCHEMA = "edge-convnext/search/1"


class Entrant(Part):
    """One graph in one runtime."""

    graph: str
    """A graph's name, of `graphs`."""
    runtime: TableName
    """That runs the graph, or builds an engine of it."""
    settings: dict[str, str] = Field(default_factory=dict)
    """Of the runtime, by its own names."""
    usual: bool = False
    """Whether it stays to the end of the race: others have to beat it."""


class SearchEntry(Part):
    """How the graphs are raced."""

    target: Literal["cpu", "tensorrt"]
    entrants: tuple[Entrant, ...] = Field(min_length=1)
    """In the order in which they are tried: if the time runs out, the last ones are left out."""
    batch: Batch
    """Images per timed inference."""
    threads: Threads | None = None
    """Of a CPU runtime; None: all."""
    evaluate_batch: Batch = 16
    min_round_ms: Milliseconds = 50
    warmup: Warmup = 3
    seed: NonNegativeInt = 0
    max_drop_pp: BudgetPp = Field(1.0, ge=0.0, le=100.0)
    """Accuracy budget: the largest top-1 drop of a winner, in percentage points."""


class SearchManifest(Contents):
    """The bundle of a search."""

    schema_id: Literal["edge-convnext/search/1"] = Field("edge-convnext/search/1", alias="schema")
    search: SearchEntry

    @model_validator(mode="after")
    def _check_entrants(self) -> SearchManifest:
        names = {graph.name for graph in self.graphs}
        if strange := [one.graph for one in self.search.entrants if one.graph not in names]:
            raise ValueError(f"{strange[0]!r} is entered and is no graph of the bundle")
        return self
