from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from edge_convnext.core import contention
from edge_convnext.core.contention import CpuClock, largest_load_pct, other_load_pct, read_cpu_clock

linux = pytest.mark.skipif(not Path("/proc/stat").exists(), reason="there is no /proc/stat")


def test_the_load_of_others_is_their_share_of_the_cores_time():
    before = CpuClock(wall=100.0, own=7.0, busy=50.0, cores=2)
    after = CpuClock(wall=110.0, own=15.0, busy=63.0, cores=2)
    assert other_load_pct(before, after) == 25.0  # 13 s busy, 8 s own, of 20 s


def test_clock_ticks_too_coarse_for_the_difference_give_no_negative_load():
    before = CpuClock(wall=0.0, own=0.0, busy=0.0, cores=1)
    assert other_load_pct(before, CpuClock(1.0, 0.5, 0.49, 1)) == 0.0


def test_an_unknown_load_is_none(monkeypatch, tmp_path):
    clock = CpuClock(1.0, 1.0, 1.0, 1)
    assert other_load_pct(None, clock) is None
    assert other_load_pct(clock, clock) is None
    monkeypatch.setattr(contention, "_STAT", tmp_path / "none")
    assert read_cpu_clock() is None


@linux
def test_work_of_another_process_is_seen_and_own_work_is_not():
    spin = "import time; end = time.monotonic() + 0.5\nwhile time.monotonic() < end: pass"
    before = read_cpu_clock()
    subprocess.run([sys.executable, "-c", spin], check=True)
    after = read_cpu_clock()
    assert after.busy - before.busy > 0.1
    assert after.own - before.own < 0.3
    own_before = read_cpu_clock()
    while time.process_time() - own_before.own < 0.1:
        pass
    assert read_cpu_clock().own - own_before.own >= 0.1


def test_of_several_loads_the_largest_known_one_counts():
    assert largest_load_pct([1.0, None, 3.0]) == 3.0
    assert largest_load_pct([None]) is None
    assert largest_load_pct([]) is None
