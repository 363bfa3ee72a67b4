"""OpenVINO on the CPU.

The type of float computations is always stated. By default OpenVINO computes float32 graphs in
bfloat16 if the CPU can, and a user's results would depend on the machine.
"""

from __future__ import annotations

import logging
import platform
from copy import copy
from functools import cache, partial
from typing import TYPE_CHECKING, Any, ClassVar

from edge_convnext.core.cache import Cache, stage_key
from edge_convnext.core.errors import ArtifactError, InferenceError
from edge_convnext.core.files import sha256_file
from edge_convnext.core.third_party import import_openvino
from edge_convnext.runtimes.image_types import ImageBorder, read_border
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
    from collections.abc import Callable, Mapping
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

__all__ = ["OpenVino", "shared_core", "supports_bf16", "supports_f16"]

_DEVICE = "CPU"
_KEPT, _KEPT_REVISION, _BLOB = "openvino", 1, "compiled.blob"  # in the cache
_MACHINE = ("FULL_DEVICE_NAME", "OPTIMIZATION_CAPABILITIES")
_log = logging.getLogger(__name__)
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
        batch = options.static_batch
        compile_now = partial(_compile, core, path, batch, self._options)
        try:
            self._compiled = (
                compile_now()
                if options.cache is None
                else _compile_or_import(
                    core, path, batch, self._options, options.cache, compile_now
                )
            )
            self._images = _read_border(self._compiled.input(0), path)
            self._request = self._compiled.create_infer_request()
        except RuntimeError as error:
            raise InferenceError(
                f"{path}: OpenVINO {self._version} can't compile this graph ({one_line(error)})"
            ) from error

    def infer(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """Run float32[N, C, H, W], or what `prepare` made of it, to logits float32[N, classes]."""
        if self._images.holds(images):
            return self._run(images)
        return infer_in_pieces(self._run, images, self._images.shape, str(self._path))

    def prepare(self, images: NDArray[np.float32]) -> NDArray[Any]:
        """Convert a batch to the graph's type and layout, so that `infer` has nothing to do."""
        return self._images.adapt(images)

    def another(self) -> OpenVino:
        """Another request of the same compiled graph, to be run by another thread meanwhile."""
        twin = copy(self)
        twin._request = self._compiled.create_infer_request()
        return twin

    def describe(self) -> RuntimeInfo:
        """Describe the version and the properties that the graph was compiled with."""
        return RuntimeInfo(
            name="openvino",
            version=self._version,
            threads=self._threads,
            batch=self._images.shape[0],
            options=dict(self._options),
        )

    def _run(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        own = images if self._images.holds(images) else self._images.adapt(images)
        try:
            # share_inputs reads the array in place, as ONNX Runtime does; outputs are copied.
            output = self._request.infer({0: own}, share_inputs=True)[0]
        except RuntimeError as error:
            raise InferenceError(
                f"{self._path}: OpenVINO {self._version} failed ({one_line(error)})"
            ) from error
        return as_logits(output, len(images), str(self._path))


def _read_border(entry: Any, path: Path) -> ImageBorder:
    """Type, shape and layout of a compiled graph's images."""
    sizes = [None if one.is_dynamic else int(one.get_length()) for one in entry.partial_shape]
    if entry.get_element_type().get_type_name() != "u8":
        return ImageBorder("float32", tuple(sizes))
    import onnx

    proto = onnx.load(str(path), load_external_data=False)
    metadata = {one.key: one.value for one in proto.metadata_props}
    return read_border("tensor(uint8)", sizes, metadata, path)


def _compile(core: Any, path: Path, batch: int | None, options: Mapping[str, str]) -> Any:
    model = core.read_model(path if str(path).isascii() else path.read_bytes())
    require_one_input(len(model.inputs), path)
    if batch is not None and model.input(0).partial_shape[0].is_dynamic:
        shape = model.input(0).partial_shape
        shape[0] = batch
        model.reshape(shape)
    return core.compile_model(model, _DEVICE, {**options})


def _compile_or_import(
    core: Any,
    path: Path,
    batch: int | None,
    options: Mapping[str, str],
    folder: Path,
    compile_now: Callable[[], Any],
) -> Any:
    """Return a compiled graph, imported if it was compiled before: that takes half as long.

    The files lie in this package's cache, under `openvino/`: `edge-convnext cache info` counts
    them, `cache prune` removes them, and a damaged one is made again. Whoever can't write there
    compiles as ever.

    Args:
        core: OpenVINO's core.
        path: The graph's file; its content counts.
        batch: Batch size that is compiled in; None for as exported.
        options: Properties that it is compiled with.
        folder: The cache.
        compile_now: Compiles the graph; its errors are the caller's.
    """
    made: list[Any] = []

    def make(scratch: Path) -> dict[str, Any]:
        made.append(compile_now())
        (scratch / _BLOB).write_bytes(made[0].export_model().getvalue())
        return {"graph": path.name, "options": dict(options)}

    try:
        cache = Cache(folder)
        entry = cache.run(_KEPT, _key(core, path, batch, options), make)
        if not made:
            made.append(
                core.import_model((entry.folder / _BLOB).read_bytes(), _DEVICE, {**options})
            )
    except (ArtifactError, OSError) as error:  # read-only, full, or removed meanwhile
        _log.debug("%s: not kept compiled (%s)", path, error)
    except RuntimeError as error:
        if made:  # it can't be exported
            _log.debug("%s: not kept compiled (%s)", path, error)
        else:  # what was kept can't be imported, or the graph can't be compiled, which says more
            _log.debug("%s: compiled anew (%s)", path, error)
    return made[0] if made else compile_now()


def _key(core: Any, path: Path, batch: int | None, options: Mapping[str, str]) -> str:
    machine = {name: str(core.get_property(_DEVICE, name)) for name in _MACHINE}
    return stage_key(
        f"{_KEPT}/{_KEPT_REVISION}",
        graph=sha256_file(path),
        batch=batch,
        options=dict(options),
        version=import_openvino().get_version(),
        machine=machine,
    )


@cache
def shared_core() -> Any:
    """Return the only Core of this process.

    Each Core's CPU plugin gives the thread an alternate signal stack and frees it on destruction.
    If two Cores are destroyed in order of creation, the last one restores the first one's freed
    stack. The next signal, such as Ctrl-C, is then a segmentation fault.
    """
    return import_openvino().Core()
