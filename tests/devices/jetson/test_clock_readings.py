import pytest
from support.recorded_boards import write_tree
from support.recorded_jetsons import (
    NEEDS_ROOT,
    RUNNING_NANO,
    SHOW_AGX,
    SHOW_NANO,
    SHOW_NANO_LOCKED,
    SHOW_THOR_LOCKED,
    tools,
)

from edge_convnext.devices.jetson.clock_readings import parse_show
from edge_convnext.devices.jetson.state import read_state

NO_TOOLS = tools()


@pytest.mark.parametrize(
    ("shown", "locked"),
    [
        (SHOW_NANO, False),
        (SHOW_AGX, False),
        (SHOW_NANO_LOCKED, True),
        (SHOW_THOR_LOCKED, True),
        (SHOW_NANO_LOCKED.replace("FreqOverride=1", "FreqOverride=0"), False),
        (SHOW_NANO_LOCKED.replace(" FreqOverride=1", ""), True),  # newer releases print none
        (SHOW_NANO_LOCKED.replace("CurrentFreq=1020000000", "CurrentFreq=918000000"), False),
        (SHOW_NANO_LOCKED.replace("GPU MinFreq=1020000000", "GPU MinFreq=306000000"), False),
        ("GPU MinFreq=5 MaxFreq=5 CurrentFreq=5\n", None),  # nothing about the CPU
        ("", None),
        ("cpu0: Online=1 MinFreq= MaxFreq=x\nGPU MinFreq=\0", None),
    ],
)
def test_clocks_are_locked_where_minimum_maximum_and_present_are_one(shown, locked):
    assert parse_show(shown).locked is locked


def test_without_root_the_clocks_come_from_sysfs(tmp_path):
    state = read_state(write_tree(tmp_path, RUNNING_NANO), tools(jetson_clocks=NEEDS_ROOT))
    assert (state.power_mode, state.clocks_source) == ("MAXN_SUPER", "sysfs")
    assert [clock.name for clock in state.clocks] == ["policy0", "policy4", "gpu"]  # no VIC
    assert state.clocks_locked is False
    assert state.notes == (
        "jetson_clocks --show needs root here; the memory clock is not readable without root: "
        "clocks from sysfs",
    )


def test_the_memory_clock_is_read_where_debugfs_may_be(tmp_path):
    emc = "sys/kernel/debug/bpmp/debug/clk/emc"
    files = {
        **RUNNING_NANO,
        f"{emc}/max_rate": "3199000000\n",
        f"{emc}/min_rate": "204000000\n",
        f"{emc}/rate": "3199000000\n",
        f"{emc}/mrq_rate_locked": "1\n",
    }
    clock = read_state(write_tree(tmp_path, files), NO_TOOLS).clocks[-1]
    assert (clock.name, clock.current_hz, clock.override, clock.locked) == (
        "emc",
        3_199_000_000,
        True,
        True,
    )
