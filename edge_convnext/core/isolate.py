"""Run a function in a child Python that may crash or hang without hurting this process.

Graph optimizers and engine builders are native code: they segfault, run out of memory, or
never come back. The child is a fresh interpreter (no fork of a process with threads), in a
process group of its own, so that everything it starts can be ended with it. Call and result are
passed as pickles through a private scratch folder.
"""

from __future__ import annotations

import contextlib
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

__all__ = ["Child", "IsolatedFailure", "end_children", "run_isolated", "start_child"]

T = TypeVar("T")

_REASON_CHARS = 400
_READY, _CALL, _RESULT, _OUTPUT = "ready.pickle", "call.pickle", "result.pickle", "output.txt"
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


class Child:
    """A child process that runs one call, and may get ready for it before it is known.

    Its output is not shown; its last line is quoted when it dies.
    """

    def __init__(self, folder: Path, warm_up: Callable[[], None] | None = None) -> None:
        self._folder = folder
        (folder / _READY).write_bytes(pickle.dumps(warm_up))
        command = [sys.executable, "-c", _BOOTSTRAP, str(folder), str(os.getpid()), *sys.path]
        with (folder / _OUTPUT).open("wb") as output:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        _running.add(self._process)

    def call(self, function: Callable[..., Any], *arguments: Any) -> None:
        """Begin `function(*arguments)`, once.

        Args:
            function: A module-level function of an importable module (not `__main__`).
            arguments: Picklable positional arguments.
        """
        (self._folder / _CALL).write_bytes(pickle.dumps((function, arguments)))
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it is gone: `result` says so
            self._process.stdin.close()  # it waits for this

    def result(self, timeout_s: float) -> Any | IsolatedFailure:
        """Wait for the call's result; see `run_isolated`.

        Args:
            timeout_s: Seconds until the child is killed.
        """
        try:
            status = self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.end()
            return IsolatedFailure(f"still running after {timeout_s:g} s, so it was ended")
        self.end()  # what it started may still run
        return _read_result(self._folder, status)

    def end(self) -> None:
        """Kill the child, if it still runs, and all of its group; only once, as numbers return."""
        if self._process not in _running:
            return
        if self._process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.close()
        _end(self._process)
        _running.discard(self._process)


@contextmanager
def start_child(warm_up: Callable[[], None] | None = None) -> Iterator[Child]:
    """Start a child process that waits for its call.

    The child and all processes of its group are gone at the end of the block. On Linux it also
    dies with this process, even if that is killed, and children that it started so die with it.

    Args:
        warm_up: A module-level function of an importable module that the child runs while it
            waits, such as one that imports what the call will need. Its errors are ignored.

    Yields:
        The child, which is given the call and asked for the result.
    """
    with scratch_folder() as folder:
        child = Child(folder, warm_up)
        try:
            yield child
        finally:
            child.end()


def run_isolated(
    function: Callable[..., T], arguments: tuple[Any, ...], timeout_s: float
) -> T | IsolatedFailure:
    """Call `function(*arguments)` in a fresh child process, and wait: see `start_child`.

    Args:
        function: A module-level function of an importable module (not `__main__`).
        arguments: Picklable positional arguments.
        timeout_s: Seconds until the child is killed.

    Returns:
        The function's picklable result; or the failure, when it raised, crashed, was killed or
        ran out of time.
    """
    with start_child() as child:
        child.call(function, *arguments)
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
    with contextlib.suppress(Exception):  # the call itself will say what is wrong
        warm_up = pickle.loads((folder / _READY).read_bytes())
        if warm_up is not None:
            warm_up()
    sys.stdin.buffer.read()  # until the parent has written the call, or is gone
    if not (folder / _CALL).is_file():
        os._exit(1)
    # From here on it reads nothing, as a program without a terminal.
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
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
