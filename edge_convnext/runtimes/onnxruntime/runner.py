"""ONNX Runtime on the CPU.

Two of its defaults are changed, for every graph:

- `MatMulAddFusion` is off. If shapes are static, it turns a quantized MatMul and its Add into a
  float Gemm, and INT8 then runs at half speed. No float graph of these networks was slower
  without it.
- `session.force_spinning_stop` is on. Worker threads spin during a run, which saves a fifth of
  the latency at batch 1. By default they also spin for 40 ms after it, and take that time from
  the application or from the next candidate of a benchmark.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edge_convnext.core.errors import InferenceError
from edge_convnext.core.third_party import import_onnxruntime
from edge_convnext.runtimes.image_types import read_border
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
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray
    from onnxruntime import SessionOptions

__all__ = ["OnnxRuntime"]

_DISABLED_OPTIMIZERS = ("MatMulAddFusion",)
_SESSION_CONFIG = {"session.force_spinning_stop": "1"}
_SETTINGS = frozenset(
    (
        "mlas.enable_gemm_fastmath_arm64_bfloat16",
        "optimization.enable_gelu_approximation",
        "session.disable_double_qdq_remover",
        "session.disable_prepacking",
        "session.disable_quant_qdq",
        "session.dynamic_block_base",
        "session.enable_quant_qdq_cleanup",
        "session.force_spinning_stop",
        "session.inter_op.allow_spinning",
        "session.intra_op.allow_spinning",
        "session.intra_op_thread_affinities",
        "session.qdqisint8allowed",
        "session.set_denormal_as_zero",
        "session.x64quantprecision",
    )
)
_BATCH_DIMENSION = "batch"  # the export's name for a dynamic batch
_LOG_ERRORS_ONLY = 3


class OnnxRuntime:
    """A graph in `onnxruntime.InferenceSession`, CPUExecutionProvider.

    Raises:
        MissingDependencyError: onnxruntime is not installed, or incomplete.
        ArtifactError: There is no such file.
        InferenceError: ONNX Runtime can't load the graph, or bfloat16 was requested.
    """

    def __init__(self, path: Path, options: RuntimeOptions) -> None:
        onnxruntime = import_onnxruntime()
        if options.precision_hint in ("bf16", "f16"):
            kind = "bfloat16" if options.precision_hint == "bf16" else "float16 of float32 graphs"
            raise InferenceError(
                f"ONNX Runtime has no {kind} on the CPU; pass --hint f32, or --runtime openvino"
            )
        self._path = require_file(path)
        self._version = str(onnxruntime.__version__)
        self._threads = options.threads or usable_cores()
        settings = onnxruntime.SessionOptions()
        settings.intra_op_num_threads = self._threads
        settings.log_severity_level = _LOG_ERRORS_ONLY
        self._config = {**_SESSION_CONFIG, **check_settings(options, _SETTINGS, "ONNX Runtime")}
        for key, value in self._config.items():
            settings.add_session_config_entry(key, value)
        if options.static_batch is not None:
            settings.add_free_dimension_override_by_name(_BATCH_DIMENSION, options.static_batch)
        self._configure(settings)
        try:
            self._session = onnxruntime.InferenceSession(
                # ONNX Runtime can't open a file whose name is not UTF-8.
                path if str(path).isascii() else path.read_bytes(),
                settings,
                providers=["CPUExecutionProvider"],
                disabled_optimizers=list(_DISABLED_OPTIMIZERS),
            )
        except Exception as error:  # its exceptions share no other base class
            raise InferenceError(
                f"{path}: ONNX Runtime {self._version} can't load this graph ({one_line(error)})"
            ) from error
        inputs = self._session.get_inputs()
        require_one_input(len(inputs), path)
        self._input = str(inputs[0].name)
        self._output = str(self._session.get_outputs()[0].name)
        metadata = self._session.get_modelmeta().custom_metadata_map
        self._images = read_border(inputs[0].type, inputs[0].shape, metadata, path)

    def infer(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """Run float32[N, C, H, W], or what `prepare` made of it, to logits float32[N, classes]."""
        if self._images.holds(images):
            return self._run(images)
        return infer_in_pieces(self._run, images, self._images.shape, str(self._path))

    def prepare(self, images: NDArray[np.float32]) -> NDArray[Any]:
        """Convert a batch to the graph's type and layout, so that `infer` has nothing to do."""
        return self._images.adapt(images)

    def describe(self) -> RuntimeInfo:
        """Describe the version and the options that differ from ONNX Runtime's defaults."""
        return RuntimeInfo(
            name="onnxruntime",
            version=self._version,
            threads=self._threads,
            batch=self._images.shape[0],
            options={
                "provider": "CPUExecutionProvider",
                "disabled_optimizers": ",".join(_DISABLED_OPTIMIZERS),
                **self._config,
            },
        )

    def _configure(self, settings: SessionOptions) -> None:
        """Change settings before the session is made; for subclasses."""

    def _run(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        try:
            own = images if self._images.holds(images) else self._images.adapt(images)
            fed = {self._input: own}
            (output,) = self._session.run([self._output], fed)
        except Exception as error:  # its exceptions share no other base class
            raise InferenceError(
                f"{self._path}: ONNX Runtime {self._version} failed ({one_line(error)})"
            ) from error
        return as_logits(output, len(images), str(self._path))
