"""The smallest part of CUDA that can run and time an engine.

It uses pycuda if that is installed, cuda-python otherwise. Both retain the device's primary
context, which other libraries in the process share (torch, the CUDA runtime). Importing this
creates nothing.
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
    cuda: str  # the newest version that the driver supports, "12.6"
    driver: str | None  # None on a Jetson, where the driver is a part of L4T


class Cuda(Protocol):
    """One device's primary context. Handles are opaque; times are milliseconds.

    All calls must come from the thread that opened it.
    """

    @property
    def label(self) -> str:
        """The package and its version, such as `pycuda 2024.1`."""
        ...

    def facts(self) -> DeviceFacts:
        """Describe the device."""
        ...

    def create_stream(self) -> Any:
        """Create a stream that does not wait for the default one."""
        ...

    def handle(self, stream: Any) -> int:
        """Return a stream's handle, as TensorRT takes it."""
        ...

    def allocate(self, size_bytes: int) -> Any:
        """Allocate device memory."""
        ...

    def address(self, memory: Any) -> int:
        """Return the address of device memory."""
        ...

    def free(self, memory: Any) -> None:
        """Free device memory."""
        ...

    def pinned(self, shape: Sequence[int], dtype: np.dtype[Any]) -> NDArray[Any]:
        """Allocate host memory for copies that run while the CPU continues."""
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
        """Create an event that can be recorded in a stream."""
        ...

    def record(self, event: Any, stream: Any) -> None:
        """Record an event in a stream."""
        ...

    def elapsed_ms(self, start: Any, end: Any) -> float:
        """Return the time between two events that were reached."""
        ...

    def begin_capture(self, stream: Any) -> None:
        """Start to record launches instead of running them."""
        ...

    def end_capture(self, stream: Any) -> Any:
        """Return the recorded graph, ready to launch; raises InferenceError if that failed."""
        ...

    def launch(self, graph: Any, stream: Any) -> None:
        """Run a recorded graph."""
        ...


def read_driver() -> str | None:
    """Read the driver's version, such as `580.65.06`; None if the kernel does not state it."""
    try:
        first = DRIVER.read_text(encoding="utf-8").partition("\n")[0]
    except OSError:
        return None
    return next((word for word in first.split() if word[:1].isdigit() and "." in word), None)
