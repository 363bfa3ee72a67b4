"""Find out which Arm cores a machine has; the kernel states numbers, not the cores' names.

Source: `MIDR_EL1` in the Arm Architecture Reference Manual; numbers of parts as in util-linux's
`lscpu-arm.c`.
"""

from __future__ import annotations

import re
from pathlib import Path

__all__ = ["arm_cores"]

_FIELDS = ("CPU implementer", "CPU part", "CPU variant", "CPU revision")
_MIDRS = "sys/devices/system/cpu/cpu[0-9]*/regs/identification/midr_el1"
# Names of cores of common boards and servers, by implementer and part. Others appear by number.
_NAMES = {
    (0x41, 0xD03): "Cortex-A53",
    (0x41, 0xD04): "Cortex-A35",
    (0x41, 0xD05): "Cortex-A55",
    (0x41, 0xD07): "Cortex-A57",
    (0x41, 0xD08): "Cortex-A72",
    (0x41, 0xD09): "Cortex-A73",
    (0x41, 0xD0A): "Cortex-A75",
    (0x41, 0xD0B): "Cortex-A76",
    (0x41, 0xD0C): "Neoverse-N1",
    (0x41, 0xD0D): "Cortex-A77",
    (0x41, 0xD40): "Neoverse-V1",
    (0x41, 0xD41): "Cortex-A78",
    (0x41, 0xD42): "Cortex-A78AE",
    (0x41, 0xD44): "Cortex-X1",
    (0x41, 0xD46): "Cortex-A510",
    (0x41, 0xD47): "Cortex-A710",
    (0x41, 0xD48): "Cortex-X2",
    (0x41, 0xD49): "Neoverse-N2",
    (0x41, 0xD4B): "Cortex-A78C",
    (0x41, 0xD4D): "Cortex-A715",
    (0x41, 0xD4F): "Neoverse-V2",
    (0x41, 0xD80): "Cortex-A520",
    (0x41, 0xD81): "Cortex-A720",
    (0x41, 0xD83): "Neoverse-V3AE",
    (0x41, 0xD85): "Cortex-X925",
    (0x41, 0xD87): "Cortex-A725",
    (0x4E, 0x003): "Denver 2",
    (0x4E, 0x004): "Carmel",
    (0x61, 0x022): "Apple M1 (icestorm)",
    (0x61, 0x023): "Apple M1 (firestorm)",
    (0xC0, 0xAC3): "Ampere-1",
    (0xC0, 0xAC4): "Ampere-1a",
}


def arm_cores(root: Path) -> str | None:
    """List the kinds of Arm core, such as `6x Cortex-A78AE r0p1`; None if there is none.

    Args:
        root: Root of the file system whose `/proc` and `/sys` are read.
    """
    found = _from_cpuinfo(root) or _from_registers(root)
    counts: dict[str, int] = {}
    for core in found:
        counts[core] = counts.get(core, 0) + 1
    return ", ".join(f"{count}x {core}" for core, count in sorted(counts.items())) or None


def _from_cpuinfo(root: Path) -> list[str]:
    cores = []
    for block in re.split(r"\n\s*\n", _text(root / "proc/cpuinfo")):
        fields = dict(re.findall(r"^([^:\n]+?)\s*:\s*(.*)$", block, re.MULTILINE))
        if all(_number(fields.get(name)) is not None for name in _FIELDS[:2]):
            cores.append(_name(*(_number(fields.get(name)) or 0 for name in _FIELDS)))
    return cores


def _from_registers(root: Path) -> list[str]:
    cores = []
    for path in sorted(root.glob(_MIDRS)):
        midr = _number(_text(path).strip())
        if midr is not None:
            cores.append(_name(midr >> 24 & 0xFF, midr >> 4 & 0xFFF, midr >> 20 & 0xF, midr & 0xF))
    return cores


def _name(implementer: int, part: int, variant: int, revision: int) -> str:
    name = _NAMES.get((implementer, part), f"Arm core 0x{implementer:02x}/0x{part:03x}")
    return f"{name} r{variant}p{revision}"


def _number(text: str | None) -> int | None:
    try:
        return int((text or "").strip(), 0)
    except ValueError:
        return None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
