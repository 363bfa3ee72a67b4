"""A float graph and a bad INT8 graph of it."""

import numpy as np

from edge_convnext.core.artifacts import ModelInfo, Preprocess
from edge_convnext.core.sections import ExportConfig, QuantizeConfig
from edge_convnext.networks.convnext.build import random_state
from edge_convnext.networks.convnext.sizes import Architecture
from edge_convnext.networks.weights import save_weights
from edge_convnext.runtimes import RuntimeOptions
from edge_convnext.runtimes.load import load_runtime
from edge_convnext.stages.fold import fold_weights
from support.exports import export_onnx, quantize

SIZE = 48  # an odd map before the last downsampling: the graph slices it


TINY = Architecture("convnextv2_atto", 2, (1, 1, 1, 1), (8, 16, 24, 32), num_classes=5)


INFO = ModelInfo("convnextv2_atto", 5, 3, (), Preprocess(image_size=SIZE), "x", "0" * 64, None)


IMAGES = np.random.default_rng(0).standard_normal((40, 3, SIZE, SIZE), dtype=np.float32)


FORMS = ("linear", "nhwc", "conv", "conv_moments")


def infer(path):
    return load_runtime("onnxruntime", path, RuntimeOptions()).infer(IMAGES)


def make_models(form, folder):
    """Float graph and a bad INT8 graph: ranges from too few values."""
    raw = save_weights(random_state(TINY, 0), TINY, INFO, folder / "raw.safetensors")
    folded = fold_weights(raw, folder / "folded.safetensors")
    reference = export_onnx(folded, form, "fp32", ExportConfig(), folder / "fp32.onnx")
    config = QuantizeConfig(activations_range_estimator="minmax")
    kind = "uint8" if form == "linear" else "int8"
    quantized = quantize(
        reference, [0.3 * IMAGES[:4]], "pointwise", config, folder / "int8.onnx",
        activation_type=kind,
    )  # fmt: skip
    return reference, quantized
