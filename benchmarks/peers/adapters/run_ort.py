"""ONNX Runtime's own quantization tool, `onnxruntime.quantization`."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from call import Call, Reader, serve
from onnxruntime.quantization import QuantType, quantize_dynamic, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

# Its documentation: U8S8 without reduced range where the CPU has VNNI, S8S8 otherwise first.
_WEIGHTED: dict[str, Any] = {
    "op_types_to_quantize": ["Conv", "MatMul", "Gemm"],
    "per_channel": True,
    "reduce_range": False,
    "weight_type": QuantType.QInt8,
}
_S8S8 = {**_WEIGHTED, "activation_type": QuantType.QInt8}
_U8S8 = {**_WEIGHTED, "activation_type": QuantType.QUInt8}
_SYMMETRIC = {"extra_options": {"ActivationSymmetric": True, "WeightSymmetric": True}}
_STATIC: dict[str, dict[str, Any]] = {
    "static": {},
    "static-s8s8": {**_S8S8, **_SYMMETRIC},
    "static-u8s8": _U8S8,
    "static-u8s8-pre": _U8S8,
    "static-u8s8-pre-symbolic-off": _U8S8,
}


def quantize(call: Call) -> None:
    """Run `quantize_static` or `quantize_dynamic`, after `quant_pre_process` where asked for."""
    if call.variant == "dynamic":
        quantize_dynamic(call.model, call.out)
        return
    with tempfile.TemporaryDirectory() as name:
        model = call.model
        if "-pre" in call.variant:
            model = Path(name) / "pre.onnx"
            skip = call.variant.endswith("symbolic-off")
            quant_pre_process(call.model, model, skip_symbolic_shape=skip)
        quantize_static(model, call.out, Reader(call), **_STATIC[call.variant])


if __name__ == "__main__":
    serve(quantize, ["onnxruntime", "onnx"])
