"""The clocks of CPU, GPU and memory, from `jetson_clocks --show` or from sysfs.

Sources: the script `jetson_clocks` itself (its `--show` lines, and "Run this script as a root
user" on every release that was read), and its recorded outputs of Orin Nano, AGX Orin, Xavier and
Thor in public repositories. Units: the script prints kHz for CPUs, Hz for the rest, as sysfs does.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edge_convnext.devices.jetson.tools import Run, names_in, read_int, read_text

__all__ = ["Clock", "ClockReadings", "parse_show", "read_clocks", "read_sysfs_clocks"]

_CPU = re.compile(r"^(cpu\d+): .*?MinFreq=(\d+) MaxFreq=(\d+) CurrentFreq=(\d+)", re.MULTILINE)
# "GPU MinFreq=…", on Thor "gpu-gpc-0 MinFreq=…" and "gpu-nvd-0 MinFreq=…"
_OTHER = re.compile(
    r"^(GPU|EMC|gpu-[\w-]+) MinFreq=(\d+) MaxFreq=(\d+) CurrentFreq=(\d+)"
    r"(?: FreqOverride=(\d))?",
    re.MULTILINE | re.IGNORECASE,
)
_GPU_NAME = re.compile(r"gpu|ga10b|gv11b|gp10b")
_MEASURED_WITHIN = 0.02  # the CPU's current clock is a measurement, not the clock that was set

_EMC = "sys/kernel/debug/bpmp/debug/clk/emc"  # root only


@dataclass(frozen=True)
class Clock:
    """One clock domain, in Hz."""

    name: str  # "cpu0", "policy0", "gpu", "gpu-gpc-0", "emc"
    min_hz: int | None
    max_hz: int
    current_hz: int | None
    override: bool | None = None  # of the memory clock: True means that it is held, for any `min`
    locked: bool | None = None  # None: not known


@dataclass(frozen=True)
class ClockReadings:
    """All domains that were read."""

    clocks: tuple[Clock, ...]
    source: Literal["jetson_clocks", "sysfs"] | None
    fan_control: str | None  # "nvfancontrol", "disabled", …
    notes: tuple[str, ...]

    @property
    def locked(self) -> bool | None:
        """Whether every domain is held at its maximum; None where that is not known."""
        known = [clock.locked for clock in self.clocks if clock.locked is not None]
        kinds = {_kind(clock.name) for clock in self.clocks if clock.locked is not None}
        if False in known:
            return False
        return True if kinds >= {"cpu", "gpu"} else None


def read_clocks(root: Path, run: Run) -> ClockReadings:
    """Read the clocks from `jetson_clocks --show`, or from sysfs where it refuses."""
    answer = run(["jetson_clocks", "--show"])
    shown = parse_show(answer.text) if answer.ok else None
    if shown and shown.clocks:
        return shown
    if answer.code is None:
        why = f"jetson_clocks did not run ({answer.text.strip() or 'nothing said'})"
    elif "root" in answer.text:
        why = "jetson_clocks --show needs root here"
    else:
        why = "jetson_clocks --show said nothing that is understood"
    return read_sysfs_clocks(root, why)


def parse_show(text: str) -> ClockReadings:
    """Read the output of `jetson_clocks --show`.

    Lines that are not understood are ignored. CPUs that are off do not count for the lock.
    """
    clocks = []
    for match in _CPU.finditer(text):
        if "Online=0" in match[0]:
            continue
        low, high, now = (int(number) * 1000 for number in match.groups()[1:])
        clocks.append(_clock(match[1], low, high, now))
    for match in _OTHER.finditer(text):
        low, high, now = (int(number) for number in match.groups()[1:4])
        override = None if match[5] is None else match[5] == "1"
        clocks.append(_clock(match[1].lower(), low, high, now, override))
    fan = re.search(r"^FAN Dynamic Speed Control=(\S+)", text, re.MULTILINE | re.IGNORECASE)
    return ClockReadings(tuple(clocks), "jetson_clocks", fan[1] if fan else None, ())


def read_sysfs_clocks(root: Path, why: str) -> ClockReadings:
    """Read CPU policies from cpufreq, the GPU from devfreq, and memory where debugfs is readable.

    Args:
        root: Root of the file system.
        why: Reason why `jetson_clocks --show` was not used; it becomes a note.
    """
    clocks = []
    for policy in names_in(root / "sys/devices/system/cpu/cpufreq", "policy*"):
        high = read_int(policy / "scaling_max_freq")
        low, now = read_int(policy / "scaling_min_freq"), read_int(policy / "scaling_cur_freq")
        if high:
            clocks.append(_clock(policy.name, _hz(low), high * 1000, _hz(now)))
    for device in names_in(root / "sys/class/devfreq", "*"):
        name = _devfreq_name(device)
        high = read_int(device / "max_freq")
        if name and high:
            low, now = read_int(device / "min_freq"), read_int(device / "cur_freq")
            clocks.append(_clock(name, low, high, now))
    emc = root / _EMC
    high = read_int(emc / "max_rate")
    if high:
        low, now = read_int(emc / "min_rate"), read_int(emc / "rate")
        override = read_int(emc / "mrq_rate_locked")
        held = None if override is None else override == 1
        clocks.append(_clock("emc", low, high, now, held))
    elif clocks:
        why += "; the memory clock is not readable without root"
    notes = (f"{why}: clocks from sysfs" if clocks else f"{why}, and sysfs has no clocks",)
    return ClockReadings(tuple(clocks), "sysfs" if clocks else None, None, notes)


def _clock(
    name: str, low: int | None, high: int, now: int | None, override: bool | None = None
) -> Clock:
    return Clock(name, low, high, now, override, _is_locked(name, low, high, now, override))


def _is_locked(
    name: str, low: int | None, high: int, now: int | None, override: bool | None
) -> bool | None:
    """Whether a clock is held at its maximum: min, max and current are equal, or an override."""
    if now is None:
        return None
    at_maximum = abs(now - high) <= high * (_MEASURED_WITHIN if _kind(name) == "cpu" else 0)
    if override is not None:
        return at_maximum and override
    if name == "emc" and at_maximum and low != high:
        return None  # not known in releases that print no override
    return None if low is None else at_maximum and low == high


def _kind(name: str) -> str:
    return "cpu" if name.startswith(("cpu", "policy")) else name[:3]


def _devfreq_name(device: Path) -> str | None:
    """Name of a device in `jetson_clocks`; None for one that is neither GPU nor memory."""
    # "17000000.gpu", "17000000.ga10b", "57000000.gpu"; on Thor "gpu-gpc-0" and "bwmgr"
    if device.name.startswith("gpu-"):
        return device.name
    if device.name == "bwmgr":
        return "emc"
    stated = f"{device.name} {read_text(device / 'name')}"
    return "gpu" if _GPU_NAME.search(stated) else None


def _hz(khz: int | None) -> int | None:
    return None if khz is None else khz * 1000
