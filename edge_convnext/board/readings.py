"""Mode, clocks, temperatures and power of the board, where it tells them.

`edge_convnext.jetson` reads them on a Jetson. Elsewhere, and where a board hides them, a reason
stands in the figures' place.
"""

from __future__ import annotations

import contextlib
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Protocol

from edge_convnext.targets.board import find_board

__all__ = ["NoReadings", "PowerFigures", "Readings", "find_readings"]


@dataclass(frozen=True)
class PowerFigures:
    """Mean power over one stretch of work."""

    mean_w: float
    idle_w: float | None
    samples: int
    scope: str  # which rails
    source: str


class Meter(Protocol):
    """Reads power from `start` to `stop`."""

    def start(self) -> None:
        """Begin to read."""
        ...

    def stop(self) -> PowerFigures | None:
        """End; None where too little was read."""
        ...


class Readings(Protocol):
    """What a board tells of itself."""

    @property
    def reason(self) -> str | None:
        """Why nothing is read; None where something is."""
        ...

    def state(self) -> dict[str, Any] | None:
        """Mode, clocks, temperatures and throttling as plain values."""
        ...

    def meter(self) -> Meter | None:
        """A power meter; None where the board has none."""
        ...

    def locked_clocks(self) -> AbstractContextManager[object]:
        """Hold all clocks at their maximum, and restore them after.

        Raises:
            EdgeConvNextError: They can't be locked.
        """
        ...


@dataclass(frozen=True)
class NoReadings:
    """A machine that tells nothing."""

    reason: str | None = "not a Jetson"

    def state(self) -> dict[str, Any] | None:
        """Nothing."""
        return None

    def meter(self) -> Meter | None:
        """None."""
        return None

    def locked_clocks(self) -> AbstractContextManager[object]:
        """Do nothing: there is nothing to lock."""
        return contextlib.nullcontext()


def find_readings() -> Readings:
    """The readings of the machine this runs on."""
    if find_board() is None:
        return NoReadings()
    if find_spec("edge_convnext.jetson") is None:
        return NoReadings("this version reads no Jetson's mode, clocks or power")
    return _Jetson()


class _Jetson:
    reason: str | None = None

    def state(self) -> dict[str, Any] | None:
        return asdict(import_module("edge_convnext.jetson.state").read_state())

    def meter(self) -> Meter | None:
        return _JetsonMeter()

    def locked_clocks(self) -> AbstractContextManager[object]:
        lock: AbstractContextManager[object] = import_module(
            "edge_convnext.jetson.clocks"
        ).locked_clocks()
        return lock


class _JetsonMeter:
    def __init__(self) -> None:
        self._meter = import_module("edge_convnext.jetson.power").PowerMeter()

    def start(self) -> None:
        self._meter.start()

    def stop(self) -> PowerFigures | None:
        reading = self._meter.stop()
        if reading is None or reading.mean_w is None or not reading.samples:
            return None
        samples = reading.samples if isinstance(reading.samples, int) else len(reading.samples)
        return PowerFigures(reading.mean_w, reading.idle_w, samples, reading.scope, reading.source)
