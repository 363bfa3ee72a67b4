from support.recorded_boards import write_tree
from support.recorded_jetsons import RUNNING_NANO, RUNNING_NX, cooling, monitor, zones

from edge_convnext.devices.jetson.thermal import (
    Fan,
    read_cooling,
    read_fan,
    read_over_current,
    read_temperatures,
)


def test_zones_that_are_off_are_left_out(tmp_path):
    root = write_tree(tmp_path, zones(cpu_thermal=42.5, gpu_thermal=-256.0, cv_thermal=None))
    assert read_temperatures(root) == {"cpu-thermal": 42.5}


def test_alerts_and_limits_slow_the_board_and_fans_do_not(tmp_path):
    found = read_cooling(write_tree(tmp_path, RUNNING_NX))
    assert [(one.name, one.state, one.max_state, one.is_alert) for one in found] == [
        ("gpu-throttle-alert", 1, 2, True), ("devfreq-17000000-gpu", 1, 2, False),
    ]  # fmt: skip
    fan = write_tree(tmp_path / "fan", cooling(pwm_fan=3))
    assert read_cooling(fan) == ()


def test_over_current_is_counted_by_its_counter(tmp_path):
    root = write_tree(tmp_path, RUNNING_NANO)
    assert read_over_current(root) == {"oc1": 0, "oc2": 15, "oc3": 37}
    assert read_over_current(tmp_path / "none") == {}


def test_the_fan_has_a_duty_and_a_speed(tmp_path):
    root = write_tree(tmp_path, RUNNING_NANO)
    assert read_fan(root, "nvfancontrol") == Fan(88, 2140, "nvfancontrol")
    assert read_fan(tmp_path / "none", None) is None
    assert read_fan(tmp_path / "none", "disabled") == Fan(None, None, "disabled")
    other = write_tree(tmp_path / "other", monitor(1, "f75308", pwm1=7, fan1_input=900))
    assert read_fan(other, None) == Fan(7, 900, None)
