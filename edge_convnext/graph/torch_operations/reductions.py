"""Norms, reductions and pools: every value of the output comes from several positions.

Source: ONNX operators.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional

from edge_convnext.core.errors import UntrainableError
from edge_convnext.graph.torch_operations.interface import Make, plain
from edge_convnext.graph.torch_operations.padding import pad_same, split_pads

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge_convnext.graph.torch_operations.interface import Attributes, Constants, Run

__all__ = ["REDUCTIONS"]


def _layer_norm(attributes: Attributes, _constants: Constants) -> Run:
    epsilon = float(attributes.get("epsilon", 1e-5))
    return lambda x, weight, bias=None: functional.layer_norm(
        x, weight.shape, weight, bias, epsilon
    )


def _rms_norm(attributes: Attributes, _constants: Constants) -> Run:
    epsilon = float(attributes.get("epsilon", 1e-5))
    return lambda x, weight: functional.rms_norm(x, weight.shape, weight, epsilon)


def _batch_norm(attributes: Attributes, _constants: Constants) -> Run:
    epsilon = float(attributes.get("epsilon", 1e-5))
    if attributes.get("training_mode"):
        raise UntrainableError("a BatchNormalization that is still training")
    return lambda x, scale, bias, mean, variance: functional.batch_norm(
        x, mean.detach(), variance.detach(), scale, bias, False, 0.0, epsilon
    )


def _instance_norm(attributes: Attributes, _constants: Constants) -> Run:
    epsilon = float(attributes.get("epsilon", 1e-5))
    return lambda x, scale, bias: functional.instance_norm(x, weight=scale, bias=bias, eps=epsilon)


def _group_norm(attributes: Attributes, _constants: Constants) -> Run:
    groups, epsilon = int(attributes["num_groups"]), float(attributes.get("epsilon", 1e-5))

    def run(x: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
        # Below opset 21 they have one value a group, and from there on one a channel.
        repeats = x.shape[1] // scale.numel()
        return functional.group_norm(
            x, groups, scale.repeat_interleave(repeats), bias.repeat_interleave(repeats), epsilon
        )

    return run


def _lp_norm(attributes: Attributes, _constants: Constants) -> Run:
    power, axis = float(attributes.get("p", 2)), int(attributes.get("axis", -1))
    return lambda x: functional.normalize(x, power, dim=axis)


def _reduce(function: Callable[..., Tensor]) -> Make:
    def make(attributes: Attributes, constants: Constants) -> Run:
        stated: Any = constants[1] if len(constants) > 1 else attributes.get("axes")
        axes = tuple(int(axis) for axis in stated) if stated is not None else ()
        keep = bool(attributes.get("keepdims", 1))
        if len(constants) > 1 and constants[1] is None:
            raise UntrainableError("a reduction over axes that are computed")
        if not axes and attributes.get("noop_with_empty_axes"):
            return lambda x, *_: x
        return lambda x, *_: function(x, dim=axes or tuple(range(x.dim())), keepdim=keep)

    return make


def _sum_square(x: Tensor, dim: tuple[int, ...], keepdim: bool) -> Tensor:
    return torch.sum(x.square(), dim=dim, keepdim=keepdim)


def _norm_1(x: Tensor, dim: tuple[int, ...], keepdim: bool) -> Tensor:
    return torch.sum(x.abs(), dim=dim, keepdim=keepdim)


def _over_map(function: Callable[..., Tensor]) -> Make:
    return plain(lambda x: function(x, dim=tuple(range(2, x.dim())), keepdim=True))


def _max_pool(attributes: Attributes, _constants: Constants) -> Run:
    kernel, lowest = attributes["kernel_shape"], float("-inf")
    same, rest = split_pads(attributes)
    if len(kernel) != 2:
        raise UntrainableError("a MaxPool that is not over two axes")

    def run(x: Tensor) -> Tensor:
        padded = pad_same(x, attributes, kernel, lowest)
        padded = functional.pad(padded, rest, value=lowest) if rest else padded
        return functional.max_pool2d(
            padded, kernel, attributes.get("strides", [1, 1]), same or 0,
            attributes.get("dilations", 1), bool(attributes.get("ceil_mode")),
        )  # fmt: skip

    return run


def _average_pool(attributes: Attributes, _constants: Constants) -> Run:
    kernel, same = attributes["kernel_shape"], split_pads(attributes)
    automatic = attributes.get("auto_pad", b"NOTSET") in (b"SAME_UPPER", b"SAME_LOWER")
    dilated = any(one > 1 for one in attributes.get("dilations", ()))
    if len(kernel) != 2 or same[1] or automatic or dilated:
        raise UntrainableError("an AveragePool that is dilated, or padded at one end")
    counts = bool(attributes.get("count_include_pad"))
    strides, ceil = attributes.get("strides", [1, 1]), bool(attributes.get("ceil_mode"))
    return lambda x: functional.avg_pool2d(x, kernel, strides, same[0] or 0, ceil, counts)


REDUCTIONS: dict[str, Make] = {
    "AveragePool": _average_pool,
    "BatchNormalization": _batch_norm,
    "GlobalAveragePool": _over_map(torch.mean),
    "GlobalMaxPool": _over_map(torch.amax),
    "GroupNormalization": _group_norm,
    "InstanceNormalization": _instance_norm,
    "LayerNormalization": _layer_norm,
    "LpNormalization": _lp_norm,
    "MaxPool": _max_pool,
    "RMSNormalization": _rms_norm,
    "ReduceL1": _reduce(_norm_1),
    "ReduceL2": _reduce(torch.linalg.vector_norm),
    "ReduceMax": _reduce(torch.amax),
    "ReduceMean": _reduce(torch.mean),
    "ReduceMin": _reduce(torch.amin),
    "ReduceSum": _reduce(torch.sum),
    "ReduceSumSquare": _reduce(_sum_square),
}
