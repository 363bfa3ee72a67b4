"""Freed blocks stay in the heap where there is memory for them, and nothing else changes."""

import subprocess
import sys
import textwrap
from functools import partial

import pytest

from edge_convnext.core import heap as module
from edge_convnext.core.heap import keep_heap
from edge_convnext.core.quotas import free_memory_bytes


@pytest.fixture
def asked(tmp_path, monkeypatch):
    """What the C library was told; its settings are this process's for good."""
    told = []

    class Library:
        def __init__(self, name):
            assert name is None

        def mallopt(self, name, value):
            told.append((name, value))
            return 1

    monkeypatch.setattr(module.ctypes, "CDLL", Library)
    monkeypatch.setattr(module.sys, "platform", "linux")
    (tmp_path / "proc").mkdir()
    monkeypatch.setattr(module, "free_memory_bytes", partial(free_memory_bytes, tmp_path))
    return told


def free(tmp_path, kilobytes):
    (tmp_path / "proc" / "meminfo").write_text(f"MemTotal: 9 kB\nMemAvailable: {kilobytes} kB\n")


def test_with_memory_to_spare_nothing_is_mapped_by_itself(asked, tmp_path):
    free(tmp_path, 4 << 20)
    assert keep_heap()
    assert dict(asked) == {-4: 0, -1: 1 << 30, -2: 64 << 20}


def test_with_little_memory_or_on_another_system_all_stays_as_it_was(asked, tmp_path, monkeypatch):
    assert not keep_heap()  # nobody tells how much is free
    free(tmp_path, (4 << 20) - 1)
    assert not keep_heap()
    free(tmp_path, 9 << 20)
    monkeypatch.setattr(module.sys, "platform", "darwin")
    assert not keep_heap()
    assert asked == []


def test_a_library_without_such_settings_is_no_error(asked, tmp_path, monkeypatch):
    free(tmp_path, 9 << 20)
    monkeypatch.setattr(module.ctypes, "CDLL", lambda _: object())
    assert not keep_heap()


@pytest.mark.skipif(sys.platform != "linux", reason="the settings are those of glibc")
def test_a_large_array_faults_once_and_not_each_time():
    script = """
        import resource, sys
        import numpy as np
        from edge_convnext.core import heap
        heap._FREE_BYTES = 0
        if sys.argv[1] == "keep" and not heap.keep_heap():
            print("none"); raise SystemExit
        def faults():
            before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
            np.ones(5 << 20)  # 40 MiB
            return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
        print(max(faults(), faults()), faults())
    """
    plain, kept = (
        subprocess.run(
            [sys.executable, "-c", textwrap.dedent(script), how],
            capture_output=True, text=True, check=True,
        ).stdout
        for how in ("plain", "keep")
    )  # fmt: skip
    if kept.strip() == "none":
        pytest.skip("this C library has no such settings")
    assert int(plain.split()[1]) > 10 * max(1, int(kept.split()[1]))
