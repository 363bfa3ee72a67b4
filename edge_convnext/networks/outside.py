"""What a family has whose networks are made outside of this package, beside their modules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pathlib import Path

    from edge_convnext.core.artifacts import ModelInfo, NetworkShape
    from edge_convnext.core.image_size import ImageSize
    from edge_convnext.networks.published import Fetched, Settings

__all__ = ["NETWORK_KEY", "Outside"]

NETWORK_KEY = "edge_convnext_network"  # of `Outside.fingerprint`, in the metadata of weights


class Outside(Protocol):
    """A library, or code of the user's own."""

    def stated(self, shape: NetworkShape) -> Settings | None:
        """What the library states about a network: preprocessing, where no one else says it."""
        ...

    def fetch(self, shape: NetworkShape, weights: str) -> Fetched | None:
        """Weights by a keyword of the library, such as `timm`; None: it is no keyword.

        Raises:
            LoadError: They can't be had.
        """
        ...

    def own_weights(self, model: str) -> str | None:
        """What `--weights` is where the user states none; None: it has to be stated."""
        ...

    def fingerprint(self, shape: NetworkShape) -> str:
        """What decides the network beside its tensors; part of the weights on disk, and so of keys.

        A network of the same name may be another one: with the next version of a library, or after
        a change of the user's code.
        """
        ...

    def recall(self, info: ModelInfo, fingerprint: str) -> NetworkShape | None:
        """The shape of weights on disk by what they carry; None: `find` it by its name."""
        ...

    def consent(self, model: str) -> bool:
        """Hear that the command line itself states a model; True where that lets code run."""
        ...

    def is_same(self, one: str, other: str) -> bool:
        """Whether two different names, in full, mean one network: it moved, or a tag was added."""
        ...

    def require_size(
        self, shape: NetworkShape, image_size: ImageSize, path: Path | None = None
    ) -> None:
        """Refuse images of a size that a network can't take.

        Args:
            shape: Shape of the network.
            image_size: Height and width of the images, in pixels.
            path: File of its weights, which may have a size of their own; None: it is made anew.

        Raises:
            LoadError: With what the network says, and a size that it takes.
        """
        ...
