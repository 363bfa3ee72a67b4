"""Load an engine into TensorRT, and find its images and logits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_convnext.core.errors import InferenceError
from edge_convnext.runtimes.interface import require_one_input
from edge_convnext.runtimes.tensorrt.native import Messages

if TYPE_CHECKING:
    from pathlib import Path

    from edge_convnext.runtimes.tensorrt.api import Api
    from edge_convnext.runtimes.tensorrt.sidecar import EngineFacts

__all__ = ["Tensor", "find_tensors", "load_engine"]

_NUMPY: Mapping[str, type[np.generic]] = {
    "FLOAT": np.float32,
    "HALF": np.float16,
    "UINT8": np.uint8,
}


@dataclass(frozen=True)
class Tensor:
    """An input or output of the engine."""

    name: str
    shape: tuple[int, ...]  # -1 where the batch is dynamic
    dtype: np.dtype[Any]


def load_engine(api: Api, messages: Messages, facts: EngineFacts) -> tuple[Any, Any]:
    """Load an engine; return TensorRT's runtime, which must outlive the engine, and the engine.

    Raises:
        InferenceError: TensorRT can't run it here.
    """
    trt = api.module
    runtime = trt.Runtime(messages.logger)
    plan = facts.path.read_bytes()
    if api.has("engine_validity"):
        validity, diagnostics = runtime.get_engine_validity(plan)
        if validity == trt.EngineValidity.INVALID:
            # Such as UNSUPPORTED_CC: TensorRT for RTX does not support this compute capability.
            kinds = trt.EngineInvalidityDiagnostics.__members__.items()
            why = [name for name, kind in kinds if int(diagnostics) & int(kind)]
            reason = " ".join(why) or diagnostics
            raise InferenceError(f"{facts.path}: {api.label} can't run it here ({reason})")
    if facts.version_compatible:
        runtime.engine_host_code_allowed = True  # the engine contains the runtime of its version
    engine = runtime.deserialize_cuda_engine(plan)
    if engine is None:
        raise InferenceError(
            f"{facts.path}: {api.label} can't load it ({messages.last_error}); build it again"
        )
    return runtime, engine


def find_tensors(api: Api, engine: Any, path: Path) -> tuple[Tensor, Tensor]:
    """Find the input, images, and the output, logits.

    Raises:
        InferenceError: The engine has several inputs, or a type that this package does not support.
    """
    trt = api.module
    inputs: list[Tensor] = []
    outputs: list[Tensor] = []
    for index in range(engine.num_io_tensors):
        name = engine.get_tensor_name(index)
        kind = str(engine.get_tensor_dtype(name).name)
        if kind not in _NUMPY:
            raise InferenceError(
                f"{path}: {name} is of type {kind}, not float or uint8; build it again"
            )
        tensor = Tensor(name, tuple(engine.get_tensor_shape(name)), np.dtype(_NUMPY[kind]))
        mode = engine.get_tensor_mode(name)
        (inputs if mode == trt.TensorIOMode.INPUT else outputs).append(tensor)
    require_one_input(len(inputs), path)
    if not outputs:
        raise InferenceError(f"{path}: has no output; logits are needed; build it again")
    return inputs[0], outputs[0]
