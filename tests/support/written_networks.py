"""Parts of the field's networks, small and written down: attention, gates, Concat, residuals."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from support.tiny_qdq import Builder

if TYPE_CHECKING:
    from onnx import ModelProto

RANDOM = np.random.default_rng(0)


def normal(*shape: int) -> np.ndarray:
    return RANDOM.standard_normal(shape).astype(np.float32)


def attention(batch: int | str = 1, *, mask: float | None = None) -> ModelProto:
    """A patch embedding, a norm, two heads of attention, a norm, a hidden layer, a mean, a head."""
    build = Builder()
    rows = 1 if batch == 1 else -1
    node, constant = build.node, build.constant
    x = node("Conv", ["images", constant("w0", normal(8, 3, 4, 4))], "embed", strides=[4, 4])
    x = node("Reshape", [x, constant("s0", np.array([rows, 8, 16]))], "flat")
    x = node("Transpose", [x], "tokens", perm=[0, 2, 1])
    x = node("Add", [x, constant("position", normal(1, 16, 8))], "placed")
    n = node("LayerNormalization", [x, constant("g", normal(8)), constant("b", normal(8))], "norm")
    q = node("MatMul", [n, constant("wqkv", normal(8, 24))], "qkv")
    q = node("Add", [q, constant("bqkv", normal(24))], "qkv_biased")
    q = node("Reshape", [q, constant("s1", np.array([rows, 16, 3, 2, 4]))], "parts")
    q = node("Transpose", [q], "turned", perm=[2, 0, 3, 1, 4])
    heads = []
    for number, name in enumerate("qkv"):
        at = constant(f"at{name}", np.array(number))
        heads.append(node("Gather", [q, at], name, axis=0))
    k = node("Transpose", [heads[1]], "kt", perm=[0, 1, 3, 2])
    scores = node("MatMul", [heads[0], k], "scores")
    scores = node("Mul", [scores, constant("half", np.float32(0.5))], "scaled")
    if mask is not None:
        hidden = np.where(np.eye(16) > 0, 0, mask).astype(np.float32)
        scores = node("Add", [scores, constant("mask", hidden)], "masked")
    weights = node("Softmax", [scores], "weights")
    a = node("MatMul", [weights, heads[2]], "values")
    a = node("Transpose", [a], "back", perm=[0, 2, 1, 3])
    a = node("Reshape", [a, constant("s2", np.array([rows, 16, 8]))], "joined")
    a = node("MatMul", [a, constant("wo", normal(8, 8))], "projected")
    x = node("Add", [x, a], "residual")
    pooled = node("ReduceMean", [x, constant("ax", np.array([1]))], "pooled", keepdims=0)
    y = node("Gemm", [pooled, constant("wh", normal(5, 8)), constant("bh", normal(5))], "logits",
             transB=1)  # fmt: skip
    return build.model({"images": [batch, 3, 16, 16]}, y, 2)


def gated(*, bound: float | None = None, activation: str = "Relu") -> ModelProto:
    """A convolution, a depthwise one, squeeze and excitation, a Concat, pools, a head."""
    build = Builder()
    node, constant = build.node, build.constant

    def act(name: str, output: str) -> str:
        if activation != "Clip":
            return node(activation, [name], output)
        low = constant(f"{output}_low", np.float32(0))
        highs = [] if bound is None else [constant(f"{output}_high", np.float32(bound))]
        return node("Clip", [name, low, *highs], output)

    x = node("Conv", ["images", constant("w0", normal(8, 3, 3, 3)), constant("b0", normal(8))],
             "stem", pads=[1, 1, 1, 1], strides=[2, 2])  # fmt: skip
    x = act(x, "stem_act")
    x = node("Conv", [x, constant("w1", normal(8, 1, 3, 3)), constant("b1", normal(8))], "dw",
             pads=[1, 1, 1, 1], group=8)  # fmt: skip
    x = act(x, "dw_act")
    s = node("GlobalAveragePool", [x], "squeezed")
    s = node("Relu", [node("Conv", [s, constant("w2", normal(4, 8, 1, 1))], "reduce")], "low")
    s = node("Conv", [s, constant("w3", normal(8, 4, 1, 1))], "expand")
    s = node("HardSigmoid", [s], "gate", alpha=1 / 6, beta=0.5)
    x = node("Mul", [x, s], "excited")
    left = node("Relu", [node("Conv", [x, constant("w4", normal(6, 8, 1, 1))], "left")], "lr")
    right = node("Relu", [node("Conv", [x, constant("w5", normal(6, 8, 1, 1))], "right")], "rr")
    x = node("Concat", [left, right], "joined", axis=1)
    x = node("MaxPool", [x], "pooled", kernel_shape=[2, 2], strides=[2, 2])
    x = node("ReduceMean", [x, constant("axes", np.array([2, 3]))], "mean", keepdims=0)
    y = node("Gemm", [x, constant("wh", normal(12, 5)), constant("bh", normal(5))], "logits")
    return build.model({"images": ["batch", 3, 16, 16]}, y, 2)


IMAGES = normal(4, 3, 16, 16)
