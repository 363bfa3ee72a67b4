"""Run a function in a child Python that may crash or hang without hurting this process.

Graph optimizers and engine builders are native code: they segfault, run out of memory, or
never come back. The child is a fresh interpreter (no fork of a process with threads), in a
process group of its own, so that everything it starts can be ended with it. Call and result are
passed as pickles through a private scratch folder.
"""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from edge_convnext.core.errors import EdgeConvNextError, reason_of
from edge_convnext.core.scratch import scratch_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["Child", "IsolatedFailure", "end_children", "run_isolated", "start_isolated"]

T = TypeVar("T")

_REASON_CHARS = 400
_CALL, _RESULT, _OUTPUT = "call.pickle", "result.pickle", "output.txt"
# `-c` puts the working folder first on sys.path; the parent's own path replaces it before
# anything is imported, so that a stray file beside the user can't shadow a module.
_BOOTSTRAP = (
    "import sys; folder, parent, *sys.path[:] = sys.argv[1:]; "
    "from edge_convnext.core import isolate; isolate._serve(folder, int(parent))"
)
_OUTPUT_TAIL_BYTES = 8192
_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_running: set[subprocess.Popen[bytes]] = set()


@dataclass(frozen=True)
class IsolatedFailure:
    """The reason, in one line, why the child gave no result."""

    reason: str
    crashed: bool = False  # it died before it had a result, and was not ended by us


@dataclass(frozen=True)
class Child:
    """A call that runs in a child process; see `start_isolated`."""

    _process: subprocess.Popen[bytes]
    _folder: Path

    def result(self, timeout_s: float) -> Any | IsolatedFailure:
        """Wait for the call's result; see `run_isolated`.

        Args:
            timeout_s: Seconds until the child is killed.
        """
        try:
            status = self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            _end(self._process)
            return IsolatedFailure(f"still running after {timeout_s:g} s, so it was ended")
        _end(self._process)  # what it started may still run
        return _read_result(self._folder, status)


@contextmanager
def start_isolated(function: Callable[..., Any], *arguments: Any) -> Iterator[Child]:
    """Begin `function(*arguments)` in a fresh child process, and go on meanwhile.

    The child's output is not shown; its last line is quoted when it dies. The child and all
    processes that it started are gone at the end of the block. On Linux the child also dies with
    this process, even if that is killed.

    Args:
        function: A module-level function of an importable module (not `__main__`).
        arguments: Picklable positional arguments.

    Yields:
        The child, which is asked for the result.
    """
    with scratch_folder() as folder:
        (folder / _CALL).write_bytes(pickle.dumps((function, arguments)))
        command = [sys.executable, "-c", _BOOTSTRAP, str(folder), str(os.getpid()), *sys.path]
        with (folder / _OUTPUT).open("wb") as output:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        _running.add(process)
        try:
            yield Child(process, folder)
        finally:
            _end(process)
            _running.discard(process)


def run_isolated(
    function: Callable[..., T], arguments: tuple[Any, ...], timeout_s: float
) -> T | IsolatedFailure:
    """Call `function(*arguments)` in a fresh child process, and wait: see `start_isolated`.

    Args:
        function: A module-level function of an importable module (not `__main__`).
        arguments: Picklable positional arguments.
        timeout_s: Seconds until the child is killed.

    Returns:
        The function's picklable result; or the failure, when it raised, crashed, was killed or
        ran out of time.
    """
    with start_isolated(function, *arguments) as child:
        return cast("T | IsolatedFailure", child.result(timeout_s))


def end_children() -> None:
    """Kill the running child, for a process that must exit without unwinding."""
    for child in list(_running):
        _end(child)


def _end(child: subprocess.Popen[bytes]) -> None:
    """Kill the child's whole process group, then reap the child."""
    try:
        if sys.platform == "win32":
            child.kill()
        else:
            os.killpg(child.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass  # it ended by itself and left no process behind (macOS raises the second error)
    child.wait()


def _read_result(folder: Path, status: int) -> Any:
    result = folder / _RESULT
    if status == 0 and result.exists():  # the function itself may call sys.exit(0)
        return pickle.loads(result.read_bytes())
    last = _last_line(folder / _OUTPUT)
    said = f"; it last said: {last}" if last else ""
    if status < 0:
        return IsolatedFailure(f"crashed with {_signal_name(-status)}{said}", crashed=True)
    return IsolatedFailure(f"ended with exit status {status}{said}", crashed=True)


def _signal_name(number: int) -> str:
    try:
        name = signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
    return f"{name} (out of memory?)" if name == "SIGKILL" else name


def _last_line(output: Path) -> str:
    with output.open("rb") as file:
        file.seek(max(0, output.stat().st_size - _OUTPUT_TAIL_BYTES))
        lines = file.read().decode("utf-8", errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


def _serve(scratch: str, parent: int) -> None:
    """The child's side: load the call, run it, leave the outcome."""
    _die_with(parent)
    folder = Path(scratch)
    try:
        function, arguments = pickle.loads((folder / _CALL).read_bytes())
        data = pickle.dumps(function(*arguments))
    except EdgeConvNextError as error:
        data = pickle.dumps(IsolatedFailure(_one_line(str(error))))
    except Exception as error:  # any error of a third-party library is a result here
        reason = _one_line(f"{type(error).__name__}: {reason_of(error)}")
        data = pickle.dumps(IsolatedFailure(reason))
    (folder / _RESULT).write_bytes(data)
    # Native libraries also crash while the interpreter shuts down; the result is safe by now.
    os._exit(0)


def _die_with(parent: int) -> None:
    if sys.platform != "linux":
        return
    import ctypes

    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it was gone before the request above
        os._exit(1)


def _one_line(text: str) -> str:
    """Keep the beginning (what failed) and the end (why) of a long message."""
    line = " ".join(text.split())
    half = _REASON_CHARS // 2
    return line if len(line) <= _REASON_CHARS else f"{line[:half]} … {line[-half:]}"
