from pathlib import Path

import pytest
from support.recorded_boards import write_tree
from support.recorded_jetsons import RUNNING_AGX, ina3221, monitor

from edge_convnext.devices.jetson.rails import RailFile, RailReader, find_rail_files


def test_rails_are_found_by_their_label_and_what_is_not_connected_is_left_out(tmp_path):
    found = find_rail_files(write_tree(tmp_path, RUNNING_AGX))
    assert list(found) == ["VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0", "VDDQ_VDD2_1V8AO"]
    gpu = found["VDD_GPU_SOC"]
    assert (gpu.power_uw, gpu.voltage_mv.name, gpu.current_ma.name) == (
        None, "in1_input", "curr1_input",
    )  # fmt: skip


def test_a_monitor_of_power_needs_no_label(tmp_path):
    files = {**monitor(1, "ina238", power1_input=5), **monitor(2, "other", power1_input=5)}
    found = find_rail_files(write_tree(tmp_path, files))
    assert list(found) == ["VIN"]
    assert found["VIN"].power_uw.name == "power1_input"


def test_watts_are_summed_over_the_rails(tmp_path):
    root = write_tree(tmp_path, {**ina3221(1, {"A": (5000, 200)}),
                                 **monitor(2, "ina238", power1_input=2_000_000)})  # fmt: skip
    reader = RailReader(list(find_rail_files(root).values()))
    assert reader.watts() == pytest.approx(5.0 * 0.2 + 2.0)
    (root / "sys/class/hwmon/hwmon2/power1_input").write_text("3000000\n")
    assert reader.watts() == pytest.approx(5.0 * 0.2 + 3.0)
    reader.close()
    assert reader.watts() == 0.0


def test_a_rail_that_can_not_be_read_closes_the_others(tmp_path):
    root = write_tree(tmp_path, ina3221(1, {"A": (5000, 200)}))
    good = find_rail_files(root)["A"]
    before = len(list(Path("/proc/self/fd").iterdir()))
    for bad in (RailFile("B", tmp_path / "none"), RailFile("B", tmp_path / "text")):
        (tmp_path / "text").write_text("not a number")
        with pytest.raises((OSError, ValueError)):
            RailReader([good, bad])
    assert len(list(Path("/proc/self/fd").iterdir())) == before
