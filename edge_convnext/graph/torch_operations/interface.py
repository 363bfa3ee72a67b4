"""What every operation of a trainable graph is made from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

__all__ = ["Attributes", "Constants", "Make", "Run", "plain"]

Attributes = Mapping[str, Any]
Constants = list["NDArray[Any] | None"]  # by input: its value, or None where it is computed
Run = Callable[..., "Tensor | tuple[Tensor, ...]"]
Make = Callable[[Attributes, Constants], Run]


def plain(function: Callable[..., Tensor]) -> Make:
    """An operation that has no attributes, and whose inputs are those of torch's function."""
    return lambda _attributes, _constants: function
