"""The smallest part of CUDA that runs an engine and times it.

pycuda serves where it is installed, cuda-python otherwise. Both retain the device's primary
context, which other libraries in the process share (torch, the CUDA runtime); nothing is created
by importing.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from edge_convnext.core.errors import InferenceError, MissingDependencyError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

__all__ = [
    "Cuda",
    "DeviceFacts",
    "has_gpu",
    "missing_cuda",
    "open_cuda",
    "read_driver",
    "why_no_cuda",
]

_HELP = (
    "running an engine needs CUDA from Python: pip install 'edge-convnext[tensorrt]' (pycuda, "
    "which builds against the CUDA toolkit) or 'edge-convnext[cuda]' (cuda-python)"
)
_NO_GPU = (
    "no NVIDIA GPU was found here, and an engine runs on the one that it is for; "
    "`edge-convnext bundle` takes a build there, and its ONNX models run anywhere"
)
_DRIVER = Path("/proc/driver/nvidia/version")
# What drivers leave in /dev: of a PC, of a Jetson, of WSL.
_DEVICES = ("nvidiactl", "nvidia[0-9]*", "nvhost-gpu", "nvmap", "nvgpu", "dxg")


@dataclass(frozen=True)
class DeviceFacts:
    """A GPU, as its driver describes it."""

    name: str
    compute_capability: str  # "8.7"
    memory_bytes: int
    multiprocessors: int
    cuda: str  # the newest that the driver runs, "12.6"
    driver: str | None  # None on a Jetson, where it is a part of L4T


class Cuda(Protocol):
    """One device's primary context. Handles are opaque; times are milliseconds.

    All calls are from the thread that opened it.
    """

    @property
    def label(self) -> str:
        """Such as `pycuda 2024.1`."""
        ...

    def facts(self) -> DeviceFacts:
        """Describe the device."""
        ...

    def create_stream(self) -> Any:
        """A stream that does not wait for the default one."""
        ...

    def handle(self, stream: Any) -> int:
        """A stream as TensorRT takes it."""
        ...

    def allocate(self, size_bytes: int) -> Any:
        """Device memory."""
        ...

    def address(self, memory: Any) -> int:
        """Where it is."""
        ...

    def free(self, memory: Any) -> None:
        """Give device memory back."""
        ...

    def pinned(self, shape: Sequence[int], dtype: np.dtype[Any]) -> NDArray[Any]:
        """Host memory that copies run from and to while the CPU goes on."""
        ...

    def upload(self, memory: Any, array: NDArray[Any], stream: Any) -> None:
        """Start a copy to the device."""
        ...

    def download(self, array: NDArray[Any], memory: Any, stream: Any) -> None:
        """Start a copy from the device."""
        ...

    def synchronize(self, stream: Any) -> None:
        """Wait for a stream."""
        ...

    def create_event(self) -> Any:
        """A mark that can be put into a stream."""
        ...

    def record(self, event: Any, stream: Any) -> None:
        """Put a mark into a stream."""
        ...

    def elapsed_ms(self, start: Any, end: Any) -> float:
        """Time between two marks that were reached."""
        ...

    def begin_capture(self, stream: Any) -> None:
        """From here on, record what is launched instead of running it."""
        ...

    def end_capture(self, stream: Any) -> Any:
        """What was recorded, ready to launch; raises InferenceError where nothing could be."""
        ...

    def launch(self, graph: Any, stream: Any) -> None:
        """Run what was recorded."""
        ...


@cache
def open_cuda(ordinal: int = 0) -> Cuda:
    """Open a device, once per process.

    Args:
        ordinal: Which device, among those that CUDA_VISIBLE_DEVICES leaves.

    Raises:
        MissingDependencyError: There is no GPU or no driver, or neither pycuda nor cuda-python
            is installed.
        InferenceError: The driver has no such device.
    """
    if find_spec("pycuda") is not None:
        from edge_convnext.runtimes.tensorrt.cuda_pycuda import PyCuda

        return PyCuda(ordinal)
    if find_spec("cuda") is not None:
        from edge_convnext.runtimes.tensorrt.cuda_python import CudaPython

        return CudaPython(ordinal)
    raise MissingDependencyError(_HELP if has_gpu() else _NO_GPU)


def has_gpu(root: Path = Path("/")) -> bool:
    """Whether a driver has found a GPU, as far as files tell; True where they can't."""
    if sys.platform != "linux":
        return True
    devices = root / "dev"
    driver = (root / _DRIVER.relative_to("/")).is_file()
    return driver or any(next(devices.glob(name), None) for name in _DEVICES)


def missing_cuda() -> str | None:
    """What to install where there is a GPU and nothing in Python to reach it; nothing is opened."""
    known = any(find_spec(name) is not None for name in ("pycuda", "cuda"))
    return None if known or not has_gpu() else _HELP


def why_no_cuda() -> str | None:
    """Why no device can be opened, in one line; None when one was."""
    try:
        open_cuda()
    except (MissingDependencyError, InferenceError) as error:
        return str(error)
    return None


def read_driver() -> str | None:
    """The driver's version, such as `580.65.06`; None where the kernel does not tell."""
    try:
        first = _DRIVER.read_text(encoding="utf-8").partition("\n")[0]
    except OSError:
        return None
    return next((word for word in first.split() if word[:1].isdigit() and "." in word), None)
