"""Temperatures, throttling, over-current events and the fan of a Jetson, from sysfs.

Sources: NVIDIA, Jetson Linux Developer Guide, "Platform Power and Performance" (thermal zones in
milli-degrees, the cooling devices named `*-throttle-alert` and `hot-surface-alert`, and the
counters `/sys/class/hwmon/hwmon*/oc*_event_cnt` of the driver `soctherm_oc`: on Orin OC1 is under
voltage, OC2 average and OC3 instantaneous over-current), as quoted in public repositories that
read them on Orin Nano and Thor; the driver's attributes in its kernel source. Unverified: the
cooling devices `*-balanced` of Xavier (they lower clocks by temperature), and what Thor's three
counters mean.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edge_convnext.devices.jetson.tools import names_in, read_int, read_text

__all__ = [
    "CoolingDevice",
    "Fan",
    "read_cooling",
    "read_fan",
    "read_over_current",
    "read_temperatures",
]

_ALERTS = ("-throttle-alert", "-balanced", "hot-surface-alert")
_LIMITS = ("cpufreq-", "devfreq-")
_FANS = ("pwmfan", "pwm-fan", "pwm_fan", "f75308")
_OFF_C = -50.0  # unused zones read -256


@dataclass(frozen=True)
class CoolingDevice:
    """A device that slows the board down when it is hot.

    An alert (`is_alert`) means that the board throttles; others limit a frequency, for any reason.
    """

    name: str
    state: int  # 0: does nothing
    max_state: int | None
    is_alert: bool


@dataclass(frozen=True)
class Fan:
    """The first fan."""

    pwm: int | None  # 0 to 255
    rpm: int | None
    control: str | None  # "nvfancontrol", "disabled", …


def read_temperatures(root: Path) -> dict[str, float]:
    """Degrees Celsius by thermal zone; zones that are off or can't be read are left out."""
    found = {}
    for zone in names_in(root / "sys/class/thermal", "thermal_zone*"):
        name, millidegrees = read_text(zone / "type"), read_int(zone / "temp")
        if name and millidegrees is not None and millidegrees / 1000 > _OFF_C:
            found[name] = millidegrees / 1000
    return found


def read_cooling(root: Path) -> tuple[CoolingDevice, ...]:
    """The cooling devices that can slow the board down; fans are not among them."""
    found = []
    for device in names_in(root / "sys/class/thermal", "cooling_device*"):
        name, state = read_text(device / "type"), read_int(device / "cur_state")
        is_alert = name.casefold().endswith(_ALERTS)
        if state is not None and (is_alert or name.startswith(_LIMITS)):
            found.append(CoolingDevice(name, state, read_int(device / "max_state"), is_alert))
    return tuple(found)


def read_over_current(root: Path) -> dict[str, int]:
    """Events since the board was started, by counter (`oc1`, `oc2`, `oc3`)."""
    found = {}
    for monitor in names_in(root / "sys/class/hwmon", "hwmon*"):
        if read_text(monitor / "name").startswith("soctherm_oc"):
            for counter in names_in(monitor, "oc*_event_cnt"):
                if (events := read_int(counter)) is not None:
                    found[counter.name.split("_")[0]] = events
    return found


def read_fan(root: Path, control: str | None) -> Fan | None:
    """The fan's duty and speed, where a driver shows them."""
    pwm = rpm = None
    for monitor in names_in(root / "sys/class/hwmon", "hwmon*"):
        name = read_text(monitor / "name")
        if name in _FANS and pwm is None:
            pwm = read_int(monitor / "pwm1")
        if rpm is None:
            rpm = read_int(monitor / "rpm") if name == "pwm_tach" else None
            rpm = read_int(monitor / "fan1_input") if rpm is None else rpm
    known = any(value is not None for value in (pwm, rpm, control))
    return Fan(pwm, rpm, control) if known else None
