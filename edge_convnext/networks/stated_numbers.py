"""Numbers of classes and channels that a recipe states, held against those that a network has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_convnext.core.errors import LoadError

if TYPE_CHECKING:
    from edge_convnext.core.sections import LoadConfig

__all__ = ["require_numbers"]


def require_numbers(
    config: LoadConfig, numbers: tuple[int, int], source: str, where: str, otherwise: str = ""
) -> None:
    """Refuse numbers that the network hasn't.

    Args:
        config: Numbers that the recipe states.
        numbers: Numbers of classes and of channels that there are.
        source: Beginning of the message: the file and a colon; empty where there is none.
        where: Words for what has them.
        otherwise: Another way out than to leave the number out, if there is one.

    Raises:
        LoadError: A stated number is another one.
    """
    stated = {"num_classes": config.num_classes, "in_channels": config.in_channels}
    for (field, wanted), actual in zip(stated.items(), numbers, strict=True):
        if wanted is not None and wanted != actual:
            raise LoadError(
                f"{source}{field} is {actual} in {where}, not {wanted}; leave load.{field} out"
                f"{', or ' if otherwise else ''}{otherwise}"
            )
