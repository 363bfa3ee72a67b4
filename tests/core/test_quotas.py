"""File systems as they were recorded in containers, and of a machine without quotas."""

import os

import pytest

from edge_convnext.core import quotas
from edge_convnext.core.quotas import (
    free_memory_bytes,
    read_cpu_quota,
    read_throttling,
    sharing_cores,
    usable_cores,
)
from edge_convnext.devices.doctor import environment, examine

V2 = "31 23 0:28 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup rw,nsdelegate\n"
V1 = (
    "32 31 0:29 {root} /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct\n"
    "34 31 0:31 {root} /sys/fs/cgroup/cpuset rw,relatime - cgroup cgroup rw,cpuset\n"
)
GROUPS_V1 = "5:cpuset:{0}\n2:cpu,cpuacct:{0}\n1:name=systemd:{0}\n"
STAT = "nr_periods 90\nnr_throttled {}\nthrottled_time 5\n"
TOP_V1 = "sys/fs/cgroup/cpu,cpuacct"


def v1(folder, quota, period=100_000, throttled=0):
    return {
        f"{folder}/cpu.cfs_quota_us": f"{quota}\n",
        f"{folder}/cpu.cfs_period_us": f"{period}\n",
        f"{folder}/cpu.stat": STAT.format(throttled),
    }


def v2(folder, limit, throttled=0):
    stat = f"usage_usec 7\nnr_periods 9\nnr_throttled {throttled}\nthrottled_usec 1\n"
    return {f"{folder}/cpu.max": f"{limit}\n", f"{folder}/cpu.stat": stat}


TOP, POD = "sys/fs/cgroup", "kubepods.slice/pod7.slice/cri.scope"
CASES = {
    "no cgroups": (None, "", "", {}),
    "version 2, no limit": (None, "0::/\n", V2, v2(TOP, "max 100000", 3)),
    "version 2, its root, which has no cpu.max": (
        *(None, "0::/user.slice\n", V2),
        {f"{TOP}/cpu.stat": "usage_usec 7\n"},
    ),
    "docker --cpus 1, version 2": (1.0, "0::/\n", V2, v2(TOP, "100000 100000")),
    "docker --cpus 1.5, version 2": (1.5, "0::/\n", V2, v2(TOP, "150000 100000")),
    "a limit of 300m": (0.3, "0::/\n", V2, v2(TOP, "30000 100000")),
    "another period": (2.0, "0::/\n", V2, v2(TOP, "20000 10000")),
    "a pod's limit, seen from the host": (
        2.0,
        f"0::/{POD}\n",
        V2,
        v2(f"{TOP}/{POD}", "max 100000") | v2(f"{TOP}/kubepods.slice/pod7.slice", "200000 100000"),
    ),
    "the tighter of two": (
        0.5,
        f"0::/{POD}\n",
        V2,
        v2(f"{TOP}/{POD}", "400000 100000") | v2(f"{TOP}/kubepods.slice", "50000 100000"),
    ),
    "a neighbour's limit": (None, "0::/a\n", V2, v2(f"{TOP}/b", "100000 100000")),
    "a path outside of what is seen": (1.0, "0::/../../b\n", V2, v2(TOP, "100000 100000")),
    "docker --cpus 1, version 1": (
        *(1.0, GROUPS_V1.format("/docker/f00d"), V1.format(root="/docker/f00d")),
        v1(TOP_V1, 100_000),
    ),
    "version 1, the host's tree": (
        *(2.5, GROUPS_V1.format("/a/b"), V1.format(root="/")),
        v1(f"{TOP_V1}/a/b", -1) | v1(f"{TOP_V1}/a", 250_000) | v1(TOP_V1, -1),
    ),
    "version 1, no limit": (
        *(None, GROUPS_V1.format("/"), V1.format(root="/")),
        v1(TOP_V1, -1),
    ),
    "both versions": (
        *(1.0, GROUPS_V1.format("/") + "0::/\n", V1.format(root="/") + V2),
        v1(TOP_V1, 100_000),
    ),
    "a blank in the mount's name": (
        *(1.0, "0::/\n", V2.replace("/sys/fs/cgroup", "/sys/fs/c\\040group")),
        v2("sys/fs/c group", "100000 100000"),
    ),
    "nonsense": (None, "0::\n:\n\n5\n", V2 + "1 2 3\nx - cgroup\n - \n", v2(TOP, "0 0")),
    "more nonsense": (None, "0::/\n", V2, v2(TOP, "x -5")),
}  # fmt: skip


def write(root, groups, mounts, files):
    for name, text in {
        "proc/self/cgroup": groups,
        "proc/self/mountinfo": mounts,
        **files,
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


@pytest.mark.parametrize("case", CASES)
def test_the_quota_is_the_tightest_of_the_groups_above(tmp_path, case):
    quota, groups, mounts, files = CASES[case]
    assert read_cpu_quota(write(tmp_path, groups, mounts, files)) == quota


@pytest.mark.parametrize(
    ("limit", "seen", "cores"),
    [("150000", 8, 1), ("200000", 8, 2), ("30000", 8, 1), ("800000", 4, 4), ("max", 8, 8)],
)
def test_threads_are_whole_cpus_of_the_quota_and_no_more_than_are_seen(
    tmp_path, monkeypatch, limit, seen, cores
):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(seen)), raising=False)
    assert usable_cores(write(tmp_path, "0::/\n", V2, v2(TOP, f"{limit} 100000"))) == cores


def test_throttled_periods_are_those_of_every_group_with_a_quota(tmp_path):
    files = v2(f"{TOP}/a/b", "max 100000", 100) | v2(f"{TOP}/a", "100000 100000", 4)
    root = write(tmp_path, "0::/a/b\n", V2, files | v2(TOP, "200000 100000", 30))
    assert read_throttling(root) == 34
    assert read_throttling(write(tmp_path / "b", "0::/\n", V2, v2(TOP, "max 100000", 9))) is None
    one = v1(TOP_V1, 50_000, throttled=7)
    assert read_throttling(write(tmp_path / "c", "2:cpu:/\n", V1.format(root="/"), one)) == 7


def test_a_quota_is_in_the_report_and_makes_another_machine_of_it(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0}, raising=False)
    free, limited, half = (
        environment(examine(write(tmp_path / limit, "0::/\n", V2, v2(TOP, f"{limit} 100000"))))
        for limit in ("max", "100000", "50000")
    )
    assert [one["cpu_quota"] for one in (free, limited, half)] == [None, 1.0, 0.5]
    assert {one["cores"] for one in (free, limited, half)} == {1}
    assert len({one["fingerprint"] for one in (free, limited, half)}) == 3
    nothing = environment(examine(tmp_path / "nothing"))
    assert nothing["fingerprint"] == free["fingerprint"]


def test_a_race_counts_the_periods_in_which_a_quota_stopped_it(monkeypatch):
    from edge_convnext.core import quotas

    told = iter([10, 14])
    monkeypatch.setattr(quotas, "read_throttling", lambda *_: next(told))
    assert quotas.throttled_since(quotas.read_throttling()) == 4
    monkeypatch.setattr(quotas, "read_throttling", lambda *_: None)  # the quota is gone
    assert quotas.throttled_since(10) is None
    assert quotas.sum_periods([None, 3, None, 4]) == 7
    assert quotas.sum_periods([None, None]) is None


def test_free_memory_is_what_new_work_can_have(tmp_path):
    assert free_memory_bytes(tmp_path) is None
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc" / "meminfo").write_text("MemFree: 1 kB\nMemAvailable:    2048 kB\n")
    assert free_memory_bytes(tmp_path) == 2 << 20
    (tmp_path / "proc" / "meminfo").write_text("MemFree: 1 kB\n")
    assert free_memory_bytes(tmp_path) is None


def test_processes_of_one_build_share_the_cores(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(5)), raising=False)
    monkeypatch.setattr(quotas, "read_cpu_quota", lambda _: None)
    with sharing_cores(2):
        assert usable_cores() == 2
        with sharing_cores(9):
            assert usable_cores() == 1
        assert usable_cores() == 2
    assert usable_cores() == 5
