"""NNCF's `nncf.quantize` on the ONNX graph or, for an `.xml`, on OpenVINO's of it."""

from __future__ import annotations

from typing import Any

import nncf
import onnx
import openvino
from call import Call, serve

_VARIANTS: dict[str, dict[str, Any]] = {
    "performance": {},  # its default preset
    "mixed": {"preset": nncf.QuantizationPreset.MIXED},
    "transformer": {"model_type": nncf.ModelType.TRANSFORMER},
}


def quantize(call: Call) -> None:
    """Quantize with every calibration image; NNCF takes 300 by default."""
    name = call.input_name
    dataset = nncf.Dataset(call.images, lambda image: {name: image[None]})
    settings = _VARIANTS[call.variant]
    count = len(call.images)
    if call.out.suffix == ".xml":
        model = openvino.Core().read_model(call.model)
        made = nncf.quantize(model, dataset, subset_size=count, **settings)
        openvino.save_model(made, call.out, compress_to_fp16=False)
    else:
        made = nncf.quantize(onnx.load(str(call.model)), dataset, subset_size=count, **settings)
        onnx.save(made, str(call.out))


if __name__ == "__main__":
    serve(quantize, ["nncf", "onnx", "onnxruntime", "openvino"])
