"""Whether a network takes images of a size: it is run on a blank one, without its weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from edge_convnext.core.errors import LoadError, MissingDependencyError, reason_of
from edge_convnext.core.image_size import ImageSize, even_size, show_size, sides_of
from edge_convnext.networks.made.maker import NotSoError
from edge_convnext.networks.made.sizes import fitting_size
from edge_convnext.networks.made.skeleton import make_skeleton, make_unfilled, run_blank

if TYPE_CHECKING:
    from edge_convnext.networks.made.shape import MadeShape

__all__ = ["require_size"]

Shapes = Mapping[str, tuple[int, ...]]
_STRIDE = 32  # pixels: what most networks divide a side by, one after the other


def require_size(shape: MadeShape, shapes: Shapes, image_size: ImageSize) -> None:
    """Refuse images of a size that a network can't take.

    Args:
        shape: Shape of the network.
        shapes: Shapes of its tensors on disk, whatever size it was trained at.
        image_size: Height and width of the images, in pixels.

    Raises:
        LoadError: With what the network says, and a size that it takes.
    """
    reason = _why_not(shape, shapes, image_size)
    if reason is None:
        return
    wholes = even_size(tuple(-(-side // _STRIDE) * _STRIDE for side in sides_of(image_size)))
    others = [one for one in dict.fromkeys((wholes, shape.maker.image_size)) if one != image_size]
    taken = next((one for one in others if _why_not(shape, shapes, one) is None), None)
    how = "the size that it was trained at"
    if taken is not None:
        how = f"{','.join(map(str, dict.fromkeys(sides_of(taken))))}, which it takes"
    raise LoadError(
        f"{shape.name}: takes no images of {show_size(image_size)} px ({reason}); pass "
        f"--image-size with {how}"
    )


def _why_not(shape: MadeShape, shapes: Shapes, image_size: ImageSize) -> str | None:
    """The reason in the network's own words; None: it takes such images."""
    reason = ""
    try:
        stored = fitting_size(shape.maker, shape.num_classes, shape.in_channels, shapes)
    except NotSoError as error:
        return str(error)
    for make in (make_skeleton, make_unfilled):  # some can't be run without values
        try:
            network = make(shape.maker, shape.num_classes, shape.in_channels, stored)
            if image_size != (stored or shape.maker.image_size):
                shape.maker.resize(network, image_size)
            run_blank(network, shape.in_channels, image_size)
        except MissingDependencyError:
            raise
        except Exception as error:  # of a library's or a user's code
            reason = reason_of(error)
        else:
            return None
    return reason
