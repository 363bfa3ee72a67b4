"""Mode, clocks, temperatures and power of the board, if it reports them.

`devices.jetson` reads them on a Jetson. Elsewhere, and if a board hides them, a reason replaces the
figures.
"""

from __future__ import annotations

import json
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from edge_convnext.core.errors import BoardError
from edge_convnext.devices.catalog.this_board import Board, find_board
from edge_convnext.devices.jetson.clocks import locked_clocks
from edge_convnext.devices.jetson.power import PowerMeter
from edge_convnext.devices.jetson.state import BoardState, compare_states, read_state

__all__ = ["NoReadings", "PowerFigures", "Readings", "find_readings"]

_IDLE_S = 2.0


@dataclass(frozen=True)
class PowerFigures:
    """Mean power over one stretch of work."""

    mean_w: float
    idle_w: float | None
    samples: int
    scope: str  # the rails that it covers
    source: str


class Meter(Protocol):
    """Reads power from `start` to `stop`."""

    def start(self) -> None:
        """Start to read."""
        ...

    def stop(self) -> PowerFigures | None:
        """Stop and return the figures; None if there are too few readings."""
        ...

    def close(self) -> None:
        """Close its sources, including a process of the board's tool."""
        ...


class Readings(Protocol):
    """The readings of a board."""

    @property
    def reason(self) -> str | None:
        """Why nothing is read; None if something is."""
        ...

    def state(self) -> dict[str, Any] | None:
        """Mode, clocks, temperatures and throttling as plain values."""
        ...

    def differences(self) -> tuple[str, ...]:
        """Differences between the first `state` and the last that matter for the timings."""
        ...

    def meter(self) -> Meter | None:
        """Return a power meter; None if the board has none."""
        ...

    def locked_clocks(self) -> AbstractContextManager[object]:
        """Hold all clocks at their maximum, and restore them afterwards.

        Raises:
            EdgeConvNextError: The clocks can't be locked.
        """
        ...


@dataclass(frozen=True)
class NoReadings:
    """The readings of a machine that reports nothing."""

    reason: str | None = "not a Jetson"

    def state(self) -> dict[str, Any] | None:
        """Return None: nothing is read."""
        return None

    def differences(self) -> tuple[str, ...]:
        """Return no differences."""
        return ()

    def meter(self) -> Meter | None:
        """Return None: there is no power meter."""
        return None

    def locked_clocks(self) -> AbstractContextManager[object]:
        """Refuse, because the user requested locked clocks and nothing here can lock them.

        Raises:
            BoardError: Always.
        """
        raise BoardError(f"clocks can't be locked here: {self.reason}; leave out --lock-clocks")


def find_readings() -> Readings:
    """Find the readings of this machine."""
    board = find_board()
    if board is None:
        return NoReadings()
    return _Jetson(board)


class _Jetson:
    """The readings of a Jetson, by `edge_convnext.devices.jetson`."""

    reason: str | None = None

    def __init__(self, board: Board) -> None:
        self._board = board
        self._states: list[BoardState] = []

    def state(self) -> dict[str, Any] | None:
        self._states.append(read_state())
        text = json.dumps(asdict(self._states[-1]))
        plain: dict[str, Any] = json.loads(text)  # tuples become lists, as in a report
        return plain

    def differences(self) -> tuple[str, ...]:
        return compare_states(self._states[0], self._states[-1])

    def meter(self) -> Meter | None:
        meter = PowerMeter(self._board)
        return _JetsonMeter(meter) if meter.can_read else None

    def locked_clocks(self) -> AbstractContextManager[object]:
        return locked_clocks()


class _JetsonMeter:
    """A meter that reads idle power before each stretch of work: it drifts with temperature."""

    def __init__(self, meter: PowerMeter) -> None:
        self._meter = meter

    def start(self) -> None:
        self._meter.measure_idle(_IDLE_S)
        self._meter.start()

    def stop(self) -> PowerFigures | None:
        reading = self._meter.stop()
        if reading.mean_w is None or reading.source is None:
            return None
        scope = f"{reading.power_scope}{' (unverified)' if reading.unverified else ''}"
        return PowerFigures(reading.mean_w, reading.idle_w, reading.samples, scope, reading.source)

    def close(self) -> None:
        self._meter.close()
