"""Arithmetic and activations: every value of the output comes from one position of the inputs.

Source: ONNX operators.
"""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

from edge_convnext.graph.torch_operations.interface import Make, plain

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge_convnext.graph.torch_operations.interface import Attributes, Constants, Run

__all__ = ["ELEMENTWISE"]

_TINY = 1e-12  # smallest number that is divided by


def _gelu(attributes: Attributes, _constants: Constants) -> Run:
    approximate = attributes.get("approximate", b"none").decode()
    return lambda x: functional.gelu(x, approximate=approximate)


def _hard_sigmoid(attributes: Attributes, _constants: Constants) -> Run:
    alpha, beta = attributes.get("alpha", 0.2), attributes.get("beta", 0.5)
    return lambda x: torch.clamp(alpha * x + beta, 0.0, 1.0)


def _softmax(function: Callable[..., Tensor]) -> Make:
    def make(attributes: Attributes, _constants: Constants) -> Run:
        axis = attributes.get("axis", -1)
        return lambda x: function(x, dim=axis)

    return make


def _with_alpha(function: Callable[..., Tensor], default: float) -> Make:
    def make(attributes: Attributes, _constants: Constants) -> Run:
        alpha = attributes.get("alpha", default)
        return lambda x: function(x, alpha)

    return make


def _selu(attributes: Attributes, _constants: Constants) -> Run:
    alpha = attributes.get("alpha", 1.67326319217681884765625)
    gamma = attributes.get("gamma", 1.05070102214813232421875)
    return lambda x: gamma * functional.elu(x, alpha)


def _clip(x: Tensor, low: Tensor | None = None, high: Tensor | None = None) -> Tensor:
    return x if low is None and high is None else torch.clamp(x, low, high)


def _prelu(x: Tensor, slope: Tensor) -> Tensor:
    return torch.where(x < 0, slope * x, x)


def _sqrt(x: Tensor) -> Tensor:
    """Square root with a finite slope at 0: GRN takes the root of channels that are zero."""
    return torch.sqrt(x.clamp(min=_TINY**2))


def _div(x: Tensor, divisor: Tensor) -> Tensor:
    if not divisor.is_floating_point():  # of sizes
        return torch.div(x, divisor, rounding_mode="trunc")
    return x * _reciprocal(divisor)


def _reciprocal(x: Tensor) -> Tensor:
    """Reciprocal with a finite slope at a 0 from quantization; the next quantizer clamps it."""
    return torch.reciprocal(x.masked_fill(x == 0, _TINY))


def _of_all(function: Callable[[Tensor, Tensor], Tensor]) -> Make:
    return plain(lambda *values: reduce(function, values))


ELEMENTWISE: dict[str, Make] = {
    "Abs": plain(torch.abs),
    "Add": plain(torch.add),
    "Celu": _with_alpha(functional.celu, 1.0),
    "Clip": plain(_clip),
    "Cos": plain(torch.cos),
    "Div": plain(_div),
    "Elu": _with_alpha(functional.elu, 1.0),
    "Equal": plain(torch.eq),
    "Erf": plain(torch.erf),  # of GELU, below opset 20
    "Exp": plain(torch.exp),
    "Gelu": _gelu,
    "Greater": plain(torch.gt),
    "GreaterOrEqual": plain(torch.ge),
    "HardSigmoid": _hard_sigmoid,
    "HardSwish": plain(functional.hardswish),
    "LeakyRelu": _with_alpha(functional.leaky_relu, 0.01),
    "Less": plain(torch.lt),
    "LessOrEqual": plain(torch.le),
    "Log": plain(torch.log),
    "LogSoftmax": _softmax(functional.log_softmax),
    "Max": _of_all(torch.maximum),
    "Min": _of_all(torch.minimum),
    "Mish": plain(functional.mish),
    "Mul": plain(torch.mul),
    "Neg": plain(torch.neg),
    "Not": plain(torch.logical_not),
    "PRelu": plain(_prelu),
    "Pow": plain(torch.pow),
    "Reciprocal": plain(_reciprocal),
    "Relu": plain(torch.relu),  # clamps a variance to zero
    "Selu": _selu,
    "Sigmoid": plain(torch.sigmoid),
    "Sin": plain(torch.sin),
    "Softmax": _softmax(functional.softmax),
    "Softplus": plain(functional.softplus),
    "Softsign": plain(functional.softsign),
    "Sqrt": plain(_sqrt),
    "Sub": plain(torch.sub),
    "Tanh": plain(torch.tanh),
    "Where": plain(torch.where),
}
