import io
import json
import os
import pathlib
import sys
from dataclasses import asdict, replace

import pytest
from rich.console import Console
from support.recorded_boards import write_tree
from support.recorded_jetsons import (
    NEEDS_ROOT,
    RUNNING,
    RUNNING_AGX,
    RUNNING_NANO,
    RUNNING_NX,
    RUNNING_THOR,
    RUNNING_XAVIER_NX,
    SHOW_NANO,
    SHOW_NANO_LOCKED,
    tools,
)

from edge_convnext.cli.views.doctor import print_examination
from edge_convnext.devices.doctor import examine
from edge_convnext.devices.jetson.state import compare_states, read_state

NO_TOOLS = tools()


@pytest.mark.parametrize("files", RUNNING.values(), ids=RUNNING)
def test_every_board_has_a_temperature_and_is_json(tmp_path, files):
    state = read_state(write_tree(tmp_path, files), NO_TOOLS)
    assert 30 < state.hottest[1] < 60
    assert json.loads(json.dumps(asdict(state)))["temperatures_c"] == state.temperatures_c


def test_the_orin_nano_is_read_in_full(tmp_path):
    run = tools(nvpmodel="NV Power Mode: 25W\n1\n", jetson_clocks=SHOW_NANO)
    state = read_state(write_tree(tmp_path, RUNNING_NANO), run)
    assert (state.power_mode, state.clocks_source, state.clocks_locked) == (
        "25W",
        "jetson_clocks",
        False,
    )
    clocks = {clock.name: clock for clock in state.clocks}
    assert set(clocks) == {"cpu0", "cpu4", "gpu", "emc"}  # cpu5 is off
    assert (clocks["cpu0"].min_hz, clocks["cpu0"].max_hz) == (729_600_000, 1_344_000_000)
    assert (clocks["gpu"].current_hz, clocks["emc"].override) == (306_000_000, False)
    assert (state.fan.pwm, state.fan.rpm, state.fan.control) == (88, 2140, "nvfancontrol")
    assert state.temperatures_c == {
        "cpu-thermal": 49.468,
        "gpu-thermal": 50.125,
        "tj-thermal": 50.531,
    }
    assert state.hottest == ("tj-thermal", 50.531)
    assert (state.throttled, state.throttling) == (False, ())
    assert state.over_current_events == {"oc1": 0, "oc2": 15, "oc3": 37}
    assert state.notes == ()


def test_thor_has_other_names_and_a_limit_is_no_throttling(tmp_path):
    state = read_state(write_tree(tmp_path, RUNNING_THOR), tools(jetson_clocks=NEEDS_ROOT))
    assert [clock.name for clock in state.clocks] == ["policy0", "emc", "gpu-gpc-0", "gpu-nvd-0"]
    assert state.clocks_locked is True
    assert state.throttled is False
    assert "frequencies limited by devfreq-gpu-gpc-0" in state.notes
    assert state.over_current_events["oc3"] == 813


def test_throttling_is_told_by_alerts(tmp_path):
    state = read_state(write_tree(tmp_path, RUNNING_NX), NO_TOOLS)
    assert (state.throttled, state.throttling) == (True, ("gpu-throttle-alert",))
    assert read_state(write_tree(tmp_path / "b", RUNNING_AGX), NO_TOOLS).throttled is None
    xavier = read_state(write_tree(tmp_path / "c", RUNNING_XAVIER_NX), NO_TOOLS)
    assert xavier.throttled is False
    assert [clock.name for clock in xavier.clocks] == ["gpu"]


def test_an_empty_tree_tells_nothing_and_raises_nothing(tmp_path):
    state = read_state(tmp_path, NO_TOOLS)
    assert (state.power_mode, state.clocks, state.fan, state.hottest) == (None, (), None, None)
    assert state.clocks_locked is None
    assert state.notes == (
        "jetson_clocks did not run (No such file or directory), and sysfs has no clocks",
    )


@pytest.mark.parametrize("content", ["", "\0" * 9000, b"\xff\xfe\xfa", "12abc\n", "9" * 400, "-\n"])
def test_garbage_in_every_file_raises_nothing(tmp_path, content):
    files = {name: content for name in RUNNING_NANO if name.startswith("sys/")}
    run = tools(nvpmodel="\0\0", jetson_clocks="\0 FAN Dynamic Speed Control=\0\n")
    state = read_state(write_tree(tmp_path, files), run)
    assert (state.power_mode, state.clocks, state.temperatures_c) == (None, (), {})
    json.dumps(asdict(state))


def test_half_of_the_files_missing_raises_nothing(tmp_path):
    for part in (0, 1):
        files = dict(list(RUNNING_NANO.items())[part::2])
        json.dumps(asdict(read_state(write_tree(tmp_path / str(part), files), NO_TOOLS)))


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="root may read everything")
def test_files_that_may_not_be_read_raise_nothing(tmp_path):
    root = write_tree(tmp_path, RUNNING_NANO)
    for path in root.rglob("*"):
        if path.is_file():
            path.chmod(0)
    assert read_state(root, NO_TOOLS).temperatures_c == {}


def test_files_that_refuse_to_be_read_raise_nothing(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    root = write_tree(tmp_path, RUNNING_NANO)
    monkeypatch.setattr(pathlib.Path, "open", refuse)
    assert read_state(root, NO_TOOLS).temperatures_c == {}


def test_what_differs_between_two_looks_is_said(tmp_path):
    run = tools(nvpmodel="NV Power Mode: MAXN_SUPER\n2\n", jetson_clocks=SHOW_NANO_LOCKED)
    before = read_state(write_tree(tmp_path, RUNNING_NANO), run)
    assert compare_states(before, before) == ()
    after = replace(
        before,
        power_mode="15W",
        clocks_locked=False,
        throttling=("gpu-throttle-alert",),
        over_current_events={"oc1": 0, "oc2": 15, "oc3": 49},
    )
    assert compare_states(before, after) == (
        "the power mode changed from MAXN_SUPER to 15W",
        "clocks were not locked: timings vary with the governor's choices",
        "throttled after the run: gpu-throttle-alert",
        "12 over-current or under-voltage events (oc3) during the run",
    )
    unknown = replace(before, clocks_locked=None)
    assert compare_states(unknown, before) == ("whether the clocks were locked is not known",)


def test_doctor_shows_clocks_temperature_and_power(tmp_path):
    console = Console(file=io.StringIO(), width=200)
    seen = examine(write_tree(tmp_path, RUNNING_NANO))
    print_examination(seen, console)
    lines = {" ".join(line.split()) for line in console.file.getvalue().splitlines()}
    assert "power mode MAXN_SUPER" in lines
    assert "clocks not locked: cpu 1190 of 1728 MHz, gpu 306 of 1020 MHz" in lines
    assert "temperature 50.5 °C (tj-thermal), not throttled" in lines
    assert "power 9.25 W now (module input VDD_IN, without the carrier board)" in lines
    fields = json.loads(json.dumps(asdict(seen)))
    assert fields["board_now"]["power_w"] == pytest.approx(9.25, abs=0.01)
    assert fields["board_now"]["state"]["temperatures_c"]["tj-thermal"] == 50.531


def test_doctor_says_what_it_can_not_tell(tmp_path):
    bare = {name: text for name, text in RUNNING_NANO.items() if not name.startswith("sys/")}
    lines = dict(examine(write_tree(tmp_path, bare)).board_now.lines)
    assert lines == {
        "clocks": "unknown",
        "temperature": "unknown",
        "power": "unknown: no INA3221 or INA238 in /sys/class/hwmon",
    }
