"""A stage, one run of it, and what a run leaves: what it made and how it went."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Generic, Literal, TypeVar

from edge_convnext.core.artifacts import Parity

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edge_convnext.core.cache_entries import Entry

__all__ = ["Images", "Skipped", "Stage", "Step", "StepStatus", "as_step"]

T = TypeVar("T")
U = TypeVar("U")
StepStatus = Literal["done", "cached", "skipped"]


@dataclass(frozen=True)
class Stage:
    """What all runs of one stage have in common."""

    name: str  # begins its cache keys
    revision: int  # raise it when equal inputs shall give another output
    packages: tuple[str, ...] = ()  # their versions are part of the key, as this package's is
    max_error: float | None = None  # of the logits, over the largest one; None: only reported
    entry: str | None = None  # its name in `report.json`, where that is another one
    folder: str | None = None  # of its cache entries, where that has another name

    @property
    def key(self) -> str:
        """Name and revision, such as `equalize/3`."""
        return f"{self.name}/{self.revision}"

    @property
    def reported_as(self) -> str:
        """Its name in `report.json`."""
        return self.entry or self.name

    def on(self, *packages: str) -> Stage:
        """The same stage where it depends on further packages."""
        return replace(self, packages=(*self.packages, *packages))


@dataclass(frozen=True)
class Step(Generic[T]):
    """What one run of one stage made, and how it went."""

    value: T
    status: StepStatus  # skipped: it ran, and the graph goes on as it was
    seconds: float
    digest: str  # SHA-256 of the artefact
    reason: str | None = None
    parity: Parity | None = None
    stage: Stage | None = None  # None for what no stage made

    def of(self, value: U) -> Step[U]:
        """The same run, with a part of its value."""
        return Step(
            value, self.status, self.seconds, self.digest, self.reason, self.parity, self.stage
        )


@dataclass(frozen=True)
class Skipped:
    """A stage that did not run, and why."""

    stage: Stage
    reason: str
    status: Literal["skipped", "not_run", "failed"] = "not_run"  # skipped: it was switched off


@dataclass(frozen=True)
class Images:
    """Images a stage may need: decoded only when it really runs.

    `load` returns float32[n, C, S, S] batches and may be called more than once.
    """

    digest: str
    count: int
    load: Callable[[], Sequence[NDArray[np.float32]]]


def as_step(value: T, entry: Entry, name: str, stage: Stage | None = None) -> Step[T]:
    """Turn a cache entry into a Step. `name` is the artefact's file name."""
    parity = entry.result.get("parity")
    reason = entry.result.get("reason") or entry.rebuilt_because
    return Step(
        value,
        "cached" if entry.cached else "done",
        0.0 if entry.cached else entry.seconds,
        entry.digests[name],
        reason,
        Parity(**parity) if parity else None,
        stage,
    )
