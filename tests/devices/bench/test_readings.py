import contextlib
from dataclasses import replace

import pytest
from support.bench_boards import ORT

from edge_convnext.core.errors import (
    BoardError,
)
from edge_convnext.devices.bench import bench_bundle
from edge_convnext.devices.bench.readings import NoReadings, PowerFigures

pytest.importorskip("torch", reason="the build extra is not installed")


class Jetson(NoReadings):
    """Readings of a board with unlocked clocks, and what was asked of it."""

    def __init__(self):
        super().__init__(reason=None)
        object.__setattr__(self, "asked", [])

    def state(self):
        self.asked.append("state")
        return {"power_mode": "15W", "clocks_locked": "lock" in self.asked}

    def differences(self):
        return ("throttled after the run: gpu-throttle-alert",)

    def meter(self):
        return self

    def start(self):
        self.asked.append("start")

    def stop(self):
        return PowerFigures(5.0, 2.0, 40, "VDD_IN", "hwmon ina3221")

    def close(self):
        self.asked.append("close")

    @contextlib.contextmanager
    def locked_clocks(self):
        self.asked.append("lock")
        yield
        self.asked.append("restore")


@pytest.mark.parametrize("lock", [False, True])
def test_mode_clocks_and_energy_are_in_the_report(root, tmp_path, lock):
    said, board = [], Jetson()
    settings = replace(ORT, lock_clocks=lock, energy_seconds=0.01)
    out = tmp_path / "out"
    report = bench_bundle(root / "tiny.ecb", out, settings, say=said.append, readings=board)
    assert report.board.state_before["power_mode"] == "15W"
    assert report.board.clocks_locked is lock
    assert bool(said) is not lock  # warned, and told how to mend it
    assert all("--lock-clocks" in text for text in said)
    assert "Throttled after the run: gpu-throttle-alert." in report.notes
    assert len(report.board.energy) == 2
    one = report.board.energy[0]
    assert (one.power_scope, one.mean_w, one.idle_w) == ("VDD_IN", 5.0, 2.0)
    assert one.energy_mj_per_image > 0
    assert board.asked.count("restore") == lock
    if lock:
        assert board.asked[0] == "lock"
        assert board.asked[-1] == "restore"
    assert board.asked.count("close") == 1
    assert "VDD\\_IN" in (out / "report.md").read_text(encoding="utf-8")


def test_a_jetson_s_own_files_are_what_is_read(root, tmp_path, monkeypatch):
    """The whole bench on the recorded file system of an Orin Nano."""
    from support.recorded_boards import write_tree
    from support.recorded_jetsons import RUNNING

    from edge_convnext.devices.bench import readings
    from edge_convnext.devices.catalog.this_board import find_board
    from edge_convnext.devices.jetson import power, state

    tree = write_tree(tmp_path / "nano", RUNNING["orin-nano-8gb"])
    meter, read_state = power.PowerMeter, state.read_state
    monkeypatch.setattr(readings, "find_board", lambda: find_board(tree))
    monkeypatch.setattr(readings, "_IDLE_S", 0.01)
    meters = []
    monkeypatch.setattr(
        readings,
        "PowerMeter",
        lambda board: meters.append(meter(board, tree, interval_ms=5)) or meters[-1],
    )
    monkeypatch.setattr(readings, "read_state", lambda: read_state(tree))
    settings = replace(ORT, energy_seconds=0.05)
    report = bench_bundle(root / "tiny.ecb", tmp_path / "out", settings)
    assert report.board.state_before["temperatures_c"]
    for one in report.board.energy:
        assert "VDD_IN" in one.power_scope
        assert one.mean_w == pytest.approx(4.984 * 1.856)
        assert one.idle_w == pytest.approx(4.984 * 1.856)
    assert len(report.board.energy) == 2
    assert [one.can_read for one in meters] == [False]  # closed: no file and no tool is held


def test_clocks_that_can_not_be_locked_are_no_locked_clocks(root, tmp_path):
    settings = replace(ORT, lock_clocks=True)
    with pytest.raises(BoardError, match="not a Jetson; leave out --lock-clocks"):
        bench_bundle(root / "tiny.ecb", tmp_path / "out", settings, readings=NoReadings())
    assert not (tmp_path / "out").exists()
