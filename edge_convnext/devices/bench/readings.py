"""Mode, clocks, temperatures and power of the board, where it tells them.

`devices.jetson` reads them on a Jetson. Elsewhere, and where a board hides them, a reason stands in
the figures' place.
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

    def close(self) -> None:
        """Let go of what it reads from, a process of the board's tool included."""
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

    def differences(self) -> tuple[str, ...]:
        """What of the first `state` and the last a reader of the timings has to know."""
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

    def differences(self) -> tuple[str, ...]:
        """Nothing."""
        return ()

    def meter(self) -> Meter | None:
        """None."""
        return None

    def locked_clocks(self) -> AbstractContextManager[object]:
        """Refuse: who asks for locked clocks wants them locked.

        Raises:
            BoardError: Always.
        """
        raise BoardError(f"clocks can't be locked here: {self.reason}; leave out --lock-clocks")


def find_readings() -> Readings:
    """The readings of the machine this runs on."""
    board = find_board()
    if board is None:
        return NoReadings()
    return _Jetson(board)


class _Jetson:
    """`edge_convnext.devices.jetson` on the board this runs on."""

    reason: str | None = None

    def __init__(self, board: Board) -> None:
        self._board = board
        self._states: list[BoardState] = []

    def state(self) -> dict[str, Any] | None:
        self._states.append(read_state())
        text = json.dumps(asdict(self._states[-1]))
        plain: dict[str, Any] = json.loads(text)  # lists for tuples, as in a report
        return plain

    def differences(self) -> tuple[str, ...]:
        return compare_states(self._states[0], self._states[-1])

    def meter(self) -> Meter | None:
        meter = PowerMeter(self._board)
        return _JetsonMeter(meter) if meter.can_read else None

    def locked_clocks(self) -> AbstractContextManager[object]:
        return locked_clocks()


class _JetsonMeter:
    """Takes the idle power before each stretch of work: it drifts with temperature."""

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
