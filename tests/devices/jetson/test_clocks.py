import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from edge_convnext.core.errors import BoardError
from edge_convnext.devices.jetson.clocks import locked_clocks
from edge_convnext.devices.jetson.tools import ToolAnswer

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Jetsons run Linux")


class Tool:
    """`jetson_clocks` that keeps what it was told."""

    def __init__(self, fails=()):
        self.calls, self.fails = [], fails

    def __call__(self, command):
        tool, *arguments = command
        assert tool == "jetson_clocks"
        call = arguments[0] if arguments else "lock"
        self.calls.append(call)
        if call in self.fails:
            return ToolAnswer(1, "Error: no\n")
        if call == "--store":
            assert not Path(arguments[1]).exists()  # it would ask
            Path(arguments[1]).write_text("stored")
        return ToolAnswer(0, "")


def test_clocks_are_stored_locked_and_restored(tmp_path):
    tool, store = Tool(), tmp_path / "clocks.conf"
    with locked_clocks(tool, store=store, is_root=True):
        assert tool.calls == ["--store", "lock"]
        assert store.exists()
    assert tool.calls == ["--store", "lock", "--restore"]
    assert not store.exists()


def fail(error):
    raise error


@pytest.mark.parametrize("error", [ValueError("broken"), KeyboardInterrupt(), SystemExit(1)])
def test_clocks_are_restored_after_an_error(tmp_path, error):
    tool = Tool()
    with (
        pytest.raises(type(error)),
        locked_clocks(tool, store=tmp_path / "clocks.conf", is_root=True),
    ):
        fail(error)
    assert tool.calls[-1] == "--restore"


def send_and_wait(number):
    os.kill(os.getpid(), number)
    time.sleep(5)  # the signal ends it


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_restores_them_too(tmp_path, number):
    tool, before = Tool(), signal.SIG_DFL
    outer = signal.signal(number, before)  # nohup ignores SIGHUP
    with (
        pytest.raises(SystemExit) as left,
        locked_clocks(tool, store=tmp_path / "clocks.conf", is_root=True),
    ):
        send_and_wait(number)
    assert left.value.code == 128 + number
    assert tool.calls[-1] == "--restore"
    assert signal.getsignal(number) is before
    signal.signal(number, outer)


@pytest.mark.parametrize("handler", [signal.SIG_IGN, lambda *_: None])
def test_a_signal_that_someone_sees_to_is_left_to_them(tmp_path, handler):
    outer = signal.signal(signal.SIGHUP, handler)
    try:
        with locked_clocks(Tool(), store=tmp_path / "clocks.conf", is_root=True):
            assert signal.getsignal(signal.SIGHUP) is handler
    finally:
        signal.signal(signal.SIGHUP, outer)


def start_holder(folder, inside, before=""):
    """A process that holds the clocks while `inside` runs, and writes down what it called."""
    code = f"""
        import hashlib, time
        from pathlib import Path
        from edge_convnext.cli import stopping
        from edge_convnext.devices.jetson.clocks import locked_clocks
        from edge_convnext.devices.jetson.tools import ToolAnswer

        def run(command):
            with Path({str(folder / "calls")!r}).open("a") as file:
                print(*command[1:2] or ["lock"], file=file)
            if "--store" in command:
                Path(command[2]).touch()
            return ToolAnswer(0, "")

        {before}
        with locked_clocks(run, store=Path({str(folder / "clocks.conf")!r}), is_root=True):
            print("locked", flush=True)
            {inside}
    """
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def test_a_real_process_restores_before_it_dies(tmp_path):
    with start_holder(tmp_path, "time.sleep(60)") as child:
        assert child.stdout.readline() == "locked\n"
        child.terminate()
        assert child.wait(timeout=30) == 143
    assert (tmp_path / "calls").read_text().split() == ["--store", "lock", "--restore"]


def test_a_command_stuck_in_native_code_restores_before_it_leaves(tmp_path):
    minutes = 'hashlib.pbkdf2_hmac("sha256", b"", b"", 1 << 30)'  # without Python in between
    with start_holder(tmp_path, minutes, before="stopping.install()") as child:
        assert child.stdout.readline() == "locked\n"
        time.sleep(0.5)  # until it is in there
        child.terminate()
        assert child.wait(timeout=30) == 143
        assert child.stderr.read().split(";")[0].strip() == "terminated"
    assert (tmp_path / "calls").read_text().split() == ["--store", "lock", "--restore"]


def test_what_a_killed_run_left_is_restored_first(tmp_path):
    tool, store = Tool(), tmp_path / "clocks.conf"
    store.write_text("left behind")
    with locked_clocks(tool, store=store, is_root=True):
        pass
    assert tool.calls == ["--restore", "--store", "lock", "--restore"]


def test_only_one_process_holds_the_clocks(tmp_path):
    store = tmp_path / "clocks.conf"
    with locked_clocks(Tool(), store=store, is_root=True):
        tool = Tool()
        with (
            pytest.raises(BoardError, match="another process holds the clocks"),
            locked_clocks(tool, store=store, is_root=True),
        ):
            pass
    assert tool.calls == []


def test_without_root_the_command_is_said_and_nothing_run(tmp_path):
    tool = Tool()
    with (
        pytest.raises(BoardError) as refused,
        locked_clocks(tool, store=tmp_path / "clocks.conf", is_root=False),
    ):
        pass
    assert tool.calls == []
    assert "only root may lock the clocks" in str(refused.value)
    assert "sudo jetson_clocks --restore clocks.conf" in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("step", "calls"),
    [
        ("--store", ["--store"]),
        ("lock", ["--store", "lock", "--restore"]),
        ("--restore", ["--store", "lock", "--restore"]),
    ],
)
def test_a_tool_that_fails_is_an_error_of_one_line(tmp_path, step, calls):
    tool, store = Tool(fails=[step]), tmp_path / "clocks.conf"
    with (
        pytest.raises(BoardError, match=r"jetson_clocks.* failed \(Error: no\)") as refused,
        locked_clocks(tool, store=store, is_root=True),
    ):
        pass
    assert "\n" not in str(refused.value)
    assert tool.calls == calls
    assert store.exists() == (step == "--restore")  # kept, to restore by hand


def test_a_folder_that_may_not_be_written_is_an_error_of_one_line(tmp_path):
    with (
        pytest.raises(BoardError, match="can't write"),
        locked_clocks(Tool(), store=tmp_path / "absent" / "clocks.conf", is_root=True),
    ):
        pass
