"""Which norms end a residual branch, read off the additions of one forward pass."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

__all__ = ["find_branch_ends"]

_ADDITIONS = {"add", "add_", "__add__", "__iadd__", "__radd__"}


def find_branch_ends(
    network: nn.Module, norms: Sequence[nn.Module], images: Tensor
) -> list[nn.Module]:
    """The norms, in the order of `norms`, whose output is added to what no norm made.

    Where both sides come from norms (a shortcut with a projection) neither is named: such a sum
    does not carry on what lay before it.

    Args:
        network: Is run once, in evaluation mode.
        norms: Modules of the network.
        images: [N, C, H, W], of the network's type.
    """
    made = _Made()
    hooks = [norm.register_forward_hook(made.remember) for norm in norms]
    try:
        with torch.no_grad(), made:
            network.eval()(images)
    finally:
        for hook in hooks:
            hook.remove()
    return [norm for norm in norms if norm in made.ends]


class _Made(TorchFunctionMode):
    """Remembers what the norms made, and which of it was added to something else."""

    def __init__(self) -> None:
        super().__init__()
        # The tensors are kept too: an identity is given anew once its object is gone.
        self._made: dict[int, tuple[nn.Module, Tensor]] = {}
        self.ends: set[nn.Module] = set()

    def remember(self, norm: nn.Module, _: object, output: Tensor) -> None:
        self._made[id(output)] = norm, output

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: object,
        args: Sequence[Any] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        if getattr(func, "__name__", "") in _ADDITIONS:
            normed = [self._made[id(one)][0] for one in args[:2] if id(one) in self._made]
            if len(normed) == 1:
                self.ends.add(normed[0])
        return func(*args, **(kwargs or {}))
