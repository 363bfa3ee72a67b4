"""Both runtimes as a user gets them who changes nothing but the number of threads.

`onnxruntime` is a plain `InferenceSession`. The one setting is `session.force_spinning_stop`: its
threads don't spin on after a run, into the turn of the next candidate. The batch stays dynamic,
as exported: a fixed one changes nothing but makes NNCF's graphs a half slower (MatMulAddFusion).

`openvino` has no precision hint: on a CPU with bfloat16 it computes in that what is float in
the graph. `openvino f32` states float32. Both compile the batch in, which is worth 20 to 30 %,
for peers as for ours.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from edge_convnext.core.errors import InferenceError
from edge_convnext.runtimes import RuntimeInfo
from edge_convnext.runtimes.interface import as_logits, one_line
from edge_convnext.runtimes.load import available_runtimes
from edge_convnext.runtimes.openvino.runner import shared_core, supports_bf16

__all__ = ["Configuration", "available_configurations", "load"]

Configuration = Literal["onnxruntime", "openvino", "openvino f32"]


def available_configurations() -> tuple[Configuration, ...]:
    """Those that differ on this machine."""
    if "openvino" not in available_runtimes():
        return ("onnxruntime",)
    if supports_bf16():
        return "onnxruntime", "openvino", "openvino f32"
    return "onnxruntime", "openvino"


class _Loaded:
    """A graph in one configuration, as `edge_convnext.runtimes.Runtime`."""

    def __init__(self, path: Path, configuration: Configuration, threads: int, batch: int) -> None:
        self._name, self._threads, self._batch = configuration, threads, batch
        self._run: Any = None
        if configuration == "onnxruntime":
            self._load_onnxruntime(path)
        else:
            self._load_openvino(path)

    def infer(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """Run float32[batch, 3, S, S] to logits float32[batch, classes]."""
        try:
            return as_logits(self._run(images), len(images), self._name)
        except RuntimeError as error:
            raise InferenceError(f"{self._name} failed ({one_line(error)})") from error

    def describe(self) -> RuntimeInfo:
        """Tell the threads and the batch."""
        return RuntimeInfo(self._name, "", self._threads, self._batch, {})

    def _load_onnxruntime(self, path: Path) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self._threads
        options.log_severity_level = 4
        options.add_session_config_entry("session.force_spinning_stop", "1")
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        name = session.get_inputs()[0].name
        self._run = lambda images: session.run(None, {name: images})[0]

    def _load_openvino(self, path: Path) -> None:
        core = shared_core()
        model = core.read_model(path)
        shape = model.input(0).partial_shape
        shape[0] = self._batch
        model.reshape(shape)
        settings = {"INFERENCE_NUM_THREADS": str(self._threads)}
        if self._name == "openvino f32":
            settings["INFERENCE_PRECISION_HINT"] = "f32"
        request = core.compile_model(model, "CPU", settings).create_infer_request()
        self._run = lambda images: request.infer({0: images}, share_inputs=True)[0]


def load(path: Path, configuration: Configuration, threads: int, batch: int) -> _Loaded:
    """Load a graph.

    Raises:
        InferenceError: The runtime refuses it, in its own words.
    """
    try:
        return _Loaded(path, configuration, threads, batch)
    except Exception as error:  # ONNX Runtime's exceptions share no other base class
        raise InferenceError(f"can't be loaded: {one_line(error)}") from error
