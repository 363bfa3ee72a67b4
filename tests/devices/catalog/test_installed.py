import platform
import subprocess

import pytest
from support.recorded_boards import ORIN_NANO, write_tree

from edge_convnext.devices.catalog import installed
from edge_convnext.devices.catalog.installed import (
    Stack,
    find_power_mode,
    find_stack,
    parse_power_mode,
    read_start,
    stored_power_mode,
)


def test_the_stack_is_found_in_the_boards_files(tmp_path):
    python = platform.python_version()
    assert find_stack(write_tree(tmp_path, ORIN_NANO)) == Stack("12.6.11", "10.3.0", python)
    assert find_stack(tmp_path / "none") == Stack(None, None, python)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"cuda": 1}', "[" * 100_000])
def test_a_version_file_of_another_make_tells_nothing(tmp_path, text):
    root = write_tree(tmp_path, {"usr/local/cuda/version.json": text})
    assert find_stack(root).cuda is None


def test_the_power_mode_is_what_the_tool_says_or_left_in_its_files(tmp_path, monkeypatch):
    root = write_tree(tmp_path, ORIN_NANO)
    assert parse_power_mode("x\nNV Power Mode: 25W\n2\n") == "25W"
    assert parse_power_mode("2\n") is None
    assert stored_power_mode(root) == "MAXN_SUPER"
    assert stored_power_mode(tmp_path / "none") is None
    answers = iter([b"NV Power Mode: 15W\n", b"\xff\n"])
    done = lambda *_, **__: subprocess.CompletedProcess([], 0, next(answers))  # noqa: E731
    monkeypatch.setattr(installed.subprocess, "run", done)
    assert find_power_mode(root) == "15W"
    assert find_power_mode(root) == "MAXN_SUPER"

    def missing(*_arguments, **_options):
        raise FileNotFoundError

    monkeypatch.setattr(installed.subprocess, "run", missing)
    assert find_power_mode(root) == "MAXN_SUPER"


def test_of_a_file_the_start_is_read_whatever_it_is(tmp_path):
    (tmp_path / "a").write_bytes(b"ab\xffcd")
    assert read_start(tmp_path / "a", 3) == "ab\ufffd"
    assert read_start(tmp_path) == ""
