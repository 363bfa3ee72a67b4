"""A float graph and its Q/DQ graph, for what returns operations to float."""

import numpy as np

from edge_convnext.core.sections import EqualizeConfig, ExportConfig, QuantizeConfig
from edge_convnext.networks.convnext.build import random_state
from edge_convnext.networks.weights import save_weights
from edge_convnext.stages.fold import fold_weights
from support.exports import equalize, export_onnx, quantize
from support.torch_exports import INFO, SIZE, TINY

IMAGES = np.random.default_rng(0).standard_normal((8, 3, SIZE, SIZE), dtype=np.float32)
VICTIM = "stages.3.downsample.conv"


def make_graphs(form, folder):
    """Float graph and Q/DQ graph of one form; activations of `conv` are unsigned."""
    raw = save_weights(random_state(TINY, 0), TINY, INFO, folder / "raw.safetensors")
    folded = fold_weights(raw, folder / "folded.safetensors")
    kind = "uint8" if form == "conv" else "int8"
    model = export_onnx(folded, form, "fp32", ExportConfig(), folder / "fp32.onnx")
    model = equalize(model, [IMAGES], EqualizeConfig(), kind, folder / "equalized.onnx")
    config = QuantizeConfig(disable_bias_correction=False)  # it changes biases
    made = quantize(
        model, [IMAGES], "pointwise", config, folder / "int8.onnx", activation_type=kind
    )
    return model.path, made.path
