"""Stop on Ctrl-C and SIGTERM: one line, exit code 130 or 143, and nothing left running."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

__all__ = ["Stopped", "install", "last_word", "leave"]

_PATIENCE_S = 2.0
_leaving = threading.Event()
_received: list[int] = []
# Commands that find again what they finished: in the cache, a board's folder, a training state.
_KEEPING = frozenset({"bench", "build", "recover", "sensitivity", "train", "tune"})
_WORDS = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}


class Stopped(BaseException):
    """Raised on SIGINT and SIGTERM; typer would swallow a `KeyboardInterrupt` silently."""


@contextmanager
def last_word() -> Iterator[None]:
    """Whatever ends the block after a signal, report the signal as the reason.

    torch's exporter, for example, turns any exception that stops it into an error of its own.
    """
    try:
        yield
    finally:
        if _received:
            leave(_received.pop())


def install() -> None:
    """Have both signals raise `Stopped` in the main thread.

    A signal that the parent process ignores stays ignored, such as Ctrl-C for a shell's background
    jobs. Python handles a signal only when the main thread returns from native code, and a library
    may swallow the exception. So a thread, which the system's handler wakes, ends the process 2 s
    later.
    """
    ours = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
    caught = [number for number, usual in ours.items() if signal.getsignal(number) is usual]
    if not caught or threading.current_thread() is not threading.main_thread():
        return
    if sys.platform != "win32":
        reading, writing = os.pipe()
        os.set_blocking(writing, False)
        threading.Thread(target=_watch, args=(reading,), daemon=True, name="stopping").start()
        signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
        os.register_at_fork(after_in_child=_forget)
    for number in caught:
        signal.signal(number, _stop)


def leave(number: int) -> NoReturn:
    """Print the reason and exit, without waiting for worker threads of the runtimes."""
    _leaving.set()
    if isolate := sys.modules.get("edge_convnext.core.isolate"):  # if not imported: no children
        isolate.end_children()
    if clocks := sys.modules.get("edge_convnext.devices.jetson.clocks"):  # else none are locked
        clocks.restore_now()
    if modes := sys.modules.get("edge_convnext.devices.jetson.power_modes"):  # else none is held
        modes.restore_now()
    if live := sys.modules.get("edge_convnext.devices.ssh.running"):  # else no board is in use
        live.stop_all(lambda line: print(f"\n{line}", end="", file=sys.stderr, flush=True))
    word = _WORDS[signal.Signals(number)]
    sys.stderr.write(f"\n{word}{_how_to_go_on(sys.argv[1:])}\n")
    sys.stderr.flush()
    os._exit(128 + number)


def _how_to_go_on(arguments: list[str]) -> str:
    """What is kept of the command that was stopped; empty for one that keeps nothing."""
    command = next((word for word in arguments if not word.startswith("-")), "")
    return "; finished stages are kept, run again to go on" if command in _KEEPING else ""


def _forget() -> None:
    """Reset signals in a forked child: it shares the pipe, and its signals must not stop us."""
    signal.set_wakeup_fd(-1)
    for number in _WORDS:
        if signal.getsignal(number) in (_stop, _leave):
            signal.signal(number, signal.SIG_DFL)


def _stop(number: int, _frame: FrameType | None) -> None:
    for each in _WORDS:  # a second signal stops at once
        if signal.getsignal(each) is _stop:
            signal.signal(each, _leave)
    _received.append(number)
    raise Stopped


def _leave(number: int, _frame: FrameType | None) -> None:
    leave(number)


def _watch(reading: int) -> None:
    while number := os.read(reading, 1)[0]:
        if number in tuple(_WORDS) and not _leaving.wait(_PATIENCE_S):
            leave(number)
