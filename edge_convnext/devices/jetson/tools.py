"""Run a board's own tools: short, without a terminal, and without ever asking for a password."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_convnext.devices.catalog.installed import read_start

__all__ = ["Run", "ToolAnswer", "names_in", "read_int", "read_text", "run_tool"]

_TIMEOUT_S = 20.0  # `jetson_clocks` writes some hundred files


@dataclass(frozen=True)
class ToolAnswer:
    """What a tool said; `code` is None where it is not installed or did not end in time."""

    code: int | None
    text: str  # stdout, then stderr

    @property
    def ok(self) -> bool:
        """Whether it ran and did its work."""
        return self.code == 0


Run = Callable[[Sequence[str]], ToolAnswer]


def run_tool(command: Sequence[str], timeout_s: float = _TIMEOUT_S) -> ToolAnswer:
    """Run a tool in a session of its own, so that Ctrl-C does not cut a restore short."""
    try:
        answer = subprocess.run(
            list(command),
            stdin=subprocess.DEVNULL,  # a tool that asks gets no answer instead of waiting
            capture_output=True,
            timeout=timeout_s,
            check=False,
            start_new_session=True,
        )
    except subprocess.TimeoutExpired:
        return ToolAnswer(None, f"no answer in {timeout_s:g} s")
    except OSError as error:
        return ToolAnswer(None, error.strerror or str(error))
    text = (answer.stdout + answer.stderr).decode("utf-8", errors="replace")
    return ToolAnswer(answer.returncode, text)


def read_text(path: Path) -> str:
    """The start of a sysfs file without its line end; empty where it can't be read."""
    return read_start(path).strip("\0\n ")


def read_int(path: Path) -> int | None:
    """A sysfs file's whole number; None where it can't be read or is something else."""
    text = read_text(path)
    return int(text) if text.lstrip("-").isdecimal() and len(text) < 20 else None


def names_in(folder: Path, pattern: str) -> list[Path]:
    """Entries that match, in the order of their numbers; none where it can't be listed."""
    try:
        found = list(folder.glob(pattern))
    except OSError:
        return []
    return sorted(found, key=lambda path: (len(path.name), path.name))
