"""Probe this machine's CPU, memory and GPUs, by files and nvidia-smi."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from edge_convnext.core.errors import shorten
from edge_convnext.devices.arm_cpu import arm_cores

__all__ = [
    "CPU_FLAGS",
    "NVIDIA_SMI_TIMEOUT_JETSON_S",
    "NVIDIA_SMI_TIMEOUT_S",
    "Gpu",
    "find_gpus",
    "read_cpu",
    "total_memory_bytes",
]

# Flags for dot products, half floats and matrix units, which decide the INT8 and BF16 kernels.
_X86_FLAGS = (
    "avx2",
    "fma",
    "avx512f",
    "avx512_vnni",
    "avx_vnni",
    "avx512_bf16",
    "avx512_fp16",
    "amx_int8",
    "amx_bf16",
)


_ARM_FLAGS = ("asimd", "asimdhp", "asimddp", "i8mm", "bf16", "sve", "sve2")


CPU_FLAGS = (*_X86_FLAGS, *_ARM_FLAGS)


_MOST_CHARS = 80  # of a board's name


_NVIDIA_SMI = ("nvidia-smi", "--format=csv,noheader,nounits")


_NVIDIA_SMI_FIELDS = "--query-gpu=name,compute_cap,driver_version,memory.total"


NVIDIA_SMI_TIMEOUT_S = 1.5


NVIDIA_SMI_TIMEOUT_JETSON_S = 0.5  # nvidia-smi shows little on a Jetson, and may be missing


@dataclass(frozen=True)
class Gpu:
    """An NVIDIA GPU, as `nvidia-smi` describes it."""

    name: str
    compute_capability: str | None  # "8.9"
    driver: str | None
    memory_mib: int | None


def read_cpu(root: Path) -> tuple[str, tuple[str, ...]]:
    """The name of this CPU and those of its flags that decide which kernels run."""
    fields: dict[str, str] = {}
    for line in _text(root / "proc/cpuinfo").splitlines():
        name, _, value = line.partition(":")
        fields.setdefault(name.strip(), value.strip())
    flags = set((fields.get("flags") or fields.get("Features") or "").split())
    model = fields.get("model name") or platform.processor() or platform.machine()
    if cores := arm_cores(root):  # the model name is "ARMv8 Processor" for all, or missing
        model = ", ".join(filter(None, (_board(root), cores)))
    if "cpu family" in fields and "model" in fields:  # virtual machines hide the rest
        model += f" (family {fields['cpu family']}, model {fields['model']})"
    return model, tuple(flag for flag in CPU_FLAGS if flag in flags)


def _board(root: Path) -> str | None:
    """The device tree's name of a board, such as `Raspberry Pi 5 Model B Rev 1.0`.

    None of a Jetson, which has a line of its own (`catalog.this_board`).
    """
    model = shorten(_text(root / "proc/device-tree/model").strip("\0\n "), _MOST_CHARS)
    return None if "nvidia" in model.lower() else model or None


def total_memory_bytes() -> int | None:
    """The bytes of memory of this machine; None on Windows."""
    if sys.platform == "win32":
        return None
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def find_gpus(timeout_s: float) -> tuple[Gpu, ...]:
    """The GPUs that `nvidia-smi` lists within a time; none where it is missing or hangs."""
    command, layout = _NVIDIA_SMI
    try:
        answer = subprocess.run(
            [command, _NVIDIA_SMI_FIELDS, layout],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_s,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return ()
    rows = [line.split(", ") for line in answer.stdout.splitlines()]
    return tuple(
        Gpu(name, _known(capability), _known(driver), _integer(memory))
        for name, capability, driver, memory in (row for row in rows if len(row) == 4)
    )


def _known(text: str) -> str | None:
    return None if "N/A" in text else text.strip()


def _integer(text: str) -> int | None:
    return int(text) if text.strip().isdigit() else None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
