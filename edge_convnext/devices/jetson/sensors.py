"""Sources of a board's power: sysfs where it has the rails, else `tegrastats`."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Literal, Protocol

from edge_convnext.devices.catalog.rows import Family
from edge_convnext.devices.jetson.rail_names import Rails, find_rails
from edge_convnext.devices.jetson.rails import RailReader, find_rail_files
from edge_convnext.devices.jetson.tegrastats import Start, parse_tegrastats

__all__ = ["Sensor", "open_sensor"]

_TEGRASTATS_WAIT_S = 5.0  # for its first line
_TELL_AT_MOST = 20  # rails in a note


class Sensor(Protocol):
    """A source of a board's power."""

    source: Literal["hwmon", "tegrastats"]
    row: Rails

    def watts(self) -> float:
        """Power in watts now; raises an OSError or a ValueError where it can't be read."""

    def close(self) -> None:
        """Close files and end processes."""


def open_sensor(
    root: Path, family: Family | None, interval_ms: int, tegrastats: Start, notes: list[str]
) -> Sensor | None:
    """Open the best source; problems of the others are added to `notes`."""
    return _open_hwmon(root, family, notes) or _open_tegrastats(
        tegrastats, interval_ms, family, notes
    )


class _HwmonSensor:
    source: Literal["hwmon", "tegrastats"] = "hwmon"

    def __init__(self, reader: RailReader, row: Rails) -> None:
        self.row = row
        self.watts = reader.watts
        self.close = reader.close


class _TegrastatsSensor:
    """Power of the last line: a thread waits for lines, so reading does not wait."""

    source: Literal["hwmon", "tegrastats"] = "tegrastats"

    def __init__(self, lines: Iterator[str], end: Callable[[], None]) -> None:
        self.row: Rails
        self.close = end
        self._last: dict[str, int] = {}
        self._first = threading.Event()
        follow = threading.Thread(target=self._follow, args=(lines,), name="tegrastats")
        follow.daemon = True
        follow.start()

    def wait_for_rails(self, seconds: float) -> dict[str, int]:
        self._first.wait(seconds)
        return self._last

    def watts(self) -> float:
        last = self._last
        if not last:
            raise ValueError("tegrastats ended")
        return sum(last[name] for name in self.row.rails) / 1000

    def _follow(self, lines: Iterator[str]) -> None:
        with contextlib.suppress(OSError, ValueError):
            for line in lines:
                if found := parse_tegrastats(line):
                    self._last = found
                    self._first.set()
        self._last = {}
        self._first.set()


def _open_hwmon(root: Path, family: Family | None, notes: list[str]) -> Sensor | None:
    files = find_rail_files(root)
    if not files:
        notes.append("no INA3221 or INA238 in /sys/class/hwmon")
        return None
    row = find_rails(family, files)
    if row is None:
        notes.append(_unknown(files))
        return None
    try:
        return _HwmonSensor(RailReader([files[name] for name in row.rails]), row)
    except (OSError, ValueError) as error:
        notes.append(f"the rails {', '.join(row.rails)} can't be read: {error}")
        return None


def _open_tegrastats(
    start: Start, interval_ms: int, family: Family | None, notes: list[str]
) -> Sensor | None:
    started = start(interval_ms)
    if started is None:
        notes.append("tegrastats is not installed")
        return None
    sensor = _TegrastatsSensor(*started)
    names = sensor.wait_for_rails(_TEGRASTATS_WAIT_S)
    row = find_rails(family, names)
    if row is None:
        sensor.close()
        notes.append(_unknown(names) if names else "tegrastats prints no power")
        return None
    sensor.row = row
    return sensor


def _unknown(names: Collection[str]) -> str:
    listed = ", ".join(sorted(names)[:_TELL_AT_MOST])
    return f"which of the rails {listed} make the board's power is not known"
