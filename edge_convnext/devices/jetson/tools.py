"""Run a board's own tools: with a time limit, without a terminal, and without a password prompt."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_convnext.devices.catalog.installed import read_start

__all__ = ["Run", "ToolAnswer", "names_in", "read_int", "read_text", "run_tool"]

_TIMEOUT_S = 20.0  # `jetson_clocks` writes a few hundred files


@dataclass(frozen=True)
class ToolAnswer:
    """Output of a tool; `code` is None where it is not installed or did not end in time."""

    code: int | None
    text: str  # stdout, then stderr

    @property
    def ok(self) -> bool:
        """Whether it ran and succeeded."""
        return self.code == 0


Run = Callable[[Sequence[str]], ToolAnswer]


def run_tool(command: Sequence[str], timeout_s: float = _TIMEOUT_S) -> ToolAnswer:
    """Run a tool in a separate session, so that Ctrl-C does not interrupt a restore."""
    try:
        answer = subprocess.run(
            list(command),
            stdin=subprocess.DEVNULL,  # a tool that asks gets no answer and does not wait
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
