import json
import os
import sys
import threading
import time
from dataclasses import asdict

import pytest
from support.recorded_boards import write_tree
from support.recorded_jetsons import (
    RUNNING,
    RUNNING_AGX,
    RUNNING_NANO,
    RUNNING_THOR,
    TEGRASTATS,
    ina3221,
)

from edge_convnext.devices.catalog.this_board import find_board
from edge_convnext.devices.jetson.power import PowerMeter, energy_mj_per_image, integrate_energy

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="sysfs is Linux's")


def no_tegrastats(_interval_ms):
    return None


class FakeClock:
    """Seconds that go on by a step whenever they are read."""

    def __init__(self, step_s):
        self.now_s = 0.0
        self.step_s = step_s

    def __call__(self):
        self.now_s += self.step_s
        return self.now_s


def meter_of(root, *, interval_ms=3_600_000, clock=time.monotonic, tegrastats=no_tegrastats):
    """A meter whose thread takes no sample of its own within a test."""
    return PowerMeter(find_board(root), root, interval_ms, clock=clock, tegrastats=tegrastats)


@pytest.mark.parametrize(
    ("name", "watts", "scope", "unverified"),
    [
        ("orin-nano-8gb", 4.984 * 1.856, "module input VDD_IN", False),
        ("orin-nx-16gb", 9.5, "module input VDD_IN", False),
        ("agx-orin-64gb", 2.4 + 0 + 4.0, "VDD_GPU_SOC + VDD_CPU_CV + VIN_SYS_5V0", False),
        ("xavier-nx-16gb", 3.875, "module input VDD_IN", False),
        ("agx-xavier-32gb", 19 * 0.132 + 2.75, "GPU + CPU + SOC + CV + VDDRQ + SYS5V", True),
        ("thor-t5000", 19.78, "board input VIN (INA238)", False),
    ],
)
def test_each_family_has_its_rails(tmp_path, name, watts, scope, unverified):
    with meter_of(write_tree(tmp_path, RUNNING[name]), clock=FakeClock(1.0)) as meter:
        meter.start()
        reading = meter.stop()
    assert (reading.source, reading.samples) == ("hwmon", 2)
    assert reading.peak_w == pytest.approx(watts)
    assert reading.mean_w == pytest.approx(watts)
    assert scope in reading.power_scope
    assert reading.unverified is unverified
    assert json.loads(json.dumps(asdict(reading)))["rails"] == list(reading.rails)


def test_thor_without_its_input_monitor_sums_the_modules_rails(tmp_path):
    files = {name: text for name, text in RUNNING_THOR.items() if "hwmon5" not in name}
    with meter_of(write_tree(tmp_path, files)) as meter:
        assert meter.read_once() == pytest.approx(1.97 + 5.91 + 5.65)
        reading = meter.stop()
    assert reading.unverified
    assert "VIN was not found" in reading.power_scope


def test_an_unknown_board_counts_only_an_input_rail(tmp_path):
    root = write_tree(tmp_path, ina3221(1, {"VDD_IN": (5000, 1000), "VDD_SOC": (5000, 300)}))
    assert PowerMeter(None, root, tegrastats=no_tegrastats).read_once() == 5.0
    root = write_tree(tmp_path / "b", ina3221(1, {"VDD_A": (5000, 1000), "VDD_B": (5000, 300)}))
    reading = PowerMeter(None, root, tegrastats=no_tegrastats).stop()
    assert reading.mean_w is reading.energy_j is reading.power_scope is None
    assert reading.notes[0] == (
        "which of the rails VDD_A, VDD_B make the board's power is not known"
    )


def test_energy_is_the_trapezoid_over_time_stamps():
    # 1 s from 10 to 20 W, 3 s at 20 W, a gap of 0.5 s down to 0
    assert integrate_energy([(0, 10), (1, 20), (4, 20), (4.5, 0)]) == 15 + 60 + 5
    assert integrate_energy([(7, 10)]) == integrate_energy([]) == 0


def test_a_run_is_summed_by_a_fake_clock(tmp_path):
    root = write_tree(tmp_path, RUNNING_NANO)
    current = root / "sys/class/hwmon/hwmon1/curr1_input"
    voltage = root / "sys/class/hwmon/hwmon1/in1_input"
    voltage.write_text("5000\n")
    current.write_text("800\n")
    with meter_of(root, clock=FakeClock(2.0)) as meter:
        assert meter.measure_idle(1.0) == 4.0
        current.write_text("2000\n")
        meter.start()
        current.write_text("4000\n")
        meter.sample()
        reading = meter.stop()  # at 20 W still
    # 10 to 20 W in 2 s, then 20 W for 2 s
    assert (reading.energy_j, reading.duration_s, reading.samples) == (30 + 40, 4.0, 3)
    assert (reading.idle_w, reading.mean_w, reading.peak_w) == (4.0, 17.5, 20.0)
    assert energy_mj_per_image(reading, 350) == 200.0
    assert energy_mj_per_image(reading, 0) is None
    assert reading.notes == ()


def test_the_thread_samples_and_ends(tmp_path):
    with meter_of(write_tree(tmp_path, RUNNING_AGX), interval_ms=1) as meter:
        meter.start()
        until = time.monotonic() + 5
        while len(meter._samples) < 5 and time.monotonic() < until:
            time.sleep(0.001)
        reading = meter.stop()
        assert reading.samples >= 6
        assert meter.stop().samples == reading.samples  # a second stop adds nothing
    assert "power" not in {thread.name for thread in threading.enumerate()}


def test_a_rail_that_fails_during_the_run_is_a_note(tmp_path):
    root = write_tree(tmp_path, RUNNING_NANO)
    with meter_of(root, clock=FakeClock(1.0)) as meter:
        meter.start()
        (root / "sys/class/hwmon/hwmon1/curr1_input").write_text("broken\n")
        meter.sample()
        reading = meter.stop()
    assert reading.samples == 1
    assert reading.energy_j is reading.mean_w is None
    assert reading.peak_w == pytest.approx(9.25, abs=0.01)
    assert reading.notes == ("2 samples of power could not be read",)
    assert energy_mj_per_image(reading, 10) is None


def test_a_closed_meter_does_not_raise_into_the_work(tmp_path):
    meter = meter_of(write_tree(tmp_path, RUNNING_NANO), interval_ms=1)
    meter.start()
    meter.close()
    assert meter.read_once() is None
    assert not meter.can_read
    assert meter.stop().source is None


@pytest.mark.parametrize("content", ["", "\0", "12 mV\n", "nan\n"])
def test_rails_that_are_no_numbers_are_a_note(tmp_path, content):
    files = {**RUNNING_NANO, "sys/class/hwmon/hwmon1/curr1_input": content}
    reading = meter_of(write_tree(tmp_path, files)).stop()
    assert reading.source is None
    assert reading.notes[0].startswith("the rails VDD_IN can't be read: ")


def test_rails_that_are_missing_or_refused_are_a_note(tmp_path, monkeypatch):
    files = dict(RUNNING_NANO)
    del files["sys/class/hwmon/hwmon1/curr1_input"]
    reading = meter_of(write_tree(tmp_path, files)).stop()
    assert "No such file" in reading.notes[0]

    def refuse(path, flags):
        raise PermissionError(13, "Permission denied", str(path))

    root = write_tree(tmp_path / "b", RUNNING_NANO)
    monkeypatch.setattr(os, "open", refuse)
    assert "Permission denied" in meter_of(root).stop().notes[0]


def test_tegrastats_serves_where_sysfs_has_no_rails(tmp_path):
    root = write_tree(tmp_path, {k: v for k, v in RUNNING_NANO.items() if "hwmon" not in k})
    line, go_on = TEGRASTATS["orin nano"][0], threading.Event()

    def lines():
        yield "a line that tells nothing\n"
        yield line + "\n"
        go_on.wait(5)

    with meter_of(root, clock=FakeClock(1.0), tegrastats=lambda _: (lines(), go_on.set)) as meter:
        meter.start()
        reading = meter.stop()
    assert go_on.is_set()  # the tool was ended
    assert (reading.source, reading.mean_w) == ("tegrastats", 4.851)
    assert reading.notes == ("no INA3221 or INA238 in /sys/class/hwmon",)


def test_tegrastats_that_ends_or_tells_nothing_is_a_note(tmp_path):
    reading = meter_of(tmp_path, tegrastats=lambda _: (iter(["no\n"]), lambda: None)).stop()
    assert reading.notes[1] == "tegrastats prints no power"
    assert meter_of(tmp_path).stop().notes[1] == "tegrastats is not installed"
