"""Intel Neural Compressor's ONNX part since 2024, `onnx-neural-compressor`."""

from __future__ import annotations

from typing import Any

from call import Call, Reader, serve
from onnx_neural_compressor.quantization import QuantFormat, config
from onnx_neural_compressor.quantization import quantize as inc_quantize

_VARIANTS: dict[str, dict[str, Any]] = {
    "default": {},
    "qdq": {"quant_format": QuantFormat.QDQ, "per_channel": True},
}


def quantize(call: Call) -> None:
    """Quantize with every calibration image; it takes 100 by default."""
    settings = config.StaticQuantConfig(
        calibration_data_reader=Reader(call),
        calibration_sampling_size=len(call.images),
        **_VARIANTS[call.variant],
    )
    inc_quantize(str(call.model), str(call.out), settings)


if __name__ == "__main__":
    serve(quantize, ["onnx-neural-compressor", "onnx", "onnxruntime"])
