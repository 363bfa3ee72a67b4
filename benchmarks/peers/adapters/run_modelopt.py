"""NVIDIA ModelOpt's ONNX quantization, made for TensorRT, with calibration on the CPU."""

from __future__ import annotations

from typing import Any

from call import Call, serve
from modelopt.onnx.quantization import quantize as modelopt_quantize

_VARIANTS: dict[str, dict[str, Any]] = {
    "default": {},  # what is not INT8 becomes float16
    "fp32": {"high_precision_dtype": "fp32"},
    "fp32-max": {"high_precision_dtype": "fp32", "calibration_method": "max"},
}


def quantize(call: Call) -> None:
    """Quantize in one calibration pass over all images."""
    modelopt_quantize(
        str(call.model),
        quantize_mode="int8",
        calibration_data={call.input_name: call.images},
        calibration_eps=["cpu"],
        output_path=str(call.out),
        **_VARIANTS[call.variant],
    )


if __name__ == "__main__":
    serve(quantize, ["nvidia-modelopt", "onnx", "onnxruntime"])
