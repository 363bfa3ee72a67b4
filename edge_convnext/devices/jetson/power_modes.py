"""Power modes of a Jetson: list them, take one for the time of a block, and go back.

`nvpmodel -m N` sets a mode, as root. Some need a restart: then `nvpmodel` asks, gets no answer, and
the mode stays as it was. No mode is changed that a user did not list. The mode that was found is
written to a file first. It is set again after the block, even after a signal. After
SIGKILL the file stays, and the next search sets that mode before anything else.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from edge_convnext.core.errors import BoardError, shorten
from edge_convnext.devices.catalog.installed import read_start
from edge_convnext.devices.jetson.tools import Run, run_tool

__all__ = ["JetsonModes", "PowerMode", "PowerModes", "restore_now"]

_STORE = Path("/run/edge-convnext-power-mode")  # gone after a restart, which sets the default mode
_CONFIG = "etc/nvpmodel.conf"
_held: list[JetsonModes] = []  # what `restore_now` has to restore


@dataclass(frozen=True)
class PowerMode:
    """One mode, as `nvpmodel` numbers and names it."""

    number: int
    name: str

    @property
    def label(self) -> str:
        """Such as `MAXN (0)`."""
        return f"{self.name} ({self.number})"


class PowerModes(Protocol):
    """The power modes of a board."""

    def find(self, asked: Sequence[str]) -> tuple[PowerMode, ...]:
        """The modes of numbers or names, before any work is done.

        Raises:
            BoardError: The board has no such mode, or may not be set here.
        """
        ...

    def current(self) -> PowerMode | None:
        """The mode in force; None where it is not known."""
        ...

    def hold(self, mode: PowerMode) -> AbstractContextManager[object]:
        """Take a mode for the time of a block.

        Raises:
            BoardError: The board does not take it now.
        """
        ...


class JetsonModes:
    """The modes of this Jetson.

    Args:
        root: Root of a file system, the running one's or a recorded one's.
        run: Function that runs `nvpmodel`.
        store: File that keeps the mode that was found.
        is_root: True where this process is root; None asks the system. No password is asked.
    """

    def __init__(
        self,
        root: Path = Path("/"),
        run: Run = run_tool,
        store: Path = _STORE,
        is_root: bool | None = None,
    ) -> None:
        self._root, self._run, self._store = root, run, store
        self._is_root = _is_root() if is_root is None else is_root

    def known(self) -> tuple[PowerMode, ...]:
        """The modes that the board's configuration has, by number."""
        text = read_start(self._root / _CONFIG, 1 << 16)
        found = re.findall(r"< *POWER_MODEL ID=(\d{1,4}) NAME=(\S+) *>", text)
        return tuple(sorted((PowerMode(int(one), name) for one, name in found), key=_number))

    def find(self, asked: Sequence[str]) -> tuple[PowerMode, ...]:
        """See `PowerModes`; what a killed search left is restored first."""
        if not asked:
            return ()
        known = self.known()
        if not known:
            raise BoardError("this board has no power modes (/etc/nvpmodel.conf): leave them out")
        chosen = [_choose(one, known) for one in asked]
        if not self._is_root:
            raise BoardError(
                "only root may change the power mode: log in as root, or set a mode by hand (sudo "
                "nvpmodel -m N) and search without --power-modes"
            )
        self._restore()
        return tuple(dict.fromkeys(chosen))

    def current(self) -> PowerMode | None:
        """See `PowerModes`."""
        answer = self._run(["nvpmodel", "-q"])
        numbers = re.findall(r"^ *(\d{1,4}) *$", answer.text, re.MULTILINE)
        if not answer.ok or not numbers:
            return None
        number = int(numbers[-1])
        stated = re.search(r"^NV Power Mode: *(\S+)", answer.text, re.MULTILINE)
        return PowerMode(number, stated[1] if stated else str(number))

    @contextlib.contextmanager
    def hold(self, mode: PowerMode) -> Iterator[None]:
        """See `PowerModes`."""
        found = self.current()
        if found is None:
            raise BoardError("nvpmodel does not say which power mode is in force: none is changed")
        if found.number == mode.number:
            yield
            return
        try:
            self._store.write_text(f"{found.number}\n", encoding="ascii")
        except OSError as error:
            raise BoardError(f"{self._store}: can't be written ({error.strerror})") from error
        _held.append(self)
        try:
            self._set(mode.number)
            yield
        finally:
            self._restore()
            _held.remove(self)

    def _set(self, number: int) -> None:
        answer = self._run(["nvpmodel", "-m", str(number)])
        now = self.current()
        if now is None or now.number != number:
            said = shorten(" ".join(answer.text.split())) or "no reason was given"
            raise BoardError(
                f"nvpmodel -m {number} did not take effect ({said}); if it needs a restart, set it "
                f"by hand (sudo nvpmodel -m {number}) and search again"
            )

    def _restore(self) -> None:
        """Set the mode that was found, if this or a killed search left another."""
        number = read_start(self._store, 16).strip()
        if number.isdecimal():
            self._set(int(number))
        self._store.unlink(missing_ok=True)


def restore_now() -> None:
    """Restore the mode if one is held, for a process that must exit without unwinding."""
    for one in list(_held):
        with contextlib.suppress(BoardError, OSError):  # the next search tries again
            one._restore()


def _choose(asked: str, known: Sequence[PowerMode]) -> PowerMode:
    for mode in known:
        if asked == str(mode.number) or asked.casefold() == mode.name.casefold():
            return mode
    names = ", ".join(f"{mode.number} ({mode.name})" for mode in known)
    raise BoardError(f"power mode {shorten(repr(asked))}: this board has {names}")


def _number(mode: PowerMode) -> int:
    return mode.number


def _is_root() -> bool:
    return hasattr(os, "geteuid") and os.geteuid() == 0
