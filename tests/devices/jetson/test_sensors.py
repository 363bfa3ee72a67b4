import threading

import pytest
from support.recorded_boards import write_tree
from support.recorded_jetsons import RUNNING_NANO, TEGRASTATS

from edge_convnext.devices.jetson.sensors import open_sensor


def family_of(rails=("VDD_IN",)):
    from edge_convnext.devices.jetson.rail_names import load_rails

    return next(row.families[0] for row in load_rails() if row.families and row.rails == rails)


def never(_interval_ms):
    raise AssertionError("tegrastats was started")


def test_the_boards_own_monitors_come_first(tmp_path):
    notes = []
    sensor = open_sensor(write_tree(tmp_path, RUNNING_NANO), family_of(), 100, never, notes)
    assert sensor.source == "hwmon"
    assert round(sensor.watts(), 3) == round(4.984 * 1.856, 3)
    assert sensor.row.rails == ("VDD_IN",)
    assert notes == []
    sensor.close()


def test_tegrastats_tells_its_last_line_and_nothing_once_it_ended(tmp_path):
    ended, go_on = threading.Event(), threading.Event()
    asked = []

    def lines():
        yield "nothing\n"
        yield TEGRASTATS["orin nano"][0]
        go_on.wait(10)

    def start(interval_ms):
        asked.append(interval_ms)
        return lines(), ended.set

    notes = []
    sensor = open_sensor(tmp_path, family_of(), 250, start, notes)
    assert (sensor.source, asked) == ("tegrastats", [250])
    assert sensor.watts() == 4.851
    assert notes == ["no INA3221 or INA238 in /sys/class/hwmon"]
    sensor.close()
    assert ended.is_set()
    go_on.set()
    follower = next((one for one in threading.enumerate() if one.name == "tegrastats"), None)
    if follower is not None:
        follower.join(10)
    with pytest.raises(ValueError, match="tegrastats ended"):
        sensor.watts()


def test_rails_that_nobody_knows_are_named(tmp_path):
    notes, closed = [], []
    line = "RAM 1/2MB ODD_RAIL 5mW/5mW"
    start = lambda _: (iter([line]), lambda: closed.append(1))  # noqa: E731
    assert open_sensor(tmp_path, family_of(), 1, start, notes) is None
    assert closed == [1]
    assert len(notes) == 2
    assert open_sensor(tmp_path, None, 1, lambda _: None, notes) is None
    assert notes[-1] == "tegrastats is not installed"
