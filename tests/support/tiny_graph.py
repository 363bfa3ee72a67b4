"""A graph small enough to check by hand: logits = flatten(images) @ weight + bias."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

SHAPE = (3, 4, 4)
CLASSES = 5


def make_images(count: int, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).standard_normal((count, *SHAPE), dtype=np.float32)


def make_weights(seed: int = 1) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    draw = np.random.default_rng(seed).standard_normal
    return draw((48, CLASSES), dtype=np.float32), draw(CLASSES, dtype=np.float32)


def expected_logits(images: NDArray[np.float32], seed: int = 1) -> NDArray[np.float32]:
    weight, bias = make_weights(seed)
    return images.reshape(len(images), -1) @ weight + bias


def write_graph(
    path: Path, batch: int | str = "batch", seed: int = 1, product: str = "MatMul"
) -> Path:
    weight, bias = make_weights(seed)
    graph = helper.make_graph(
        [
            helper.make_node("Flatten", ["images"], ["flat"]),
            helper.make_node(product, ["flat", "weight"], ["product"]),
            helper.make_node("Add", ["product", "bias"], ["logits"]),
        ],
        "tiny",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, [batch, *SHAPE])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [batch, CLASSES])],
        [numpy_helper.from_array(weight, "weight"), numpy_helper.from_array(bias, "bias")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)])
    model.ir_version = 9
    onnx.save(model, path)
    return path
