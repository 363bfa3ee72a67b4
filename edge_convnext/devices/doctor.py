"""Examine the machine: what is installed, what works here, what to install for the rest.

This reads files and metadata of packages, and imports none of the packages that it reports. It
takes well under a second, and waits at most 1.5 seconds for `nvidia-smi`.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from edge_convnext.core.cache import default_cache_folder
from edge_convnext.core.errors import ArtifactError
from edge_convnext.core.quotas import read_cpu_quota, usable_cores
from edge_convnext.core.third_party import hollow_reason, read_version
from edge_convnext.core.version import __version__
from edge_convnext.devices.catalog.delivery import CLASSIC_TENSORRT
from edge_convnext.devices.catalog.this_board import Board, find_board
from edge_convnext.devices.catalog.this_gpu import GpuTarget, match_gpu
from edge_convnext.devices.int8_support import explain_int8, warn_of_saturation
from edge_convnext.devices.jetson.now import BoardNow, read_now
from edge_convnext.devices.probes import (
    NVIDIA_SMI_TIMEOUT_JETSON_S,
    NVIDIA_SMI_TIMEOUT_S,
    Gpu,
    find_gpus,
    read_cpu,
    total_memory_bytes,
)
from edge_convnext.runtimes.load import RUNTIMES, find_runtime, package_of, runtime_names
from edge_convnext.runtimes.tensorrt.api import is_installed
from edge_convnext.runtimes.tensorrt.rtx_builder import why_no_rtx

__all__ = [
    "Ability",
    "Examination",
    "Package",
    "environment",
    "examine",
    "installed_versions",
]

_EXTRAS: dict[str | None, tuple[str, ...]] = {
    None: (
        "jinja2",
        "numpy",
        "onnx",
        "onnxruntime",
        "pillow",
        "platformdirs",
        "pydantic",
        "pyyaml",
        "rich",
        "typer",
    ),
    "build": (
        "huggingface_hub",
        "nncf",
        "onnxscript",
        "onnxsim",
        "safetensors",
        "scikit-learn",
        "threadpoolctl",
        "torch",
    ),
    "timm": ("timm",),
    "hf": ("transformers",),
    "litert": ("flatbuffers",),  # beside the runtime's own package
    "tensorrt": ("pycuda",),
    "cuda": ("cuda-python",),
    "video": ("opencv-python-headless",),
}


_GIB = 1 << 30


@dataclass(frozen=True)
class Package:
    """A dependency; `extra` is the pip extra that installs it, None for a core one."""

    name: str
    version: str | None  # None: not installed
    extra: str | None
    damage: str | None = None  # the reason if an installed package can't be used

    @property
    def install(self) -> str:
        """The command that installs it."""
        return f"pip install 'edge-convnext{f'[{self.extra}]' if self.extra else ''}'"


@dataclass(frozen=True)
class Ability:
    """An ability of this machine; `reason` says why it is missing, or its limits."""

    kind: Literal["command", "runtime", "target"]
    name: str
    works: bool
    reason: str | None = None


@dataclass(frozen=True)
class Examination:
    """Everything that `edge-convnext doctor` prints."""

    edge_convnext: str
    python: str
    platform: str
    cpu_model: str
    cpu_flags: tuple[str, ...]
    cores: int
    memory_bytes: int | None
    gpus: tuple[Gpu, ...]
    gpu_targets: tuple[GpuTarget, ...]  # targets for GPUs in slots, not for a Jetson's
    jetson: str | None  # board, Jetson Linux release and power mode
    board: Board | None  # all facts about the same Jetson
    packages: tuple[Package, ...]
    abilities: tuple[Ability, ...]
    cache_folder: str
    board_now: BoardNow | None = None  # the Jetson's clocks, temperature and power now
    cpu_quota: float | None = None  # number of CPUs; None: no limit
    int8: tuple[tuple[str, str], ...] = ()  # features of the CPU, and what each means for INT8
    int8_warning: str | None = None  # what INT8 loses on this CPU


def examine(root: Path = Path("/")) -> Examination:
    """Examine this machine and this Python.

    Args:
        root: Root of the file system whose `/proc` and `/etc` are read.
    """
    cpu_model, cpu_flags = read_cpu(root)
    board = find_board(root)
    gpus = find_gpus(NVIDIA_SMI_TIMEOUT_S if board is None else NVIDIA_SMI_TIMEOUT_JETSON_S)
    slots = gpus if board is None else ()
    packages = _find_packages()
    return Examination(
        edge_convnext=__version__,
        python=platform.python_version(),
        platform=platform.platform(),
        cpu_model=cpu_model,
        cpu_flags=cpu_flags,
        cores=usable_cores(root),
        memory_bytes=total_memory_bytes(),
        gpus=gpus,
        gpu_targets=tuple(match_gpu(gpu.name, gpu.compute_capability) for gpu in slots),
        jetson=board.summary if board else None,
        board=board,
        packages=packages,
        abilities=_find_abilities(packages),
        cache_folder=_cache_folder(),
        board_now=read_now(board, root) if board else None,
        cpu_quota=read_cpu_quota(root),
        int8=explain_int8(cpu_flags),
        int8_warning=warn_of_saturation(cpu_flags),
    )


def _cache_folder() -> str:
    try:
        return str(default_cache_folder(os.environ))
    except ArtifactError as error:
        return f"none: {error}"


def environment(examination: Examination | None = None) -> dict[str, Any]:
    """Return the report's `environment`, a `report.described.EnvironmentReport` as plain values."""
    seen = examination or examine()
    return {
        "versions": installed_versions(),
        "platform": seen.platform,
        "cpu_model": seen.cpu_model,
        "cpu_flags": list(seen.cpu_flags),
        "int8": dict(seen.int8),
        "cores": seen.cores,
        "cpu_quota": seen.cpu_quota,
        "memory_bytes": seen.memory_bytes,
        "gpus": [gpu.name for gpu in seen.gpus],
        "jetson": seen.jetson,
        "fingerprint": _fingerprint(seen),
    }


def installed_versions() -> dict[str, str]:
    """Return versions by package, from their modules; `edge-convnext` and `python` come first."""
    found = {package.name: package.version for package in _find_packages()}
    versions = {"edge-convnext": __version__, "python": platform.python_version(), **found}
    return {name: number for name, number in versions.items() if number is not None}


def _fingerprint(seen: Examination) -> str:
    """Return a hash that is equal on machines with comparable timings; it has no user or host."""
    memory_gib = round(seen.memory_bytes / _GIB) if seen.memory_bytes else None
    gpus = [gpu.name for gpu in seen.gpus]
    machine = platform.machine()
    facts = [machine, seen.cpu_model, seen.cpu_flags, seen.cores, memory_gib, gpus, seen.jetson]
    if seen.cpu_quota is not None:  # so that fingerprints without a quota stay as they were
        facts.append(f"quota of {seen.cpu_quota:g} CPUs")
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]


def _find_packages() -> tuple[Package, ...]:
    return tuple(
        Package(name, read_version(name), extra, hollow_reason(name))
        for extra, names in _list_extras().items()
        for name in names
    )


def _list_extras() -> dict[str | None, tuple[str, ...]]:
    """List packages by the extra that installs them; None is the key of every install's."""
    extras = dict(_EXTRAS)
    for module in map(find_runtime, RUNTIMES):
        if module.EXTRA:
            extras[module.EXTRA] = (*extras.get(module.EXTRA, ()), module.PACKAGE)
    return extras


def _find_abilities(packages: tuple[Package, ...]) -> tuple[Ability, ...]:
    missing = {package.name: package for package in packages if package.version is None}

    def needs(kind: Literal["command", "runtime", "target"], name: str, *names: str) -> Ability:
        absent = [missing[needed] for needed in names if needed in missing]
        if not absent:
            return Ability(kind, name, works=True)
        if absent[0].damage:
            return Ability(kind, name, works=False, reason=absent[0].damage)
        what = ", ".join(package.name for package in absent)
        return Ability(kind, name, works=False, reason=f"{what} missing: {absent[0].install}")

    no_rtx = why_no_rtx()
    return (
        needs("command", "predict", "onnxruntime"),
        needs("command", "train", "torch", "safetensors"),
        needs("command", "build", *_EXTRAS["build"]),
        *(needs("runtime", name, package_of(name)) for name in runtime_names("graphs")),
        needs("target", "cpu", "onnxruntime"),
        Ability("target", "rtx", no_rtx is None, no_rtx or "built here, timed on a GPU only"),
        _classic_tensorrt(),
    )


def _classic_tensorrt() -> Ability:
    if not is_installed("tensorrt"):
        reason = f"{CLASSIC_TENSORRT}; TensorRT is not installed here"
        return Ability("target", "tensorrt", works=False, reason=reason)
    if find_spec("pycuda") is None and find_spec("cuda") is None:
        reason = "CUDA from Python is missing: pip install 'edge-convnext[tensorrt]' or '[cuda]'"
        return Ability("target", "tensorrt", works=False, reason=reason)
    return Ability("target", "tensorrt", works=True, reason=CLASSIC_TENSORRT)
