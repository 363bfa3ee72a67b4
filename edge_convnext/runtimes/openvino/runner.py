"""OpenVINO on the CPU.

The type of float computations is always stated. By default OpenVINO computes float32 graphs in
bfloat16 if the CPU can, and a user's results would depend on the machine.
"""

from __future__ import annotations

import platform
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar

from edge_convnext.core.errors import InferenceError
from edge_convnext.core.third_party import import_openvino
from edge_convnext.runtimes.interface import (
    RuntimeInfo,
    RuntimeOptions,
    as_logits,
    check_settings,
    infer_in_pieces,
    one_line,
    require_file,
    require_one_input,
    usable_cores,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

__all__ = ["OpenVino", "shared_core", "supports_bf16", "supports_f16"]

_DEVICE = "CPU"
_ARM = ("aarch64", "arm64")
_SETTINGS = frozenset(
    (
        "CPU_DENORMALS_OPTIMIZATION",
        "CPU_SPARSE_WEIGHTS_DECOMPRESSION_RATE",
        "DYNAMIC_QUANTIZATION_GROUP_SIZE",
        "ENABLE_CPU_PINNING",
        "ENABLE_CPU_RESERVATION",
        "ENABLE_HYPER_THREADING",
        "EXECUTION_MODE_HINT",
        "INFERENCE_NUM_THREADS",
        "INFERENCE_PRECISION_HINT",
        "MODEL_DISTRIBUTION_POLICY",
        "NUM_STREAMS",
        "PERFORMANCE_HINT",
        "PERFORMANCE_HINT_NUM_REQUESTS",
        "SCHEDULING_CORE_TYPE",
    )
)


def supports_bf16() -> bool:
    """True if OpenVINO finds that this CPU computes in bfloat16.

    Raises:
        MissingDependencyError: openvino is not installed.
    """
    return "BF16" in shared_core().get_property(_DEVICE, "OPTIMIZATION_CAPABILITIES")


def supports_f16() -> bool:
    """True if OpenVINO finds that this is an Arm CPU which computes in float16.

    It computes float graphs so there unless it is told not to, so INT8 has to beat that.

    Raises:
        MissingDependencyError: openvino is not installed.
    """
    if platform.machine() not in _ARM:
        return False
    return "FP16" in shared_core().get_property(_DEVICE, "OPTIMIZATION_CAPABILITIES")


class OpenVino:
    """A graph compiled by OpenVINO's CPU plugin.

    For INT8, static shapes are 20 to 30 % faster than a dynamic batch. So a stated batch is
    compiled in, which takes a fraction of a second.

    Raises:
        MissingDependencyError: openvino is not installed.
        ArtifactError: There is no such file.
        InferenceError: OpenVINO can't compile the graph, or this CPU lacks the type.
    """

    _EXTRA_OPTIONS: ClassVar[Mapping[str, str]] = {}  # further properties, for subclasses

    def __init__(self, path: Path, options: RuntimeOptions) -> None:
        core = shared_core()
        self._path = require_file(path)
        self._version = str(import_openvino().__version__).split("-")[0]
        hint = options.precision_hint or "f32"
        if hint == "bf16" and not supports_bf16():
            raise InferenceError("this CPU has no bfloat16 instructions; pass --hint f32")
        if hint == "f16" and not supports_f16():
            raise InferenceError("only Arm CPUs with float16 compute so; pass --hint f32")
        self._threads = options.threads or usable_cores()
        self._options = {
            "INFERENCE_PRECISION_HINT": hint,
            "INFERENCE_NUM_THREADS": str(self._threads),
            "PERFORMANCE_HINT": "LATENCY",
            **self._EXTRA_OPTIONS,
            **check_settings(options, _SETTINGS, "OpenVINO"),
        }
        try:
            model = core.read_model(path if str(path).isascii() else path.read_bytes())
            require_one_input(len(model.inputs), path)
            batch = options.static_batch
            if batch is not None and model.input(0).partial_shape[0].is_dynamic:
                shape = model.input(0).partial_shape
                shape[0] = batch
                model.reshape(shape)
            self._shape = tuple(
                None if d.is_dynamic else int(d.get_length()) for d in model.input(0).partial_shape
            )
            compiled = core.compile_model(model, _DEVICE, self._options)
            self._request = compiled.create_infer_request()
        except RuntimeError as error:
            raise InferenceError(
                f"{path}: OpenVINO {self._version} can't compile this graph ({one_line(error)})"
            ) from error

    def infer(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """Run float32[N, C, H, W] to logits float32[N, classes]."""
        return infer_in_pieces(self._run, images, self._shape, str(self._path))

    def describe(self) -> RuntimeInfo:
        """Describe the version and the properties that the graph was compiled with."""
        return RuntimeInfo(
            name="openvino",
            version=self._version,
            threads=self._threads,
            batch=self._shape[0],
            options=dict(self._options),
        )

    def _run(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        try:
            # share_inputs reads the array in place, as ONNX Runtime does; outputs are copied.
            output = self._request.infer({0: images}, share_inputs=True)[0]
        except RuntimeError as error:
            raise InferenceError(
                f"{self._path}: OpenVINO {self._version} failed ({one_line(error)})"
            ) from error
        return as_logits(output, len(images), str(self._path))


@cache
def shared_core() -> Any:
    """Return the only Core of this process.

    Each Core's CPU plugin gives the thread an alternate signal stack and frees it on destruction.
    If two Cores are destroyed in order of creation, the last one restores the first one's freed
    stack. The next signal, such as Ctrl-C, is then a segmentation fault.
    """
    return import_openvino().Core()
