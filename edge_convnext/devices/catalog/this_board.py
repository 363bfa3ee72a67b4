"""Recognise the Jetson this process runs on, from the files that Jetson Linux leaves.

`/etc/nv_tegra_release` names the release, `/proc/device-tree` the board and its module. They may
be missing, cut short or not text. What can't be read is None, and nothing here raises.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edge_convnext.devices.catalog.delivery import Advice, Delivery, advise, deliver_to_board
from edge_convnext.devices.catalog.installed import Stack, find_power_mode, find_stack, read_start
from edge_convnext.devices.catalog.lookup import find_jetpack
from edge_convnext.devices.catalog.rows import Device, Family, load_table

__all__ = ["Board", "find_board"]

_RELEASE = "etc/nv_tegra_release"
_SHOWN = 80  # characters of a file that was not understood

# What `model` contains; the longer names first.
_FAMILIES: tuple[tuple[str, Family], ...] = (
    ("xavier nx", "xavier-nx"),
    ("agx xavier", "agx-xavier"),
    ("jetson-agx", "agx-xavier"),  # its name in Jetson Linux 32 and 35
    ("orin nano", "orin-nano"),
    ("orin nx", "orin-nx"),
    ("agx orin", "agx-orin"),
    ("thor", "thor"),
)


@dataclass(frozen=True)
class Board:
    """A Jetson, as far as its files describe it."""

    model: str | None  # "NVIDIA Jetson Orin Nano Developer Kit"
    part: str | None  # of the module, such as "p3767-0005"
    device: str | None  # its name in the table
    title: str | None
    family: Family | None  # found by its name where the module is not in the table
    told_by: Literal["part number", "memory"] | None
    jetson_linux: str | None  # "36.4.3"
    jetpack: str | None  # "6.2"
    power_mode: str | None
    expected: Stack | None  # with that JetPack
    found: Stack
    delivery: Delivery | None
    advice: Advice | None
    notes: tuple[str, ...]  # on what is not exact, differs, or was not understood

    @property
    def summary(self) -> str:
        """One line for a report: board, release and power mode decide what timings mean."""
        facts = [self.model or self.title or "unrecognised Jetson"]
        if self.jetson_linux:
            facts.append(f"Jetson Linux {self.jetson_linux}")
        if self.power_mode:
            facts.append(f"power mode {self.power_mode}")
        return ", ".join(facts)


def find_board(root: Path = Path("/")) -> Board | None:
    """The Jetson whose file system this is; None on other machines.

    Args:
        root: Root of a file system, the running one's or a recorded one's.
    """
    release = read_start(root / _RELEASE)
    model = read_start(root / "proc/device-tree/model").strip("\0\n ") or None
    compatible = read_start(root / "proc/device-tree/compatible").split("\0")
    tegra = any(name.startswith("nvidia,tegra") for name in compatible)
    if not (tegra or _exists(root / _RELEASE) or (model and "jetson" in model.casefold())):
        return None

    part = _find_part(compatible)
    memory_gib = _memory_gib(root)
    device, told_by = _find_module(part, model, memory_gib)
    linux = _find_release(release)
    match = find_jetpack(linux) if linux else None
    row = match.row if match else None
    expected = Stack(row.cuda, row.tensorrt, row.python) if row else None
    found = find_stack(root)
    capability = device.compute.capability if device else _capability_of(model)
    notes = [
        *_not_understood(device, model, compatible, linux, release),
        *([_told_by_memory(part, memory_gib)] if told_by == "memory" else []),
        *([match.note] if match and match.note else []),
        *([f"JetPack {row.title} is unverified: {row.note}"] if row and row.note else []),
        *_differences(expected, found),
    ]
    if row and device and device.family not in row.families:
        notes.append(f"JetPack {row.title} is not known to support the {device.title}")
    return Board(
        model=model,
        part=part,
        device=device.name if device else None,
        title=device.title if device else None,
        family=device.family if device else _family_of(model),
        told_by=told_by,
        jetson_linux=linux,
        jetpack=match.version if match else None,
        power_mode=find_power_mode(root),
        expected=expected,
        found=found,
        delivery=deliver_to_board(row) if row else None,
        advice=advise(capability),
        notes=tuple(notes),
    )


def _find_part(compatible: list[str]) -> str | None:
    """The module's part number; boards that carry it have theirs in the same string."""
    # "nvidia,p3768-0000+p3767-0005-super", "nvidia,p3767-0005", "nvidia,tegra234"
    listed = re.findall(r"p\d{4}-\d{4}", " ".join(compatible))
    modules = [device.module for device in load_table().devices if device.module]
    known = {part for module in modules for part in module.parts}
    return next((part for part in listed if part in known), listed[-1] if listed else None)


def _find_module(
    part: str | None, model: str | None, memory_gib: float | None
) -> tuple[Device | None, Literal["part number", "memory"] | None]:
    jetsons = [device for device in load_table().devices if device.module]
    for device in jetsons:
        if device.module and part in device.module.parts:
            return device, "part number"
    family = _family_of(model)
    fitting = [
        device
        for device in jetsons
        # The kernel keeps some of the memory for itself: 7.4 GiB of 8.
        if device.family == family and 0.75 <= (memory_gib or 0) / device.memory.memory_gib <= 1
    ]
    return (fitting[0], "memory") if len(fitting) == 1 else (None, None)


def _family_of(model: str | None) -> Family | None:
    name = (model or "").casefold()
    return next((family for words, family in _FAMILIES if words in name), None)


def _capability_of(model: str | None) -> str | None:
    """Compute capability of a board whose family is known, though its module is not."""
    family = _family_of(model)
    devices = (device for device in load_table().devices if family and device.family == family)
    return next((device.compute.capability for device in devices), None)


def _memory_gib(root: Path) -> float | None:
    total = re.search(r"^MemTotal:\s*(\d+) kB", read_start(root / "proc/meminfo"), re.MULTILINE)
    return int(total[1]) / (1 << 20) if total else None


def _find_release(text: str) -> str | None:
    # "# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic, EABI: aarch64, DATE: …"
    stated = re.search(r"\bR(\d{2,3}) \(release\), REVISION: (\d{1,3}(?:\.\d{1,3})?)\b", text)
    return f"{stated[1]}.{stated[2]}" if stated else None


def _not_understood(
    device: Device | None, model: str | None, compatible: list[str], linux: str | None, release: str
) -> list[str]:
    notes = []
    if device is None:
        read = f"model {_shown(model or '')}, compatible {_shown(' '.join(compatible))}"
        notes.append(f"unrecognised Jetson: no module in the table has {read}")
    if linux is None:
        notes.append(f"no release of Jetson Linux in /etc/nv_tegra_release: {_shown(release)}")
    return notes


def _told_by_memory(part: str | None, memory_gib: float | None) -> str:
    lacking = f"{part} is not in the table" if part else "no part number was found"
    return f"{lacking}: the module was recognised by its memory, {memory_gib:.1f} GiB"


def _differences(expected: Stack | None, found: Stack) -> list[str]:
    if expected is None:
        return []
    pairs = {
        "CUDA": (expected.cuda, found.cuda),
        "TensorRT": (expected.tensorrt, found.tensorrt),
        "Python": (expected.python, found.python),
    }
    return [
        f"{name} {has} where this JetPack has {wanted}"
        for name, (wanted, has) in pairs.items()
        if wanted and has and not f"{has}.".startswith(f"{wanted}.")
    ]


def _shown(text: str) -> str:
    start = text.strip("\0\n ")[:_SHOWN]
    return repr(start) if start else "nothing"


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:
        return False
