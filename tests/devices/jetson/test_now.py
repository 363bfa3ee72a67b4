from dataclasses import replace

import pytest
from support.recorded_boards import write_tree
from support.recorded_jetsons import RUNNING_NANO, RUNNING_NX

from edge_convnext.devices.catalog.this_board import find_board
from edge_convnext.devices.jetson.now import read_now


@pytest.fixture
def nano(tmp_path):
    root = write_tree(tmp_path, RUNNING_NANO)
    return read_now(find_board(root), root)


def test_a_look_shows_clocks_temperature_and_power(nano):
    lines = dict(nano.lines)
    assert lines["clocks"].startswith("not locked: cpu 1190 of 1728 MHz, ")
    assert "gpu 306 of 1020 MHz" in lines["clocks"]
    assert lines["temperature"] == "50.5 °C (tj-thermal), not throttled"
    assert lines["power"].startswith("9.25 W now (module input VDD_IN")


def test_what_is_not_told_says_so(nano):
    hidden = replace(nano.state, clocks=(), temperatures_c={}, throttled=None)
    lines = dict(replace(nano, state=hidden, power_w=None, notes=("a", "b")).lines)
    assert lines == {"clocks": "unknown", "temperature": "unknown", "power": "unknown: a; b"}


def test_throttling_is_beside_the_temperature(tmp_path):
    root = write_tree(tmp_path, RUNNING_NX)
    found = dict(read_now(find_board(root), root).lines)
    assert found["temperature"] == "41.5 °C (tj-thermal), throttled"
    assert found["clocks"] == "unknown"


def test_a_board_without_rails_says_why_and_not_of_tegrastats(tmp_path):
    files = {name: text for name, text in RUNNING_NANO.items() if "hwmon" not in name}
    root = write_tree(tmp_path, files)
    found = read_now(find_board(root), root)
    assert found.power_w is None
    assert found.notes == ("no INA3221 or INA238 in /sys/class/hwmon",)
