import atexit
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from edge_convnext.core.errors import InferenceError, MissingDependencyError
from edge_convnext.runtimes.tensorrt.cuda_pycuda import PyCuda


class DriverError(Exception):
    pass


class Context:
    def __init__(self):
        self.calls = []

    def push(self):
        self.calls.append("push")

    def pop(self):
        self.calls.append("pop")


class Device:
    def __init__(self, ordinal):
        if ordinal:
            raise DriverError("invalid device ordinal")
        self.context = Context()

    def retain_primary_context(self):
        return self.context

    def compute_capability(self):
        return (8, 7)

    def name(self):
        return "Orin"

    def total_memory(self):
        return 8 << 30

    def get_attribute(self, attribute):
        return {"MPC": 16}[attribute]


@pytest.fixture
def driver(monkeypatch):
    package, module = ModuleType("pycuda"), ModuleType("pycuda.driver")
    package.VERSION_TEXT, package.driver = "2024.1", module
    module.Error, module.Device, module.init = DriverError, Device, lambda: None
    module.get_driver_version = lambda: 12060
    module.device_attribute = SimpleNamespace(MULTIPROCESSOR_COUNT="MPC")
    module.Stream = lambda flags: SimpleNamespace(handle=7, flags=flags)
    monkeypatch.setitem(sys.modules, "pycuda", package)
    monkeypatch.setitem(sys.modules, "pycuda.driver", module)
    monkeypatch.setattr(atexit, "register", lambda leave: setattr(module, "leave", leave))
    return module


def test_a_device_is_opened_described_and_left_at_the_end(driver):
    cuda = PyCuda(0)
    assert cuda.label == "pycuda 2024.1"
    facts = cuda.facts()
    assert (facts.name, facts.compute_capability, facts.cuda) == ("Orin", "8.7", "12.6")
    assert (facts.memory_bytes, facts.multiprocessors) == (8 << 30, 16)
    driver.leave()
    assert cuda._context.calls == ["push", "pop"]


def test_streams_wait_for_nobody(driver):
    stream = PyCuda(0).create_stream()
    assert stream.flags == 1
    assert PyCuda(0).handle(stream) == 7


def test_a_missing_device_and_a_missing_package_are_told(driver, monkeypatch):
    with pytest.raises(InferenceError, match=r"no CUDA device 1 \(invalid device ordinal\)"):
        PyCuda(1)
    monkeypatch.setitem(sys.modules, "pycuda", None)
    with pytest.raises(MissingDependencyError, match="pycuda can't be loaded"):
        PyCuda(0)


def test_errors_are_one_line_that_says_what_failed(driver):
    def fail(*_arguments):
        raise DriverError("out of\n  memory")

    driver.mem_alloc = driver.pagelocked_empty = driver.memcpy_htod_async = fail
    cuda = PyCuda(0)
    for what, call in (
        ("memory", lambda: cuda.allocate(8)),
        ("pinned memory", lambda: cuda.pinned((2,), np.dtype("f4"))),
        ("copy", lambda: cuda.upload(None, None, None)),
    ):
        with pytest.raises(InferenceError, match=rf"^the GPU's {what} failed \(out of memory\)$"):
            call()
    with pytest.raises(InferenceError, match="can't record CUDA graphs; cuda-python can"):
        cuda.begin_capture(object())
