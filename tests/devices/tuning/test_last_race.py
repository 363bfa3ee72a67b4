"""The last race, with ONNX Runtime as the board's runtime: no figure is asserted."""

import contextlib

import numpy as np
import pytest

pytest.importorskip("torch", reason="the build extra is not installed")

from support.played_boards import GRAPHS, JetsonReadings, Modes

from edge_convnext.core.progress import untracked
from edge_convnext.devices.bench.readings import NoReadings
from edge_convnext.devices.bundle.read import open_search
from edge_convnext.devices.jetson.power_modes import PowerMode
from edge_convnext.devices.tuning import last_race
from edge_convnext.devices.tuning.entrants import enter_graphs
from edge_convnext.devices.tuning.journal import Journal
from edge_convnext.devices.tuning.last_race import race_in_modes, run_last_race
from edge_convnext.devices.tuning.stopwatch import Stopwatch

NAMES = [f"{name} onnxruntime f32" for name in (GRAPHS[1], GRAPHS[2], GRAPHS[0])]


@pytest.fixture
def watch(search, tmp_path, without_children):
    unpacked = open_search(search).unpack(tmp_path / "bundle")
    images = np.random.default_rng(0).standard_normal((4, 3, 32, 32)).astype(np.float32)
    kept = Journal(tmp_path / "journal.jsonl", {"a": 1})
    entered = enter_graphs(unpacked, ("onnxruntime",), images, kept, untracked)
    return Stopwatch(entered, unpacked.manifest.search, images, kept, untracked)


def test_finalists_are_compared_with_each_other_and_with_the_float(watch, monkeypatch):
    found = run_last_race(NAMES, watch, NoReadings(), 0.01)
    assert [row.name for row in found.race.rows] == NAMES
    assert [row.vs_best_float is None for row in found.race.rows] == [False, False, True]
    assert all(row.energy is None and row.throughput_img_s > 0 for row in found.race.rows)
    assert set(found.laps) == set(NAMES[:2])
    assert min(one.ratio for one in found.laps.values()) == 1.0
    assert all(one.ratio_ci95 is not None for one in found.laps.values())
    monkeypatch.setattr(last_race, "benchmark", lambda *_, **__: pytest.fail("raced again"))
    assert run_last_race(NAMES, watch, NoReadings(), 0.01) == found


def test_each_listed_mode_has_a_race_and_the_found_one_is_in_force_again(watch):
    modes = Modes()
    asked = modes.find(["1", "7W"])
    locks = []

    @contextlib.contextmanager
    def locked():
        locks.append(modes.now)
        yield

    races = race_in_modes(NAMES, asked, modes, watch, JetsonReadings, 0.01, locked)
    assert locks == [1]  # clocks of a mode are locked within it
    assert [race.power_mode for race in races] == ["15W (1)", "7W (2)"]
    assert modes.held == [1]
    assert modes.current() == PowerMode(0, "MAXN")
    first, second = races
    assert [row.energy.mean_w for row in first.rows] == [5.0] * 3
    assert all(row.energy.energy_mj_per_image > 0 for row in first.rows)
    assert first.notes == ("clocks were not locked",)
    assert (second.rows, second.reason) == ((), "it needs a restart")
