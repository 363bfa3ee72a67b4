"""What a torch module tells of itself before it has values: its state dict and its counts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from edge_convnext.core.artifacts import NetworkShape
from edge_convnext.core.image_size import ImageSize, sides_of

__all__ = [
    "Expected", "Find", "count_macs", "count_params", "describe_state", "draw_state", "find_first",
    "find_head",
]  # fmt: skip

# The network of a name, with so many classes and channels; and its state dict, without values.
Find: TypeAlias = Callable[[str, int, int], "NetworkShape | None"]
Expected: TypeAlias = Callable[[NetworkShape], Mapping[str, Tensor]]

_NOISE = 0.1  # of vectors in random weights
_DRAWS = frozenset(
    ("uniform_", "normal_", "fill_", "zero_", "erfinv_", "mul_", "add_", "clamp_", "div_", "sub_")
)


def describe_state(make: Callable[[], nn.Module]) -> dict[str, Tensor]:
    """Names, shapes and types of a module's state dict, without values."""
    return {name: tensor.to("meta") for name, tensor in _on_no_device(make).state_dict().items()}


def count_params(make: Callable[[], nn.Module]) -> int:
    """Number of trainable parameters of a module."""
    return sum(one.numel() for one in _on_no_device(make).parameters())


def count_macs(make: Callable[[], nn.Module], channels: int, image_size: ImageSize) -> int:
    """Multiply-accumulates of one image, those of every product."""
    from torch.utils.flop_counter import FlopCounterMode

    module = _on_no_device(make).eval()
    device = next((one.device for one in module.parameters()), torch.device("cpu"))
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        module(torch.zeros(1, channels, *sides_of(image_size), device=device))
    return int(counter.get_total_flops()) // 2


class _Undrawn(TorchFunctionMode):
    """What is drawn or filled in place stays as it is: without values that only takes time."""

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if getattr(func, "__name__", "") in _DRAWS and args and args[0].is_meta:
            return args[0]
        return func(*args, **(kwargs or {}))


def _on_no_device(make: Callable[[], nn.Module]) -> nn.Module:
    """A module without values, where it can be made so: some compute with them on the way."""
    try:
        with _Undrawn(), torch.device("meta"):
            return make()
    except (NotImplementedError, RuntimeError):
        return make()


def find_first(expected: Mapping[str, Tensor], channels: int) -> str | None:
    """The first weight of four axes that reads images of so many channels."""
    return next(
        (name for name, one in expected.items() if one.dim() == 4 and one.shape[1] == channels),
        None,
    )


def find_head(find: Find, expected: Expected, shape: NetworkShape) -> dict[str, int]:
    """Names of the tensors that have an axis of one entry a class, each with that axis.

    Args:
        find: Finds the network of another number of classes.
        expected: Returns its state dict.
        shape: Shape of the network.
    """
    found = (find(shape.name, classes, shape.in_channels) for classes in (5, 7))
    few, more = ({} if one is None else expected(one) for one in found)
    axes = _axes(few, more)
    return {name: axes[name] for name in few if name in axes}


def _axes(few: Mapping[str, Tensor], more: Mapping[str, Tensor]) -> dict[str, int]:
    found: dict[str, int] = {}
    for name in few.keys() & more.keys():
        sizes = list(zip(few[name].shape, more[name].shape, strict=True))
        if (5, 7) in sizes:
            found[name] = sizes.index((5, 7))
    return found


def draw_state(make: Callable[[], nn.Module], seed: int) -> dict[str, Tensor]:
    """Random weights that leave no scale, bias or statistic as an identity."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        state = make().state_dict()
        for name, tensor in state.items():
            if tensor.dim() == 1 and tensor.is_floating_point():
                noise = _NOISE * torch.randn(tensor.shape)
                tensor.add_(noise.abs() if name.endswith("running_var") else noise)
    return dict(state)
