"""A tiny ConvNeXt as torch and ONNX Runtime run it."""

from __future__ import annotations

import numpy as np

from edge_convnext.core.artifacts import ModelInfo, Preprocess
from edge_convnext.networks.convnext.build import build_network
from edge_convnext.networks.convnext.sizes import Architecture
from edge_convnext.runtimes import RuntimeOptions
from edge_convnext.runtimes.load import load_runtime
from edge_convnext.runtimes.pytorch import TorchRuntime

SIZE = 32


TINY = Architecture("convnextv2_atto", 2, (1, 1, 1, 1), (8, 16, 24, 32), num_classes=5)


INFO = ModelInfo(
    model="convnextv2_atto",
    num_classes=5,
    in_channels=3,
    classes=("ant", "bee", "cat", "dog", "éléphant"),
    preprocess=Preprocess(image_size=SIZE, mean=(0.5, 0.5, 0.5)),
    weights_source="tiny.pth",
    weights_sha256="0" * 64,
    weights_licence="CC BY-NC 4.0",
)


IMAGES = np.random.default_rng(0).standard_normal((3, 3, SIZE, SIZE), dtype=np.float32)


def run_torch(weights, form, images=IMAGES):
    return TorchRuntime(build_network(weights, form)).infer(images)


def run_onnx(path, images=IMAGES):
    return load_runtime("onnxruntime", path, RuntimeOptions()).infer(images)
