"""Whether a module computes with nothing but its state dict, so that a file of it says all."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import torch

from edge_convnext.core.errors import LoadError
from edge_convnext.core.image_size import sides_of
from edge_convnext.networks.made.maker import NotSoError

if TYPE_CHECKING:
    from torch import Tensor, nn

    from edge_convnext.networks.made.maker import Maker
from edge_convnext.networks.made.shape import MadeShape

__all__ = ["check_repeats"]

_CLASSES = 7
_SAME = 1e-5  # of the largest logit: the rounding of two runs


def check_repeats(shape: MadeShape) -> None:
    """Make the network twice with other random numbers, and give both the same state dict.

    Raises:
        LoadError: They answer differently: a tensor is drawn that the state dict does not have, or
            the network draws while it answers, such as a dropout that is always on.
    """
    if told := _problem(shape.maker, shape.in_channels):
        raise LoadError(f"{shape.name}: {told}")


@lru_cache(maxsize=16)
def _problem(maker: Maker, channels: int) -> str | None:
    sides = sides_of(maker.image_size)
    try:
        first, second = (_make(maker, channels, seed) for seed in (1, 2))
        second.load_state_dict(first.state_dict())
        images = torch.randn(2, channels, *sides, generator=torch.Generator().manual_seed(0))
        answers = [_answer(one, images) for one in (first, first, second)]
    except NotSoError as error:
        return str(error)
    if not _same(answers[0], answers[1]):
        return (
            "it answers the same images differently from one time to the next: something in it "
            "draws in evaluation mode, such as a dropout that is called with training=True"
        )
    if _same(answers[0], answers[2]):
        return None
    drawn = _drawn(first, second)
    named = f" ('{drawn}' is one)" if drawn else ""
    return (
        f"two of it with equal state dicts answer differently: it computes with tensors that are "
        f"drawn when it is made and are not saved{named}; register them as parameters or buffers"
    )


def _make(maker: Maker, channels: int, seed: int) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return maker.make(_CLASSES, channels).eval()


def _answer(network: nn.Module, images: Tensor) -> Tensor:
    with torch.no_grad():
        answer: Tensor = network(images)
    return answer


def _same(one: Tensor, other: Tensor) -> bool:
    if one.shape != other.shape:
        return False
    return bool((one - other).abs().max() <= _SAME * one.abs().max().clamp(min=1e-12))


def _drawn(first: nn.Module, second: nn.Module) -> str | None:
    """A buffer that is not saved, and differs."""
    saved, others = first.state_dict(), dict(second.named_buffers())
    return next(
        (name for name, one in first.named_buffers()
         if name not in saved and not torch.equal(one, others[name])),
        None,
    )  # fmt: skip
