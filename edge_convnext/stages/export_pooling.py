"""Pooling to one position, written as the mean that it is.

torch computes `adaptive_avg_pool` to one position as a mean. Where the map lies channels last
(behind attention, as in Swin), it then sets strides, which the exporter writes as a Gather from
indices that it computes for every batch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch.overrides import TorchFunctionMode

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["PoolingAsMean"]

_POOLED_AXES = {"adaptive_avg_pool1d": (-1,), "adaptive_avg_pool2d": (-2, -1)}


class PoolingAsMean(TorchFunctionMode):
    """Inside of it, `adaptive_avg_pool1d` and `2d` to one position are `mean` over their axes."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: object,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        axes = _POOLED_AXES.get(getattr(func, "__name__", ""))
        if axes is not None and _sizes(args, kwargs) in (1, (1,) * len(axes)):
            images = args[0] if args else kwargs["input"]
            return images.mean(dim=axes, keepdim=True)
        return func(*args, **kwargs)


def _sizes(args: Sequence[Any], kwargs: Mapping[str, Any]) -> object:
    stated = args[1] if len(args) > 1 else kwargs.get("output_size")
    return tuple(stated) if isinstance(stated, list | tuple) else stated
