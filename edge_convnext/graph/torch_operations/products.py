"""Convolutions and matrix products.

Source: ONNX operators, Conv, ConvTranspose, Gemm and MatMul.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from edge_convnext.core.errors import UntrainableError
from edge_convnext.graph.torch_operations.interface import Make, plain
from edge_convnext.graph.torch_operations.padding import pad_same, split_pads

if TYPE_CHECKING:
    from torch import Tensor

    from edge_convnext.graph.torch_operations.interface import Attributes, Constants, Run

__all__ = ["PRODUCTS"]


def _conv(attributes: Attributes, constants: Constants) -> Run:
    same, rest = split_pads(attributes)
    strides, dilations = attributes.get("strides", 1), attributes.get("dilations", 1)
    groups = attributes.get("group", 1)
    weight = constants[1]
    one_axis = weight is not None and weight.ndim == 3
    convolve = functional.conv1d if one_axis else functional.conv2d

    def run(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        padded = pad_same(x, attributes, weight.shape[2:])
        padded = functional.pad(padded, rest) if rest else padded
        return convolve(padded, weight, bias, strides, same or 0, dilations, groups)

    return run


def _conv_transpose(attributes: Attributes, _constants: Constants) -> Run:
    same, rest = split_pads(attributes)
    if rest or "output_shape" in attributes or attributes.get("auto_pad", b"NOTSET") != b"NOTSET":
        raise UntrainableError("a ConvTranspose whose padding is not symmetric")
    return lambda x, weight, bias=None: functional.conv_transpose2d(
        x,
        weight,
        bias,
        attributes.get("strides", 1),
        same or 0,
        attributes.get("output_padding", 0),
        attributes.get("group", 1),
        attributes.get("dilations", 1),
    )


def _gemm(attributes: Attributes, _constants: Constants) -> Run:
    left, right = bool(attributes.get("transA")), bool(attributes.get("transB"))
    alpha, beta = attributes.get("alpha", 1.0), attributes.get("beta", 1.0)

    def run(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        product = (x.t() if left else x) @ (weight.t() if right else weight)
        product = product if alpha == 1.0 else alpha * product
        if bias is None:
            return product
        return product + (bias if beta == 1.0 else beta * bias)

    return run


PRODUCTS: dict[str, Make] = {
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "Gemm": _gemm,
    "MatMul": plain(torch.matmul),
}
