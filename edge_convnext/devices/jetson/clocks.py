"""Hold the clocks of a Jetson at their maximum while something is measured.

`jetson_clocks --store FILE` keeps the settings, `jetson_clocks` raises the clocks, and
`jetson_clocks --restore FILE` restores the settings. That happens also after an exception, Ctrl-C,
SIGTERM and a lost terminal (SIGHUP), and by `restore_now` where a process exits without unwinding.
After SIGKILL, FILE stays; the next lock restores it first. `--store` asks before it overwrites a
file, so FILE never exists when it is called.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

from edge_convnext.core.errors import BoardError
from edge_convnext.devices.jetson.tools import Run, run_tool

__all__ = ["locked_clocks", "restore_now"]

_STORE = Path("/run/edge-convnext-clocks.conf")  # gone after a restart, as are the clocks
_BY_HAND = (
    "lock them yourself: sudo jetson_clocks --store clocks.conf && sudo jetson_clocks, "
    "and afterwards sudo jetson_clocks --restore clocks.conf"
)
_held: list[tuple[Run, Path]] = []  # what `restore_now` has to restore


@contextlib.contextmanager
def locked_clocks(
    run: Run = run_tool, *, store: Path = _STORE, is_root: bool | None = None
) -> Iterator[None]:
    """Raise the clocks for the time of a `with` block, and restore them after it.

    Args:
        run: Function that runs `jetson_clocks`.
        store: File that keeps the settings.
        is_root: True where this process is root; None asks the system. No password is asked.

    Raises:
        BoardError: Not root, no `jetson_clocks`, another process holds the clocks, or the
            tool failed; the message says what to run by hand.
    """
    if not (_is_root() if is_root is None else is_root):
        raise BoardError(f"only root may lock the clocks; {_BY_HAND}")
    with _only_one(store.with_suffix(".lock")), _signals_end_the_block():
        if store.exists():
            _restore(run, store)
        _require(run, ["--store", str(store)])
        _held.append((run, store))
        try:
            _require(run, [])
            yield
        finally:
            _restore(run, store)
            _held.clear()


def restore_now() -> None:
    """Restore the clocks if they are held, for a process that must exit without unwinding."""
    for run, store in list(_held):
        with contextlib.suppress(BoardError):  # the next lock tries again
            _restore(run, store)


def _restore(run: Run, store: Path) -> None:
    with _signals_wait():
        _require(run, ["--restore", str(store)])
        store.unlink(missing_ok=True)


def _require(run: Run, arguments: list[str]) -> None:
    command = ["jetson_clocks", *arguments]
    answer = run(command)
    if not answer.ok:
        said = " ".join(answer.text.split()) or f"exit code {answer.code}"
        by_hand = f"run sudo {' '.join(command)}" if "--restore" in arguments else _BY_HAND
        raise BoardError(f"{' '.join(command)} failed ({said}); {by_hand}")


@contextlib.contextmanager
def _only_one(lock: Path) -> Iterator[None]:
    """Hold a file's lock; the system releases it even when the process is killed."""
    import fcntl

    try:
        file = lock.open("a")
    except OSError as error:
        raise BoardError(f"can't write {lock} ({error.strerror}); {_BY_HAND}") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise BoardError(f"another process holds the clocks ({lock}): wait for it") from None
        yield


@contextlib.contextmanager
def _signals_end_the_block() -> Iterator[None]:
    """Turn SIGTERM and SIGHUP into an exit that passes through `finally`.

    Signals that are ignored or handled already stay so: the command line turns SIGTERM into an
    exception itself, and under `nohup` a lost terminal ends nothing.
    """

    def leave(number: int, _frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may set handlers
        return
    ends = (signal.SIGTERM, signal.SIGHUP)
    caught = [number for number in ends if signal.getsignal(number) is signal.SIG_DFL]
    for number in caught:
        signal.signal(number, leave)
    try:
        yield
    finally:
        for number in caught:
            signal.signal(number, signal.SIG_DFL)


@contextlib.contextmanager
def _signals_wait() -> Iterator[None]:
    """Delay signals that would end the process until the block is done."""
    before = signal.pthread_sigmask(
        signal.SIG_BLOCK, (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
    )
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _is_root() -> bool:
    return hasattr(os, "geteuid") and os.geteuid() == 0
