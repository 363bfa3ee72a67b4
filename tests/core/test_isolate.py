import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from edge_convnext.core.errors import QuantizationError
from edge_convnext.core.isolate import IsolatedFailure, run_isolated, start_child

HERE = str(Path(__file__).parent)  # for children that import this file


def double(value: int) -> int:
    print("noise on stdout")
    return 2 * value


def own_pid() -> int:
    return os.getpid()


def fail(message: str) -> None:
    raise ValueError(message)


def fail_on_purpose() -> None:
    raise QuantizationError("node X: refused;\nchange it")


def segfault() -> None:
    print("about to crash", flush=True)
    os.kill(os.getpid(), signal.SIGSEGV)


def leave() -> None:
    sys.exit(0)


def give_lambda() -> object:
    return lambda: None


def hang_with_a_child(pids: str) -> None:
    grandchild = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    Path(pids).write_text(f"{os.getpid()} {grandchild.pid}")
    time.sleep(60)


def hold_isolated(pids: str) -> None:
    run_isolated(hang_with_a_child, (pids,), 60)


def is_alive(pid: int) -> bool:
    """Whether a process runs; a zombie that its new parent has not reaped counts as dead."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def wait_until_dead(pids: list[int]) -> bool:
    deadline = time.monotonic() + 5
    while any(is_alive(pid) for pid in pids):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def test_the_result_comes_back_and_the_noise_does_not(capfd: pytest.CaptureFixture[str]):
    assert run_isolated(double, (21,), 30) == 42
    assert capfd.readouterr() == ("", "")


def test_the_function_runs_in_another_process():
    assert run_isolated(own_pid, (), 30) != os.getpid()


def test_an_exception_is_a_failure_on_one_line():
    assert run_isolated(fail, ("two\nlines",), 30) == IsolatedFailure("ValueError: two lines")


def test_a_reason_as_long_as_a_page_keeps_its_beginning_and_its_end():
    failure = run_isolated(fail, ("x" * 3000 + " because",), 30)
    assert isinstance(failure, IsolatedFailure)
    assert failure.reason.startswith("ValueError: x")
    assert failure.reason.endswith("x because")
    assert len(failure.reason) < 500


def test_our_own_errors_keep_only_their_message():
    failure = run_isolated(fail_on_purpose, (), 30)
    assert failure == IsolatedFailure("node X: refused; change it")


def test_a_crash_names_the_signal_and_the_last_line():
    failure = run_isolated(segfault, (), 30)
    assert failure == IsolatedFailure("crashed with SIGSEGV; it last said: about to crash", True)


def test_a_function_that_exits_is_a_failure():
    assert run_isolated(leave, (), 30) == IsolatedFailure("ended with exit status 0", True)


def test_a_result_that_cannot_travel_is_a_failure():
    failure = run_isolated(give_lambda, (), 30)
    assert isinstance(failure, IsolatedFailure)
    assert "lambda" in failure.reason


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_timeout_ends_the_child_and_its_children(tmp_path: Path):
    pids = tmp_path / "pids"
    failure = run_isolated(hang_with_a_child, (str(pids),), 1)
    assert failure == IsolatedFailure("still running after 1 s, so it was ended")
    assert wait_until_dead([int(pid) for pid in pids.read_text().split()])


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("signal_name", ["SIGINT", "SIGTERM", "SIGKILL"])
def test_nothing_outlives_an_interrupted_parent(tmp_path: Path, signal_name: str):
    pids = tmp_path / "pids"
    code = f"import test_isolate; test_isolate.hold_isolated({str(pids)!r})"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([HERE, *sys.path])}
    parent = subprocess.Popen(
        [sys.executable, "-c", code], env=environment, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 20
    while not (pids.exists() and pids.read_text()) and time.monotonic() < deadline:
        time.sleep(0.02)
    parent.send_signal(signal.Signals[signal_name])
    parent.wait(10)
    child, grandchild = (int(pid) for pid in pids.read_text().split())
    try:
        assert wait_until_dead([child])
        if signal_name == "SIGINT":  # the parent could still clean up the whole group
            assert wait_until_dead([grandchild])
    finally:
        if is_alive(grandchild):
            os.kill(grandchild, signal.SIGKILL)


@pytest.mark.skipif(sys.platform == "win32", reason="there are no locks on folders")
def test_what_a_killed_process_left_in_the_temporary_folder_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    temporary, pids = tmp_path / "tmp", tmp_path / "pids"
    temporary.mkdir()
    code = f"import test_isolate; test_isolate.hold_isolated({str(pids)!r})"
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([HERE, *sys.path]),
        "TMPDIR": str(temporary),
    }
    parent = subprocess.Popen([sys.executable, "-c", code], env=environment)
    deadline = time.monotonic() + 20
    while not (pids.exists() and pids.read_text()) and time.monotonic() < deadline:
        time.sleep(0.02)
    parent.kill()
    parent.wait()
    left = list(temporary.glob("*/*/call.pickle"))
    assert len(left) == 1
    os.kill(int(pids.read_text().split()[1]), signal.SIGKILL)
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    assert run_isolated(double, (21,), 30) == 42
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize(
    "name",
    [
        "edge-convnext-2026-11-26",
        pytest.param(f"edge-convnext-{os.getpid()}-abc", id="edge-convnext-own-pid-abc"),
        "edge-convnext-99999999-abc",
        "edge-convnext-1-abc",
        "edge-convnext-thesis",
        f"edge-convnext-scratch-{os.getuid() if hasattr(os, 'getuid') else 0}",
    ],
)
def test_no_folder_of_the_user_s_is_removed_for_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    thesis = tmp_path / name / ("a" * 32) / "call.pickle"
    thesis.parent.mkdir(parents=True)
    thesis.write_text("years of work")
    (tmp_path / name / "notes.txt").write_text("mine")
    assert run_isolated(double, (21,), 30) == 42
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert thesis.read_text() == "years of work"
    assert (tmp_path / name / "notes.txt").read_text() == "mine"


def note_ready() -> None:
    Path("/proc/self/comm").write_text("ready")


def own_name() -> str:
    return Path("/proc/self/comm").read_text().strip()


@pytest.mark.skipif(sys.platform != "linux", reason="names a process through /proc")
def test_a_child_gets_ready_before_it_is_called_and_what_fails_then_fails_nothing():
    with start_child(note_ready) as child:
        child.call(own_name)
        assert child.result(60) == "ready"
    with start_child(segfault) as child:
        child.call(double, 21)
        assert child.result(60) == IsolatedFailure(
            "crashed with SIGSEGV; it last said: about to crash", crashed=True
        )
    with start_child(fail_on_purpose) as child:
        child.call(double, 21)
        assert child.result(60) == 42


def test_a_child_that_is_never_called_is_gone_after_the_block():
    with start_child() as child:
        pid = child._process.pid
        assert is_alive(pid)
    assert not is_alive(pid)


def read_input() -> bytes:
    return sys.stdin.buffer.read()


def test_a_call_has_nothing_to_read():
    assert run_isolated(read_input, (), 60) == b""
