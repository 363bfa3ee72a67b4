"""What is installed on a Jetson, from its files: CUDA, TensorRT, and the power mode in force."""

from __future__ import annotations

import json
import platform
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

__all__ = [
    "Stack",
    "find_power_mode",
    "find_stack",
    "parse_power_mode",
    "read_start",
    "stored_power_mode",
]

_NVPMODEL_TIMEOUT_S = 0.3
_LIBRARIES = "usr/lib/aarch64-linux-gnu"
_READ_AT_MOST = 4096  # bytes; most of these files have a few hundred


@dataclass(frozen=True)
class Stack:
    """Versions of what an engine depends on; None: not found."""

    cuda: str | None
    tensorrt: str | None
    python: str | None


def find_stack(root: Path) -> Stack:
    """The versions under a file system's root, and this process's Python."""
    return Stack(_find_cuda(root), _find_tensorrt(root), platform.python_version())


def _find_cuda(root: Path) -> str | None:
    try:
        stated = json.loads(read_start(root / "usr/local/cuda/version.json", 1 << 16))
        return str(stated["cuda"]["version"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def _find_tensorrt(root: Path) -> str | None:
    # libnvinfer.so.10 links to libnvinfer.so.10.3.0
    try:
        names = [path.name for path in (root / _LIBRARIES).glob("libnvinfer.so.*")]
    except OSError:
        return None
    versions = (name.removeprefix("libnvinfer.so.") for name in names)
    return max((text for text in versions if re.fullmatch(r"[\d.]+", text)), key=len, default=None)


def find_power_mode(root: Path) -> str | None:
    """Read the power mode from `nvpmodel`, or from the files that it left."""
    try:
        answer = subprocess.run(
            ["nvpmodel", "-q"],
            capture_output=True,
            timeout=_NVPMODEL_TIMEOUT_S,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        stated = None
    else:
        stated = parse_power_mode(answer.stdout.decode("utf-8", errors="replace"))
    return stated or stored_power_mode(root)


def parse_power_mode(text: str) -> str | None:
    """The mode's name in what `nvpmodel -q` prints."""
    stated = re.search(r"^NV Power Mode: *(\S+)", text, re.MULTILINE)
    return stated[1] if stated else None


def stored_power_mode(root: Path) -> str | None:
    """The mode's name by the files of `nvpmodel`."""
    mode = re.search(r"\bpmode:(\d{1,4})\b", read_start(root / "var/lib/nvpmodel/status"))
    config = read_start(root / "etc/nvpmodel.conf", 1 << 16)
    modes = re.findall(r"< *POWER_MODEL ID=(\d{1,4}) NAME=(\S+) *>", config)
    return {int(number): name for number, name in modes}.get(int(mode[1])) if mode else None


def read_start(path: Path, size: int = _READ_AT_MOST) -> str:
    """Read the first `size` bytes of a file as text; empty where it can't be read."""
    try:
        with path.open("rb") as file:
            return file.read(size).decode("utf-8", errors="replace")
    except OSError:
        return ""
