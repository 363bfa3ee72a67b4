"""A TensorRT and a GPU made of numpy: what the runner and the builder do with them is real."""

from __future__ import annotations

import json
from enum import IntEnum
from types import SimpleNamespace

import numpy as np

from edge_convnext.core.artifacts import ModelInfo, Preprocess
from edge_convnext.core.errors import InferenceError
from edge_convnext.core.files import sha256_file
from edge_convnext.runtimes.tensorrt.api import Api
from edge_convnext.runtimes.tensorrt.cuda import DeviceFacts
from edge_convnext.runtimes.tensorrt.sidecar import SCHEMA, sidecar_path

DEVICE = DeviceFacts("Fake GPU", "8.7", 8 << 30, 16, "12.6", None)
INFO = ModelInfo("convnextv2_atto", 3, 3, ("a", "b", "c"), Preprocess(4), "w", "0" * 64, None)
CLASSES, SIZE = 3, 4
WEIGHT = np.random.default_rng(0).standard_normal((3, CLASSES)).astype(np.float32)


def logits(images):
    """What a fake engine computes of [N, C, H, W]."""
    return images.astype(np.float32).mean(axis=(2, 3)) @ WEIGHT


class Severity(IntEnum):
    INTERNAL_ERROR = 0
    ERROR = 1
    INFO = 3


class FakeCuda:
    """`cuda.Cuda` over dictionaries; a captured graph is the list of calls."""

    label = "fake 1.0"

    def __init__(self, *, captures=True):
        self.memory, self.captures, self.recording = {}, captures, None
        self.log, self.clock = [], 0.0

    def facts(self):
        return DEVICE

    def create_stream(self):
        return "stream"

    def handle(self, stream):
        return 7

    def allocate(self, size_bytes):
        address = 1000 + len(self.memory)
        self.memory[address] = None
        return address

    def address(self, memory):
        return memory

    def free(self, memory):
        del self.memory[memory]

    def pinned(self, shape, dtype):
        return np.empty(shape, dtype)

    def upload(self, memory, array, stream):
        self.log.append("upload")
        self.memory[memory] = array.copy()

    def download(self, array, memory, stream):
        self.log.append("download")
        array[...] = self.memory[memory]

    def synchronize(self, stream):
        pass

    def create_event(self):
        return SimpleNamespace(at=None)

    def record(self, event, stream):
        event.at = self.clock

    def elapsed_ms(self, start, end):
        return end.at - start.at

    def begin_capture(self, stream):
        if not self.captures:
            raise InferenceError("no graphs here")
        self.recording = []

    def end_capture(self, stream):
        graph, self.recording = self.recording, None
        return graph

    def launch(self, graph, stream):
        self.log.append("launch")
        for call in graph:
            call()


class FakeContext:
    def __init__(self, engine):
        self.engine, self.shape, self.addresses = engine, engine.shape, {}

    def set_input_shape(self, name, shape):
        self.shape = tuple(shape)
        return True

    def get_tensor_shape(self, name):
        return (self.shape[0], CLASSES)

    def set_tensor_address(self, name, address):
        self.addresses[name] = address
        return name in ("images", "logits")

    def execute_async_v3(self, handle):
        cuda = self.engine.cuda
        if cuda.recording is not None:
            cuda.recording.append(self._run)
        else:
            cuda.log.append("enqueue")
            self._run()
        return True

    def _run(self):
        cuda = self.engine.cuda
        images = cuda.memory[self.addresses["images"]]
        if images.dtype == np.uint8:
            mean, std = (
                np.float32(v).reshape(1, -1, 1, 1)
                for v in (INFO.preprocess.mean, INFO.preprocess.std)
            )
            images = (images.transpose(0, 3, 1, 2) / np.float32(255) - mean) / std
        cuda.memory[self.addresses["logits"]] = logits(images)
        cuda.clock += 0.5


class FakeEngine:
    num_io_tensors = 2

    def __init__(self, cuda, shape, dtype, max_batch):
        self.cuda, self.shape, self.dtype, self.max_batch = cuda, shape, dtype, max_batch

    def get_tensor_name(self, index):
        return ("images", "logits")[index]

    def get_tensor_mode(self, name):
        return "in" if name == "images" else "out"

    def get_tensor_dtype(self, name):
        return SimpleNamespace(name=self.dtype if name == "images" else "FLOAT")

    def get_tensor_shape(self, name):
        return self.shape if name == "images" else (self.shape[0], CLASSES)

    def get_tensor_profile_shape(self, name, profile):
        return [(size, *self.shape[1:]) for size in (1, 1, self.max_batch)]

    def create_execution_context(self):
        return FakeContext(self)


def make_api(
    cuda, shape=(1, 3, SIZE, SIZE), dtype="FLOAT", max_batch=4, version="10.3.0", log=None
):
    """An imported TensorRT 10 that deserialises one engine."""
    loaded = [] if log is None else log

    class Runtime:
        def __init__(self, logger):
            self.engine_host_code_allowed = False

        def deserialize_cuda_engine(self, plan):
            loaded.append((bytes(plan), self.engine_host_code_allowed))
            return FakeEngine(cuda, shape, dtype, max_batch)

    class ILogger:
        Severity = Severity

        def __init__(self):
            pass

    module = SimpleNamespace(
        Runtime=Runtime, ILogger=ILogger, TensorIOMode=SimpleNamespace(INPUT="in"),
        NetworkDefinitionCreationFlag=SimpleNamespace(EXPLICIT_BATCH=0, STRONGLY_TYPED=1),
        BuilderFlag=SimpleNamespace(FP16=0, INT8=1),
    )  # fmt: skip
    return Api("tensorrt", module, version)


def write_engine(path, batch=1, max_batch=4, **changes):
    """An engine file with a sidecar that fits it."""
    path.write_bytes(b"plan")
    facts = {
        "schema": SCHEMA,
        "runtime": "tensorrt",
        "tensorrt": "10.3.0",
        "gpu": {"name": DEVICE.name},
        "compute_capabilities": ["8.7"],
        "precision": "int8",
        "form": "mixed",
        "placement": "blocks",
        "engine_sha256": sha256_file(path),
        "flags": {},
        "batch": batch,
        "profile": None if batch else {"max": [max_batch, 3, SIZE, SIZE]},
        "model": json.loads(INFO.to_metadata()["edge_convnext"]),
    }
    sidecar_path(path).write_text(json.dumps({**facts, **changes}))
    return path
