"""State that decides a Jetson's speed: mode, clocks, temperature, throttling.

It is read before and after a measurement; `compare_states` names the differences.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edge_convnext.devices.catalog.installed import parse_power_mode, stored_power_mode
from edge_convnext.devices.jetson.clock_readings import Clock, read_clocks
from edge_convnext.devices.jetson.thermal import (
    CoolingDevice,
    Fan,
    read_cooling,
    read_fan,
    read_over_current,
    read_temperatures,
)
from edge_convnext.devices.jetson.tools import Run, run_tool

__all__ = ["BoardState", "compare_states", "read_state"]


@dataclass(frozen=True)
class BoardState:
    """One reading of the board; `dataclasses.asdict` of it is JSON."""

    power_mode: str | None  # "MAXN_SUPER"
    clocks: tuple[Clock, ...]
    clocks_source: Literal["jetson_clocks", "sysfs"] | None
    clocks_locked: bool | None  # None: not known
    fan: Fan | None
    temperatures_c: dict[str, float]  # by thermal zone
    throttling: tuple[str, ...]  # cooling devices that slow the board down now
    throttled: bool | None  # None: the board has no such devices, or does not show them
    cooling: tuple[CoolingDevice, ...]
    over_current_events: dict[str, int]  # by counter, since the board was started
    notes: tuple[str, ...]

    @property
    def hottest(self) -> tuple[str, float] | None:
        """The hottest zone and its temperature in degrees Celsius."""
        return max(self.temperatures_c.items(), key=lambda zone: zone[1], default=None)


def read_state(root: Path = Path("/"), run: Run = run_tool) -> BoardState:
    """Read the board's state; never raises, and needs root only for a small part.

    Args:
        root: Root of a file system, the running one's or a recorded one's.
        run: Function that runs `nvpmodel` and `jetson_clocks`.
    """
    mode = run(["nvpmodel", "-q"])
    stated = parse_power_mode(mode.text) if mode.ok else None
    read = read_clocks(root, run)
    cooling = read_cooling(root)
    alerts = [device for device in cooling if device.is_alert]
    notes = list(read.notes)
    if limits := [device.name for device in cooling if device.state and not device.is_alert]:
        notes.append(f"frequencies limited by {', '.join(limits)}")
    return BoardState(
        power_mode=stated or stored_power_mode(root),
        clocks=read.clocks,
        clocks_source=read.source,
        clocks_locked=read.locked,
        fan=read_fan(root, read.fan_control),
        temperatures_c=read_temperatures(root),
        throttling=tuple(device.name for device in alerts if device.state),
        throttled=any(device.state for device in alerts) if alerts else None,
        cooling=cooling,
        over_current_events=read_over_current(root),
        notes=tuple(notes),
    )


def compare_states(before: BoardState, after: BoardState) -> tuple[str, ...]:
    """Lines that a reader of timings between the two readings needs."""
    found = []
    if before.power_mode != after.power_mode:
        found.append(f"the power mode changed from {before.power_mode} to {after.power_mode}")
    if False in (before.clocks_locked, after.clocks_locked):
        found.append("clocks were not locked: timings vary with the governor's choices")
    elif None in (before.clocks_locked, after.clocks_locked):
        found.append("whether the clocks were locked is not known")
    for when, state in (("before", before), ("after", after)):
        if state.throttling:
            found.append(f"throttled {when} the run: {', '.join(state.throttling)}")
    for name, events in after.over_current_events.items():
        if (new := events - before.over_current_events.get(name, events)) > 0:
            found.append(f"{new} over-current or under-voltage events ({name}) during the run")
    return tuple(found)
