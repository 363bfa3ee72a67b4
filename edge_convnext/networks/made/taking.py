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


def require_size(shape: MadeShape, image_size: ImageSize, shapes: Shapes | None = None) -> None:
    """Refuse images of a size that a network can't take.

    Args:
        shape: Shape of the network.
        image_size: Height and width of the images, in pixels.
        shapes: Shapes of its tensors on disk, whatever size it was trained at; None: it is made
            anew, for this size.

    Raises:
        LoadError: With what the network says, and a size that it takes.
    """
    reason = _why_not(shape, image_size, shapes)
    if reason is None:
        return
    wholes = even_size(tuple(-(-side // _STRIDE) * _STRIDE for side in sides_of(image_size)))
    others = [one for one in dict.fromkeys((wholes, shape.maker.image_size)) if one != image_size]
    taken = next((one for one in others if _why_not(shape, one, shapes) is None), None)
    how = "the size that it was trained at"
    if taken is not None:
        how = f"{','.join(map(str, dict.fromkeys(sides_of(taken))))}, which it takes"
    raise LoadError(
        f"{shape.name}: takes no images of {show_size(image_size)} px ({reason}); pass "
        f"--image-size with {how}"
    )


def _why_not(shape: MadeShape, image_size: ImageSize, shapes: Shapes | None) -> str | None:
    """The reason in the network's own words; None: it takes such images."""
    maker, reason = shape.maker, ""
    try:
        made_for = _size_on_disk(shape, shapes) if shapes is not None else image_size
    except NotSoError as error:
        return str(error)
    stated = None if made_for == maker.image_size else made_for
    for make in (make_skeleton, make_unfilled):  # some can't be run without values
        try:
            network = make(maker, shape.num_classes, shape.in_channels, stated)
            if image_size != made_for:
                maker.resize(network, image_size)
            run_blank(network, shape.in_channels, image_size)
        except MissingDependencyError:
            raise
        except Exception as error:  # of a library's or a user's code
            reason = reason_of(error)
        else:
            return None
    return reason


def _size_on_disk(shape: MadeShape, shapes: Shapes) -> ImageSize:
    fitting = fitting_size(shape.maker, shape.num_classes, shape.in_channels, shapes)
    return fitting or shape.maker.image_size
