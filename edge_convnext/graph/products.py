"""Matrix products by ONNX Runtime, whose kernels know CPUs that NumPy's library does not.

OpenBLAS 0.3.31 takes an AMD EPYC of family 26 for a Haswell and leaves its 512-bit units alone:
121 GFLOP/s on one core, where ONNX Runtime's MLAS has 231 (2026-11-30).
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_convnext.core.quotas import usable_cores
from edge_convnext.core.third_party import import_onnxruntime

__all__ = ["multiply"]

_OPSET, _IR_VERSION = 13, 8


def multiply(left: NDArray[np.float32], right: NDArray[np.float32]) -> NDArray[np.float32]:
    """The product of two matrices, float32[n, k] and float32[k, m]: float32[n, m]."""
    if not left.size or not right.size:
        return left @ right
    session = _load(usable_cores())
    product: NDArray[np.float32] = session.run(None, {"left": left, "right": right})[0]
    return product


@lru_cache(maxsize=2)  # a build's own share of the cores, and all of them
def _load(threads: int) -> Any:
    from onnx import TensorProto, helper

    def value(name: str, *sides: str) -> Any:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, sides)

    graph = helper.make_graph(
        [helper.make_node("MatMul", ["left", "right"], ["product"])],
        "product",
        [value("left", "n", "k"), value("right", "k", "m")],
        [value("product", "n", "m")],
    )
    opsets = [helper.make_opsetid("", _OPSET)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=_IR_VERSION)
    onnxruntime = import_onnxruntime()
    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 3
    settings.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(
        model.SerializeToString(), settings, providers=["CPUExecutionProvider"]
    )
