"""One run of one stage: what it made, and how it went."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, Literal, TypeVar

from edge_convnext.core.artifacts import Parity

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edge_convnext.core.cache import Entry

__all__ = ["Images", "Step", "StepStatus", "as_step"]

T = TypeVar("T")
U = TypeVar("U")
StepStatus = Literal["done", "cached", "skipped"]


@dataclass(frozen=True)
class Step(Generic[T]):
    """What one run of one stage made, and how it went."""

    value: T
    status: StepStatus
    seconds: float
    digest: str  # SHA-256 of the artefact
    reason: str | None = None
    parity: Parity | None = None

    def of(self, value: U) -> Step[U]:
        """The same run, with a part of its value."""
        return Step(value, self.status, self.seconds, self.digest, self.reason, self.parity)


@dataclass(frozen=True)
class Images:
    """Images a stage may need: decoded only when it really runs.

    `load` returns float32[n, C, S, S] batches and may be called more than once.
    """

    digest: str
    count: int
    load: Callable[[], Sequence[NDArray[np.float32]]]


def as_step(value: T, entry: Entry, name: str) -> Step[T]:
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
    )
