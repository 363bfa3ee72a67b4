"""The smallest part of CUDA that runs an engine and times it.

pycuda serves where it is installed, cuda-python otherwise. Both retain the device's primary
context, which other libraries in the process share (torch, the CUDA runtime); nothing is created
by importing.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

__all__ = [
    "Cuda",
    "DeviceFacts",
    "read_driver",
]

DRIVER = Path("/proc/driver/nvidia/version")


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


def read_driver() -> str | None:
    """The driver's version, such as `580.65.06`; None where the kernel does not tell."""
    try:
        first = DRIVER.read_text(encoding="utf-8").partition("\n")[0]
    except OSError:
        return None
    return next((word for word in first.split() if word[:1].isdigit() and "." in word), None)
