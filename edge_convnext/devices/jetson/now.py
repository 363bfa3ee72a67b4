"""State and power of a board now, for `edge-convnext doctor`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from edge_convnext.devices.catalog.this_board import Board
from edge_convnext.devices.jetson.power import PowerMeter
from edge_convnext.devices.jetson.state import BoardState, read_state
from edge_convnext.devices.jetson.tools import run_tool

__all__ = ["BoardNow", "read_now"]

_TOOL_TIMEOUT_S = 1.0


@dataclass(frozen=True)
class BoardNow:
    """The state and the power of a board at one moment."""

    state: BoardState
    power_w: float | None
    power_scope: str | None
    notes: tuple[str, ...]  # why there is no power

    @property
    def lines(self) -> tuple[tuple[str, str], ...]:
        """Lines for a terminal: clocks, temperature, power."""
        return (
            ("clocks", self._clocks_text()),
            ("temperature", self._temperature_text()),
            ("power", self._power_text()),
        )

    def _clocks_text(self) -> str:
        locked = self.state.clocks_locked
        held = {True: "locked at the maximum", False: "not locked", None: "lock unknown"}[locked]
        shown = []
        for clock in self.state.clocks:
            if clock.name in ("cpu0", "policy0", "emc") or clock.name.startswith("gpu"):
                name = "cpu" if clock.name == "policy0" else clock.name
                now = "?" if clock.current_hz is None else f"{clock.current_hz / 1e6:.0f}"
                shown.append(f"{name} {now} of {clock.max_hz / 1e6:.0f} MHz")
        return ": ".join((held, ", ".join(shown))) if shown else "unknown"

    def _temperature_text(self) -> str:
        hottest = self.state.hottest
        if hottest is None:
            return "unknown"
        throttled = {True: ", throttled", False: ", not throttled", None: ""}[self.state.throttled]
        return f"{hottest[1]:.1f} °C ({hottest[0]}){throttled}"

    def _power_text(self) -> str:
        if self.power_w is None:
            return f"unknown: {'; '.join(self.notes)}"
        return f"{self.power_w:.2f} W now ({self.power_scope})"


def read_now(board: Board, root: Path = Path("/")) -> BoardNow:
    """Read the board's state; takes some milliseconds where `jetson_clocks` needs root.

    Args:
        board: Board whose rails are read.
        root: Root of a file system, the running one's or a recorded one's.
    """
    state = read_state(root, partial(run_tool, timeout_s=_TOOL_TIMEOUT_S))
    # tegrastats answers only after its interval, which is too long here
    with PowerMeter(board, root, tegrastats=lambda _: None) as meter:
        power_w, reading = meter.read_once(), meter.stop()
    notes = tuple(note for note in reading.notes if "tegrastats" not in note)
    return BoardNow(state, power_w, reading.power_scope, notes)
