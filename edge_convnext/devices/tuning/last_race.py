"""The last race of a search: the finalists and the best floats, loaded afresh, and their energy.

It is run in the power mode in which the board was found, and then in each mode that the user lists.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge_convnext.core.errors import BoardError
from edge_convnext.devices.bench.measure import measure_energy
from edge_convnext.devices.tuning.result import LastRace, LastRow
from edge_convnext.devices.tuning.stopwatch import Stopwatch, config_of
from edge_convnext.measure.benchmark import benchmark, judge
from edge_convnext.measure.halving import Lap
from edge_convnext.measure.speed import slowest_to_beat, speedup
from edge_convnext.measure.to_report import report_interval

if TYPE_CHECKING:
    from edge_convnext.devices.bench.readings import Readings
    from edge_convnext.devices.jetson.power_modes import PowerMode, PowerModes
    from edge_convnext.measure.candidates import Candidate
    from edge_convnext.measure.timings import BenchmarkResult
    from edge_convnext.report.described import EnergyReport

__all__ = ["Finals", "race_in_modes", "run_last_race"]

_ROUNDS = 18  # that choose, and as many that judge: two in each of nine loads


@dataclass(frozen=True)
class Finals:
    """A last race, and the laps of its candidates against the fastest INT8."""

    race: LastRace
    laps: Mapping[str, Lap]


def run_last_race(
    names: Sequence[str],
    watch: Stopwatch,
    readings: Readings,
    energy_s: float,
    mode: str | None = None,
) -> Finals:
    """Race candidates that are right and accurate enough, or take what the journal has.

    Args:
        names: INT8 candidates and floats.
        watch: Has the candidates, the images and the journal.
        readings: Power and clocks of the board.
        energy_s: Seconds of work of each candidate while its power is read.
        mode: Power mode in force; None where there are none.
    """
    options = [watch.entered.candidates[name] for name in names]
    text = json.dumps([mode, {one.name: one.digest for one in options}, energy_s])
    key = hashlib.sha256(text.encode()).hexdigest()[:16]
    entry = watch.journal.find("last", key)
    if entry is None:
        started = time.monotonic()
        with watch.journal.announced("last", key):
            race, laps = _race(options, watch, readings, energy_s, mode)
        entry = watch.journal.add(
            "last", key,
            race=race.model_dump(mode="json"),
            laps={name: [one.latency_ms_p50, one.ratio, one.ratio_ci95, one.rounds]
                  for name, one in laps.items()},
            seconds=time.monotonic() - started,
        )  # fmt: skip
    found = {
        name: Lap(latency, ratio, tuple(interval) if interval else None, rounds)
        for name, (latency, ratio, interval, rounds) in entry["laps"].items()
    }
    return Finals(LastRace.model_validate(entry["race"]), found)


def race_in_modes(
    names: Sequence[str],
    asked: Sequence[PowerMode],
    modes: PowerModes,
    watch: Stopwatch,
    fresh: Callable[[], Readings],
    energy_s: float,
    locked: Callable[[], AbstractContextManager[object]] = contextlib.nullcontext,
) -> list[LastRace]:
    """Repeat the last race in each power mode that the user listed; the found one is restored.

    A mode that the board does not take now gets no rows, and the reason.

    Args:
        names: INT8 candidates and floats.
        asked: Modes, in the order to take them.
        modes: Modes of the board.
        watch: Has the candidates, the images and the journal.
        fresh: Readings that compare no state with one of another mode.
        energy_s: Seconds of work of each candidate while its power is read.
        locked: Block that holds the clocks of the mode in force, if that is wanted.
    """
    races = []
    for mode in asked:
        try:
            with modes.hold(mode), locked():
                races.append(run_last_race(names, watch, fresh(), energy_s, mode.label).race)
        except BoardError as error:
            races.append(LastRace(power_mode=mode.label, reason=str(error)))
    return races


def _race(
    options: Sequence[Candidate],
    watch: Stopwatch,
    readings: Readings,
    energy_s: float,
    mode: str | None,
) -> tuple[LastRace, dict[str, Lap]]:
    search = watch.search
    config = config_of(search, _ROUNDS)
    readings.state()
    result = benchmark(
        options, watch.images, config, search.seed, watch.track, measure_memory=False
    )
    result = judge(result, options, watch.images, config, search.seed, watch.track)
    watch.other_load_pct = max(watch.other_load_pct, result.other_load_pct or 0.0)
    energy = _measure_energy(options, watch, readings, energy_s)
    readings.state()
    floats = [one.name for one in options if one.model.precision != "int8"]
    rows = tuple(_row(one, floats, result, search.batch, energy) for one in options)
    race = LastRace(power_mode=mode, rows=rows, notes=tuple(readings.differences()))
    return race, _laps(options, result, search.batch)


def _measure_energy(
    options: Sequence[Candidate], watch: Stopwatch, readings: Readings, seconds: float
) -> dict[str, EnergyReport]:
    meter = readings.meter()
    if meter is None:
        return {}
    search = watch.search
    shown = watch.track(options, "measuring energy", len(options))
    with contextlib.closing(meter):
        found = measure_energy(shown, watch.images, search.batch, search.threads, seconds, meter)
    return {one.artifact: one for one in found}


def _row(
    one: Candidate,
    floats: Sequence[str],
    result: BenchmarkResult,
    batch: int,
    energy: Mapping[str, EnergyReport],
) -> LastRow:
    row = result.row(one.name, batch)
    beaten = None
    if floats and one.name not in floats:
        _, beaten = slowest_to_beat(result, one.name, floats, batch)
    return LastRow(
        name=one.name,
        precision=one.model.precision,
        batch=batch,
        latency_ms_p50=row.latency_ms_p50,
        latency_ms_p90=row.latency_ms_p90,
        gpu_ms_p50=row.gpu_ms_p50,
        throughput_img_s=row.throughput_img_s,
        vs_best_float=beaten.median if beaten else None,
        vs_best_float_ci95=report_interval(beaten),
        energy=energy.get(one.name),
    )


def _laps(options: Sequence[Candidate], result: BenchmarkResult, batch: int) -> dict[str, Lap]:
    """Laps of the INT8 candidates against the fastest of them, over fresh loads."""
    names = [one.name for one in options if one.model.precision == "int8"]
    if not names:
        return {}
    leader = max(names, key=lambda name: speedup(result, name, names[0], batch).median)
    laps = {}
    for name in names:
        slower = speedup(result, leader, name, batch)  # of the leader over it: a ratio of latencies
        row = result.row(name, batch)
        laps[name] = Lap(row.latency_ms_p50, slower.median, report_interval(slower), row.rounds)
    return laps
