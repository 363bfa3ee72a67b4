"""What families share whose modules are made by a function outside of this package.

Nothing is written down for a single network: its tensors, the axes that follow its classes and its
channels, its counts and its random weights are read off modules that the function makes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from edge_convnext.core.errors import LoadError
from edge_convnext.networks.made.maker import NotSoError
from edge_convnext.networks.made.shape import MadeShape

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from torch import Tensor, nn

    from edge_convnext.core.artifacts import FormName, ModelInfo, NetworkShape, Weights
    from edge_convnext.core.image_size import ImageSize
    from edge_convnext.networks.outside import Outside
    from edge_convnext.networks.published import Fetched, Settings
    from edge_convnext.networks.translation import Translation

__all__ = ["MadeFamily", "require_made"]


def require_made(shape: NetworkShape) -> MadeShape:
    """The shape of a network that a maker makes.

    Raises:
        LoadError: It is another network's.
    """
    if not isinstance(shape, MadeShape):
        raise LoadError(f"{shape.name}: is made by no function; pass weights of one that is")
    return shape


class MadeFamily(ABC):
    """Networks that a library makes by name, or a function of the user's own.

    It stands before `generic.GenericFamily` among the bases of a family.
    """

    label: str
    forms: tuple[FormName, ...]

    def __init__(self) -> None:
        self.outside: Outside | None = self

    # ---- `outside.Outside` ----------------------------------------------------------------

    def stated(self, shape: NetworkShape) -> Settings | None:
        """Nothing."""
        return None

    def fetch(self, shape: NetworkShape, weights: str) -> Fetched | None:
        """No keyword."""
        return None

    def own_weights(self, model: str) -> str | None:
        """None: they have to be stated."""
        return None

    def fingerprint(self, shape: NetworkShape) -> str:
        """The maker's."""
        try:
            return require_made(shape).maker.fingerprint()
        except NotSoError as error:
            raise LoadError(f"{shape.name}: {error}") from error

    def recall(self, info: ModelInfo, fingerprint: str) -> NetworkShape | None:
        """By its name."""
        return None

    def consent(self, model: str) -> bool:
        """A library's code runs as this package's own does."""
        return False

    def is_same(self, one: str, other: str) -> bool:
        """Never."""
        return False

    def require_size(
        self, shape: NetworkShape, image_size: ImageSize, path: Path | None = None
    ) -> None:
        """See `taking.require_size`."""
        from edge_convnext.networks.made.taking import require_size
        from edge_convnext.networks.tensors import read_shapes

        shapes = read_shapes(path) if path is not None else None
        require_size(require_made(shape), image_size, shapes)

    # ---- names ----------------------------------------------------------------------------

    @abstractmethod
    def find(self, name: str, num_classes: int = 1000, in_channels: int = 3) -> MadeShape | None:
        """See `NetworkFamily.find`."""

    def make(
        self, shape: NetworkShape, drop_path: float = 0.0, image_size: ImageSize = 224
    ) -> nn.Module:
        """A newly drawn network."""
        made = require_made(shape)
        size = None if image_size == made.maker.image_size else image_size
        try:
            return made.maker.make(made.num_classes, made.in_channels, size, drop_path)
        except NotSoError as error:
            raise LoadError(f"{made.name}: {error}") from error

    # ---- weights --------------------------------------------------------------------------

    def first_convolution(self, shape: NetworkShape) -> str | None:
        """The one weight that follows the channels; where their number is fixed, by running it."""
        from edge_convnext.networks.made.outline import follow
        from edge_convnext.networks.made.skeleton import find_first_convolution

        made = require_made(shape)
        axes = follow(made.maker).channels
        if not axes:
            return find_first_convolution(made.maker, made.num_classes, made.in_channels)
        # Several of them, or one that reads patches as rows, have no axis that could be turned.
        plain = len(axes) == 1 and (axes[0].axis, axes[0].factor, axes[0].more) == (1, 1, 0)
        return axes[0].name if plain else None

    def classifier(self, shape: NetworkShape) -> tuple[str, ...]:
        """The tensors that follow the number of classes."""
        from edge_convnext.networks.made.outline import follow

        return tuple(axis.name for axis in follow(require_made(shape).maker).classes)

    def translate(
        self, checkpoint: object, source: str, headless: bool = False, model: str | None = None
    ) -> Translation:
        """By the module's own names, wherever in the checkpoint they lie."""
        from edge_convnext.networks.made.translating import translate_state

        found = self.find(model) if model is not None else None
        if found is None:
            raise LoadError(f"{source}: is not looked through for networks of {self.label}; pass "
                            "--model with the one that it is of")  # fmt: skip
        self.check(found, source)
        return translate_state(found, checkpoint, source, headless)

    def check(self, shape: MadeShape, source: str) -> None:
        """Refuse a module that is no classifier of images.

        Raises:
            LoadError: It returns several outputs, or none of one row an image; or can't be run.
        """
        from edge_convnext.networks.made.checking import check_output

        check_output(shape, source)

    def draw(self, shape: NetworkShape, seed: int) -> dict[str, Tensor]:
        """See `drawing.draw_state`."""
        from edge_convnext.networks.made.drawing import draw_state

        made = require_made(shape)
        self.check(made, made.name)
        try:
            return draw_state(made.maker, made.num_classes, made.in_channels, seed)
        except NotSoError as error:
            raise LoadError(f"{made.name}: {error}") from error

    # ---- modules --------------------------------------------------------------------------

    def build(self, weights: Weights, form: FormName, shown: Iterable[Tensor] = ()) -> nn.Module:
        """The module with its weights, brought to the size of the images."""
        from edge_convnext.networks.made.filling import fill
        from edge_convnext.networks.tensors import read_state

        if form not in ("raw", *self.forms):
            raise ValueError(f"{self.label} has no form '{form}'")
        shape = require_made(weights.architecture)
        size = weights.info.preprocess.image_size
        return fill(shape, read_state(weights.path), size).requires_grad_(False)
