"""`cuda.Cuda` over pycuda."""

from __future__ import annotations

import atexit
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from edge_convnext.core.errors import InferenceError, MissingDependencyError
from edge_convnext.runtimes.tensorrt.cuda import DeviceFacts, read_driver

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

__all__ = ["PyCuda"]


class PyCuda:
    """pycuda with the primary context; `pycuda.autoinit` would create a separate one.

    Raises:
        MissingDependencyError: pycuda finds no driver.
        InferenceError: There is no such device.
    """

    def __init__(self, ordinal: int) -> None:
        try:
            import pycuda
            import pycuda.driver as driver
        except ImportError as error:
            raise MissingDependencyError(
                f"pycuda can't be loaded ({' '.join(str(error).split())}); it needs the NVIDIA "
                "driver and the CUDA toolkit it was built with"
            ) from error
        self._driver = driver
        try:
            driver.init()
            self._device = driver.Device(ordinal)
            self._context = self._device.retain_primary_context()
            self._context.push()
        except driver.Error as error:
            raise InferenceError(f"no CUDA device {ordinal} ({error})") from error
        self.label = f"pycuda {pycuda.VERSION_TEXT}"
        atexit.register(self._leave)  # pycuda aborts the process if a context is still on its stack

    def facts(self) -> DeviceFacts:
        major, minor = self._device.compute_capability()
        version = self._driver.get_driver_version()
        count = self._driver.device_attribute.MULTIPROCESSOR_COUNT
        return DeviceFacts(
            name=str(self._device.name()),
            compute_capability=f"{major}.{minor}",
            memory_bytes=int(self._device.total_memory()),
            multiprocessors=int(self._device.get_attribute(count)),
            cuda=f"{version // 1000}.{version % 1000 // 10}",
            driver=read_driver(),
        )

    def create_stream(self) -> Any:
        return self._driver.Stream(1)  # CU_STREAM_NON_BLOCKING

    def handle(self, stream: Any) -> int:
        return int(stream.handle)

    def allocate(self, size_bytes: int) -> Any:
        with self._one_line("memory"):
            return self._driver.mem_alloc(size_bytes)

    def address(self, memory: Any) -> int:
        return int(memory)

    def free(self, memory: Any) -> None:
        memory.free()

    def pinned(self, shape: Sequence[int], dtype: np.dtype[Any]) -> NDArray[Any]:
        with self._one_line("pinned memory"):
            array: NDArray[Any] = self._driver.pagelocked_empty(tuple(shape), dtype)
        return array

    def upload(self, memory: Any, array: NDArray[Any], stream: Any) -> None:
        with self._one_line("copy"):
            self._driver.memcpy_htod_async(memory, array, stream)

    def download(self, array: NDArray[Any], memory: Any, stream: Any) -> None:
        with self._one_line("copy"):
            self._driver.memcpy_dtoh_async(array, memory, stream)

    def synchronize(self, stream: Any) -> None:
        with self._one_line("kernel"):
            stream.synchronize()

    def create_event(self) -> Any:
        return self._driver.Event()

    def record(self, event: Any, stream: Any) -> None:
        event.record(stream)

    def elapsed_ms(self, start: Any, end: Any) -> float:
        with self._one_line("clock"):
            return float(start.time_till(end))

    def begin_capture(self, stream: Any) -> None:
        if not hasattr(stream, "begin_capture"):
            raise InferenceError(f"{self.label} can't record CUDA graphs; cuda-python can")
        with self._one_line("CUDA graph"):
            stream.begin_capture()

    def end_capture(self, stream: Any) -> Any:
        with self._one_line("CUDA graph"):
            return stream.end_capture().instantiate()

    def launch(self, graph: Any, stream: Any) -> None:
        with self._one_line("CUDA graph"):
            graph.launch(stream)

    @contextmanager
    def _one_line(self, what: str) -> Iterator[None]:
        """Put errors on one line; an error of an earlier launch appears in any later call."""
        try:
            yield
        except self._driver.Error as error:
            raise InferenceError(
                f"the GPU's {what} failed ({' '.join(str(error).split())})"
            ) from error

    def _leave(self) -> None:
        self._context.pop()
