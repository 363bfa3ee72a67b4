"""Where a search on a board runs and for how long, and what it found."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from edge_convnext.devices.ssh.hosts import RemoteSettings

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from edge_convnext.build.tuning.cost_model import Gpu
    from edge_convnext.core.recipe import Recipe
    from edge_convnext.devices.tuning.result import BoardSearch
    from edge_convnext.networks.plans import Plan

__all__ = ["BoardAim", "BoardTarget", "BoardTuned"]

BoardTarget = Literal["cpu", "arm-cpu", "tensorrt"]
_QUICK_MINUTES, _QUICK_ENGINE_MINUTES = 10.0, 30.0  # of building and timing


@dataclass(frozen=True)
class BoardAim:
    """Where a search runs, and for how long."""

    target: BoardTarget
    full: bool = False
    batch: int | None = None  # None: the recipe's smallest
    host: str | None = None  # None: this machine
    minutes: float | None = None  # None: those of a quick search, no limit of a full one
    power_modes: tuple[str, ...] = ()
    gpu: Gpu | None = None  # that the cost model ranks for; of `tensorrt`
    remote: RemoteSettings = field(default_factory=RemoteSettings)
    lock_clocks: bool = False

    @property
    def limit(self) -> float | None:
        """Minutes of building and timing; None: no limit."""
        quick = _QUICK_ENGINE_MINUTES if self.target == "tensorrt" else _QUICK_MINUTES
        return self.minutes or (None if self.full else quick)


@dataclass(frozen=True)
class BoardTuned:
    """The result of a search on a board, and the graph that won, as it was made here."""

    recipe: Recipe
    aim: BoardAim
    found: BoardSearch
    plan: Plan  # that won
    float_plan: Plan | None  # of the float that it had to beat in the last race
    graph: Path  # that won
    engine: tuple[Path, ...]  # files of its engine, until the block that made it ends
    failed: Mapping[str, str]  # why other graphs could not be made
    notes: tuple[str, ...]
    environment: Mapping[str, Any]  # of the desk
    batch: int
    seconds: float
