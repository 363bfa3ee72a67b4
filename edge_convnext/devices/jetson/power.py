"""Power and energy of a Jetson while something runs on it.

    meter = PowerMeter(find_board())
    meter.measure_idle(2.0)
    meter.start()
    ...
    reading = meter.stop()

Rails are those of `catalog/rails.yaml`. An input rail is used alone, because it includes the
others. Energy is integrated by the trapezoid rule over time stamps. The reading
thread makes one system call per file and sample. Failures become notes, never exceptions.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Literal

from edge_convnext.devices.catalog.this_board import Board
from edge_convnext.devices.jetson.sensors import Sensor, open_sensor
from edge_convnext.devices.jetson.tegrastats import Start, start_tegrastats

__all__ = ["PowerMeter", "PowerReading", "energy_mj_per_image", "integrate_energy"]


@dataclass(frozen=True)
class PowerReading:
    """Power over one run; `dataclasses.asdict` of it is JSON. Watts are None where unread."""

    source: Literal["hwmon", "tegrastats"] | None
    power_scope: str | None  # the rails, and what they include
    rails: tuple[str, ...]
    unverified: bool  # no document confirms that these rails are the board's power
    idle_w: float | None  # before the work; None: not measured
    mean_w: float | None  # energy over duration
    peak_w: float | None  # highest sample
    energy_j: float | None
    duration_s: float  # from the first sample to the last
    samples: int
    interval_ms: int  # that was asked for
    notes: tuple[str, ...]


def integrate_energy(samples: Sequence[tuple[float, float]]) -> float:
    """Energy in joules of samples (seconds, watts), by the trapezoid rule."""
    return sum((b[0] - a[0]) * (a[1] + b[1]) / 2 for a, b in pairwise(samples))


def energy_mj_per_image(reading: PowerReading, images: int) -> float | None:
    """Energy per image in millijoules, idle power included; None where it was not measured."""
    if reading.energy_j is None or images < 1:
        return None
    return reading.energy_j * 1000 / images


class PowerMeter:
    """Samples the board's power in a thread between `start` and `stop`."""

    def __init__(
        self,
        board: Board | None,
        root: Path = Path("/"),
        interval_ms: int = 50,
        *,
        clock: Callable[[], float] = time.monotonic,
        tegrastats: Start = start_tegrastats,
    ) -> None:
        """Find the sensors; nothing is started yet.

        Args:
            board: Board whose rails are read; None takes an input rail where there is one.
            root: Root of a file system, the running one's or a recorded one's.
            interval_ms: Time between samples. The INA3221 averages over a few milliseconds.
            clock: Function that returns monotonic seconds.
            tegrastats: Function that starts the fallback.
        """
        self._interval_ms = interval_ms
        self._clock = clock
        self._notes: list[str] = []
        self._samples: list[tuple[float, float]] = []
        self._idle_w: float | None = None
        self._failures = 0
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        family = board.family if board else None
        self._sensor: Sensor | None = open_sensor(
            root, family, interval_ms, tegrastats, self._notes
        )

    @property
    def can_read(self) -> bool:
        """Whether there is anything to sample."""
        return self._sensor is not None

    def read_once(self) -> float | None:
        """Power in watts now; None where it can't be read."""
        if self._sensor is None:
            return None
        try:
            return self._sensor.watts()
        except (OSError, ValueError):
            return None

    def measure_idle(self, seconds: float = 2.0) -> float | None:
        """Measure mean power while nothing runs; it is kept for the reading."""
        until = self._clock() + seconds
        watts = []
        while (now := self.read_once()) is not None:
            watts.append(now)
            if self._clock() >= until:
                break
            self._ended.wait(self._interval_ms / 1000)
        self._idle_w = sum(watts) / len(watts) if watts else None
        return self._idle_w

    def start(self) -> None:
        """Take the first sample, and go on in a thread."""
        self._samples, self._failures = [], 0
        self._ended.clear()
        if self._sensor is None:
            return
        self.sample()
        self._thread = threading.Thread(target=self._go_on, name="power", daemon=True)
        self._thread.start()

    def stop(self) -> PowerReading:
        """Take the last sample and return the reading; may be called again, and after a failure."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join(timeout=5.0)
            self._thread = None
            self.sample()
        return self._sum_up()

    def close(self) -> None:
        """Close files and `tegrastats`; the meter reads nothing afterwards."""
        self._ended.set()
        if self._sensor is not None:
            self._sensor.close()
            self._sensor = None

    def __enter__(self) -> PowerMeter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def sample(self) -> None:
        """Add one sample now."""
        watts = self.read_once()
        if watts is None:
            self._failures += 1
        else:
            self._samples.append((self._clock(), watts))

    def _go_on(self) -> None:
        while not self._ended.wait(self._interval_ms / 1000):
            # A closed file or a lost tool must not disturb the work that is measured.
            with contextlib.suppress(Exception):
                self.sample()

    def _sum_up(self) -> PowerReading:
        samples = list(self._samples)
        duration_s = samples[-1][0] - samples[0][0] if samples else 0.0
        energy_j = integrate_energy(samples) if duration_s > 0 else None
        notes = list(self._notes)
        if self._failures:
            notes.append(f"{self._failures} samples of power could not be read")
        sensor = self._sensor
        return PowerReading(
            source=sensor.source if sensor else None,
            power_scope=sensor.row.scope if sensor else None,
            rails=sensor.row.rails if sensor else (),
            unverified=sensor.row.unverified if sensor else False,
            idle_w=self._idle_w,
            mean_w=None if energy_j is None else energy_j / duration_s,
            peak_w=max((watts for _, watts in samples), default=None),
            energy_j=energy_j,
            duration_s=duration_s,
            samples=len(samples),
            interval_ms=self._interval_ms,
            notes=tuple(notes),
        )
