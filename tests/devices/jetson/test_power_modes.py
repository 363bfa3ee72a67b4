"""Power modes on a Jetson that is played: `nvpmodel` is a function."""

import pytest

from edge_convnext.core.errors import BoardError
from edge_convnext.devices.jetson import power_modes
from edge_convnext.devices.jetson.power_modes import JetsonModes, PowerMode, restore_now
from edge_convnext.devices.jetson.tools import ToolAnswer

CONFIG = """\
< POWER_MODEL ID=1 NAME=MODE_15W >
< POWER_MODEL ID=0 NAME=MAXN >
< POWER_MODEL ID=2 NAME=MODE_7W >
"""
NAMES = {0: "MAXN", 1: "MODE_15W", 2: "MODE_7W"}


class Tool:
    """Sets any mode but 2, which needs a restart."""

    def __init__(self):
        self.now, self.calls = 0, []

    def __call__(self, command):
        self.calls.append(list(command))
        if command[1] == "-q":
            return ToolAnswer(0, f"NV Power Mode: {NAMES[self.now]}\n{self.now}\n")
        if command[2] == "2":
            return ToolAnswer(255, "NVPM WARN: Reboot required for changing to this power mode")
        self.now = int(command[2])
        return ToolAnswer(0, "")

    @property
    def set(self):
        return [command[2] for command in self.calls if command[1] == "-m"]


@pytest.fixture
def tool():
    return Tool()


@pytest.fixture
def modes(tmp_path, tool):
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "nvpmodel.conf").write_text(CONFIG)
    return JetsonModes(tmp_path, tool, tmp_path / "store", is_root=True)


def test_modes_are_found_by_number_and_by_name_and_each_once(modes, tool):
    assert [mode.number for mode in modes.known()] == [0, 1, 2]
    assert modes.find(["mode_15w", "0", "1"]) == (PowerMode(1, "MODE_15W"), PowerMode(0, "MAXN"))
    assert modes.current() == PowerMode(0, "MAXN")
    assert PowerMode(0, "MAXN").label == "MAXN (0)"
    assert modes.find([]) == ()
    assert tool.set == []


def test_what_can_t_be_is_told_before_any_work(modes, tmp_path, tool):
    with pytest.raises(BoardError, match=r"'30W': this board has 0 \(MAXN\), 1 \(MODE_15W\)"):
        modes.find(["30W"])
    with pytest.raises(BoardError, match="only root may change the power mode"):
        JetsonModes(tmp_path, tool, is_root=False).find(["1"])
    with pytest.raises(BoardError, match="has no power modes"):
        JetsonModes(tmp_path / "nowhere", tool, is_root=True).find(["1"])
    assert JetsonModes(tmp_path / "nowhere", tool, is_root=False).find([]) == ()


def test_a_mode_is_held_for_a_block_and_the_found_one_is_set_again(modes, tool, tmp_path):
    with modes.hold(PowerMode(1, "MODE_15W")):
        assert tool.now == 1
        assert (tmp_path / "store").read_text() == "0\n"
    assert tool.set == ["1", "0"]
    assert not (tmp_path / "store").exists()
    with pytest.raises(KeyboardInterrupt), modes.hold(PowerMode(1, "MODE_15W")):
        raise KeyboardInterrupt
    assert tool.now == 0


def test_the_mode_in_force_is_not_set_again(modes, tool):
    with modes.hold(PowerMode(0, "MAXN")):
        pass
    assert tool.set == []


def test_a_mode_that_needs_a_restart_is_told_and_nothing_stays(modes, tool, tmp_path):
    message = r"did not take effect \(NVPM WARN: Reboot.*sudo nvpmodel"
    with pytest.raises(BoardError, match=message), modes.hold(PowerMode(2, "MODE_7W")):
        pytest.fail("it was not set")
    assert tool.now == 0
    assert not (tmp_path / "store").exists()


def test_after_a_kill_the_next_search_restores_first(modes, tool, tmp_path):
    (tmp_path / "store").write_text("0\n")
    tool.now = 1
    modes.find(["1"])
    assert tool.now == 0
    assert not (tmp_path / "store").exists()


def test_a_process_that_must_exit_restores_what_is_held(modes, tool):
    restore_now()
    assert tool.set == []
    with modes.hold(PowerMode(1, "MODE_15W")):
        restore_now()
        assert tool.now == 0
    assert power_modes._held == []


def test_no_mode_is_changed_where_the_found_one_is_not_known(tmp_path):
    silent = JetsonModes(tmp_path, lambda _: ToolAnswer(None, ""), tmp_path / "s", is_root=True)
    assert silent.current() is None
    with pytest.raises(BoardError, match="none is changed"), silent.hold(PowerMode(1, "x")):
        pytest.fail("it was held")
