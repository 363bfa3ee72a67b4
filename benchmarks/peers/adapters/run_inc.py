"""Intel Neural Compressor up to 2.6: `neural_compressor.quantization.fit`."""

from __future__ import annotations

from typing import Any

from call import Call, serve
from neural_compressor import PostTrainingQuantConfig, quantization

_VARIANTS: dict[str, dict[str, Any]] = {
    "default": {},
    "qdq": {"quant_format": "QDQ"},  # its default format is of ONNX Runtime's own operators
}


class Loader:
    """Batches with a label that nobody reads, as its data loaders give them."""

    def __init__(self, call: Call) -> None:
        self.batch_size, self._images = 1, call.images

    def __iter__(self) -> Any:
        return ((image[None], 0) for image in self._images)

    def __len__(self) -> int:
        return len(self._images)


def quantize(call: Call) -> None:
    """Quantize with every calibration image; it takes 100 by default."""
    config = PostTrainingQuantConfig(
        calibration_sampling_size=len(call.images), **_VARIANTS[call.variant]
    )
    made = quantization.fit(str(call.model), config, calib_dataloader=Loader(call))
    if made is None:
        raise RuntimeError("quantization.fit returned no model")
    made.save(str(call.out))


if __name__ == "__main__":
    serve(quantize, ["neural-compressor", "onnx", "onnxruntime"])
