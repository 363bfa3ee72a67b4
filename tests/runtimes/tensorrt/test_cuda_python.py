"""cuda-python over stand-ins of drivers: new, old, and none."""

import ctypes
from types import SimpleNamespace

import pytest

from edge_convnext.core.errors import InferenceError, MissingDependencyError
from edge_convnext.runtimes.tensorrt import cuda_python
from edge_convnext.runtimes.tensorrt.cuda_python import CudaPython


class FunctionNotFoundError(RuntimeError):
    """As of cuda.bindings 13."""


def driver(**functions):
    def usual(name):
        return lambda *_: (0, 7)

    found = {name: usual(name) for name in ("cuInit", "cuDeviceGet", "cuCtxSetCurrent")}
    found |= {"cuDevicePrimaryCtxRetain": usual("x"), "cuEventElapsedTime": lambda *_: (0, 1.5)}
    return SimpleNamespace(**(found | functions))


def missing(*_):
    raise FunctionNotFoundError("function cuEventElapsedTime_v2 is not found")


@pytest.fixture
def install(monkeypatch):
    def put(module):
        monkeypatch.setattr(cuda_python, "_import_driver", lambda: (module, "13.4.4"))

    return put


def test_time_between_events_is_the_driver_s(install):
    install(driver())
    assert CudaPython(0).elapsed_ms(1, 2) == 1.5


def test_a_driver_before_cuda_12_8_is_asked_by_its_older_symbol(install, monkeypatch):
    """cuda-python 13 raises where the driver has no cuEventElapsedTime_v2: all of JetPack 6."""
    install(driver(cuEventElapsedTime=missing))
    asked = []

    def elapsed(result, start, end):
        asked.append((start.value, end.value))
        ctypes.cast(result, ctypes.POINTER(ctypes.c_float))[0] = 2.5
        return 0

    monkeypatch.setattr(ctypes, "CDLL", lambda name: SimpleNamespace(cuEventElapsedTime=elapsed))
    assert CudaPython(0).elapsed_ms(3, 4) == 2.5
    assert asked == [(3, 4)]
    refused = SimpleNamespace(cuEventElapsedTime=lambda *_: 600)
    monkeypatch.setattr(ctypes, "CDLL", lambda name: refused)
    with pytest.raises(InferenceError, match=r"CUDA refused cuEventElapsedTime \(error 600\)"):
        CudaPython(0).elapsed_ms(3, 4)


def test_another_function_that_a_driver_lacks_is_one_line(install):
    install(driver(cuStreamSynchronize=missing))
    with pytest.raises(InferenceError, match=r"this driver has no cuStreamSynchronize.*python<13'"):
        CudaPython(0).synchronize(1)


def test_without_a_driver_it_says_so(install):
    def no_library(*_):
        raise RuntimeError("Failure finding libcuda.so")

    install(driver(cuInit=no_library))
    with pytest.raises(MissingDependencyError, match=r"no NVIDIA driver here \(Failure finding"):
        CudaPython(0)
