"""`cuda.Cuda` over cuda-python's driver API."""

from __future__ import annotations

import ctypes
import math
import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_convnext.core.errors import InferenceError, MissingDependencyError, reason_of
from edge_convnext.runtimes.tensorrt.cuda import DeviceFacts, read_driver

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["CudaPython"]

_NON_BLOCKING = 1  # CU_STREAM_NON_BLOCKING
_NAME_BYTES = 256
_LIBCUDA = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"


class _NotInDriverError(InferenceError):
    """cuda-python found no driver, or an older one that lacks a function."""


class CudaPython:
    """cuda-python (`cuda.bindings`, or `cuda.cuda` before 12.8) with the primary context.

    Raises:
        MissingDependencyError: cuda-python finds no driver.
        InferenceError: There is no such device.
    """

    def __init__(self, ordinal: int) -> None:
        self._driver, version = _import_driver()
        self.label = f"cuda-python {version}"
        try:
            self._call("cuInit", 0)
            self._device = self._call("cuDeviceGet", ordinal)
            self._context = self._call("cuDevicePrimaryCtxRetain", self._device)
            self._call("cuCtxSetCurrent", self._context)
        except _NotInDriverError as error:
            raise MissingDependencyError(
                f"there is no NVIDIA driver here ({reason_of(error.__cause__ or error)})"
            ) from error

    def facts(self) -> DeviceFacts:
        version = int(self._call("cuDriverGetVersion"))
        name = self._call("cuDeviceGetName", _NAME_BYTES, self._device)
        return DeviceFacts(
            name=bytes(name).split(b"\0")[0].decode(),
            compute_capability=(
                f"{self._attribute('COMPUTE_CAPABILITY_MAJOR')}."
                f"{self._attribute('COMPUTE_CAPABILITY_MINOR')}"
            ),
            memory_bytes=int(self._call("cuDeviceTotalMem", self._device)),
            multiprocessors=self._attribute("MULTIPROCESSOR_COUNT"),
            cuda=f"{version // 1000}.{version % 1000 // 10}",
            driver=read_driver(),
        )

    def create_stream(self) -> Any:
        return self._call("cuStreamCreate", _NON_BLOCKING)

    def handle(self, stream: Any) -> int:
        return int(stream)

    def allocate(self, size_bytes: int) -> Any:
        return self._call("cuMemAlloc", size_bytes)

    def address(self, memory: Any) -> int:
        return int(memory)

    def free(self, memory: Any) -> None:
        self._call("cuMemFree", memory)

    def pinned(self, shape: Sequence[int], dtype: np.dtype[Any]) -> NDArray[Any]:
        # Never freed: an array must not outlive its memory.
        size_bytes = max(1, math.prod(shape) * dtype.itemsize)
        start = int(self._call("cuMemHostAlloc", size_bytes, 0))
        buffer = (ctypes.c_uint8 * size_bytes).from_address(start)
        return np.ndarray(tuple(shape), dtype, memoryview(buffer))

    def upload(self, memory: Any, array: NDArray[Any], stream: Any) -> None:
        self._call("cuMemcpyHtoDAsync", memory, array.ctypes.data, array.nbytes, stream)

    def download(self, array: NDArray[Any], memory: Any, stream: Any) -> None:
        self._call("cuMemcpyDtoHAsync", array.ctypes.data, memory, array.nbytes, stream)

    def synchronize(self, stream: Any) -> None:
        self._call("cuStreamSynchronize", stream)

    def create_event(self) -> Any:
        return self._call("cuEventCreate", 0)

    def record(self, event: Any, stream: Any) -> None:
        self._call("cuEventRecord", event, stream)

    def elapsed_ms(self, start: Any, end: Any) -> float:
        try:
            return float(self._call("cuEventElapsedTime", start, end))
        except _NotInDriverError:
            return _elapsed_ms(int(start), int(end))

    def begin_capture(self, stream: Any) -> None:
        mode = self._driver.CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_THREAD_LOCAL
        self._call("cuStreamBeginCapture", stream, mode)

    def end_capture(self, stream: Any) -> Any:
        graph = self._call("cuStreamEndCapture", stream)
        return self._call("cuGraphInstantiate", graph, 0)

    def launch(self, graph: Any, stream: Any) -> None:
        self._call("cuGraphLaunch", graph, stream)

    def _attribute(self, name: str) -> int:
        kind = getattr(self._driver.CUdevice_attribute, f"CU_DEVICE_ATTRIBUTE_{name}")
        return int(self._call("cuDeviceGetAttribute", kind, self._device))

    def _call(self, name: str, *arguments: Any) -> Any:
        """Call the driver and return its result without the status.

        Raises:
            InferenceError: The status is an error, or the driver has no such function.
        """
        try:
            status, *values = getattr(self._driver, name)(*arguments)
        except RuntimeError as error:  # cuda-python 13 raises it if libcuda or a symbol is missing
            raise _NotInDriverError(
                f"this driver has no {name} as cuda-python wants it ({reason_of(error)}); "
                "pip install 'cuda-python<13'"
            ) from error
        if int(status) != 0:
            raise InferenceError(f"CUDA refused {name} ({getattr(status, 'name', status)})")
        return values[0] if values else None


def _elapsed_ms(start: int, end: int) -> float:
    """Return the time between two events, by a symbol that every driver has.

    cuda-python 13 calls `cuEventElapsedTime_v2`, which came with CUDA 12.8. Every JetPack 6 is
    older.

    Raises:
        InferenceError: The driver returned an error.
    """
    driver = ctypes.CDLL(_LIBCUDA)
    elapsed = ctypes.c_float()
    handles = (ctypes.c_void_p(start), ctypes.c_void_p(end))
    status = driver.cuEventElapsedTime(ctypes.byref(elapsed), *handles)
    if status != 0:
        raise InferenceError(f"CUDA refused cuEventElapsedTime (error {status})")
    return elapsed.value


def _import_driver() -> tuple[Any, str]:
    try:
        import cuda.bindings
        from cuda.bindings import driver

        return driver, str(cuda.bindings.__version__)
    except ImportError:
        pass
    try:
        from cuda import __version__
        from cuda import cuda as driver

        return driver, str(__version__)
    except ImportError as error:
        raise MissingDependencyError(
            f"cuda-python can't be loaded ({' '.join(str(error).split())}): "
            "pip install 'edge-convnext[cuda]'"
        ) from error
