"""Find a board's power monitors in sysfs and read them fast.

Sources: Linux kernel documentation, `hwmon/ina3221` (`in[123]_label`, `in[123]_input` in mV,
`curr[123]_input` in mA; channel 7 is a sum of shunt voltages, no rail) and `hwmon/ina238`
(`power1_input` in uW; the mainline driver has no labels). On Thor the INA238 at 2-0044 is VIN:
several public programs read it so, and NVIDIA's forum confirms it, but not its label.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from edge_convnext.devices.jetson.tools import names_in, read_text

__all__ = ["RailFile", "RailReader", "find_rail_files"]

_INA3221 = ("ina3221", "ina3221x")
_INA238 = ("ina237", "ina238")
_ENOUGH = 32  # bytes; a number and its line end


@dataclass(frozen=True)
class RailFile:
    """Files of a rail's power: one in uW, or two in mV and mA."""

    name: str
    power_uw: Path | None
    voltage_mv: Path | None = None
    current_ma: Path | None = None


def find_rail_files(root: Path) -> dict[str, RailFile]:
    """Rails by their label; monitors without labels or files are left out."""
    found: dict[str, RailFile] = {}
    for monitor in names_in(root / "sys/class/hwmon", "hwmon*"):
        driver = read_text(monitor / "name")
        if driver in _INA238:
            label = read_text(monitor / "power1_label") or read_text(monitor / "in1_label")
            name = label or "VIN"
            found.setdefault(name, RailFile(name, monitor / "power1_input"))
        elif driver in _INA3221:
            for channel in (1, 2, 3):
                name = read_text(monitor / f"in{channel}_label")
                if name and name != "NC":  # a channel that is not connected
                    voltage = monitor / f"in{channel}_input"
                    current = monitor / f"curr{channel}_input"
                    found.setdefault(name, RailFile(name, None, voltage, current))
    return found


class RailReader:
    """Open files of some rails; reading them costs a system call each."""

    def __init__(self, files: list[RailFile]) -> None:
        """Open every file; an OSError of any of them closes the others."""
        self._descriptors: list[int] = []
        self._rails: list[tuple[int | None, int | None, int | None]] = []
        try:
            for rail in files:
                paths = (rail.power_uw, rail.voltage_mv, rail.current_ma)
                opened = tuple(self._open(path) for path in paths)
                self._rails.append((opened[0], opened[1], opened[2]))
            self.watts()  # some files can be opened and not read
        except (OSError, ValueError):
            self.close()
            raise

    def _open(self, path: Path | None) -> int | None:
        if path is None:
            return None
        self._descriptors.append(os.open(path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0)))
        return self._descriptors[-1]

    def watts(self) -> float:
        """Sum of the rails now, in watts.

        Raises:
            OSError, ValueError: A rail did not answer, or not with a number.
        """
        total_uw = 0
        for power, voltage, current in self._rails:
            if power is not None:
                total_uw += _number(power)
            elif voltage is not None and current is not None:
                total_uw += _number(voltage) * _number(current)  # mV x mA
        return total_uw / 1e6

    def close(self) -> None:
        """Close the files."""
        for descriptor in self._descriptors:
            os.close(descriptor)
        self._descriptors.clear()
        self._rails.clear()


def _number(descriptor: int) -> int:
    os.lseek(descriptor, 0, os.SEEK_SET)
    return int(os.read(descriptor, _ENOUGH))
