"""Read the power that `tegrastats` prints: for boards whose monitors sysfs does not show.

Formats, from NVIDIA's Tegrastats Utility pages and recorded lines: `VDD_IN 4851mW/4851mW` (now and
average), `POM_5V_IN 2000/2000` (JetPack 4), `VDD_GPU 1975mW/1975mW/1975mW` (Jetson Linux 39) and
`VDD_GPU_SOC 10340mW`. The first number is the current value.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator

__all__ = ["Start", "parse_tegrastats", "start_tegrastats"]

Start = Callable[[int], tuple[Iterator[str], Callable[[], None]] | None]

# A number without a unit counts only in a pair; "RAM 1282/62795MB" has another unit.
_RAIL = re.compile(r"(?<![\w@%])([A-Z][A-Z0-9_]+) (-?\d+)(?:mW(?:/-?\d+mW)*|/\d+)(?![\w%@/])")


def parse_tegrastats(line: str) -> dict[str, int]:
    """Parse the current milliwatts by rail from one line; empty where it has no power."""
    return {name: int(milliwatts) for name, milliwatts in _RAIL.findall(line)}


def start_tegrastats(interval_ms: int) -> tuple[Iterator[str], Callable[[], None]] | None:
    """Start the tool; None where it is not installed.

    Returns:
        Iterator over its lines, and a function that ends it.
    """
    try:
        tool = subprocess.Popen(
            ["tegrastats", "--interval", str(interval_ms)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            errors="replace",
            start_new_session=True,
        )
    except OSError:
        return None

    def lines() -> Iterator[str]:
        if tool.stdout is not None:
            with tool.stdout:
                yield from tool.stdout

    def end() -> None:
        tool.kill()
        tool.wait()

    return lines(), end
