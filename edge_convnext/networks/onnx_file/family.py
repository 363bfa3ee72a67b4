"""A user's own ONNX file as a family: `onnx:STEM`, its graph alone, no torch form."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_convnext.core.errors import LoadError
from edge_convnext.core.image_size import ImageSize
from edge_convnext.networks.generic import GenericFamily
from edge_convnext.networks.onnx_file.find import PREFIX
from edge_convnext.networks.onnx_file.weights import SOURCE, GraphShape

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from torch import Tensor, nn

    from edge_convnext.core.artifacts import FormName, NetworkShape, Weights
    from edge_convnext.networks.protocol import NetworkFamily
    from edge_convnext.networks.translation import Translation

__all__ = ["FAMILY"]

_NO_TORCH = "an ONNX file has no torch form"


class OnnxFamily(GenericFamily):
    """Networks that came as a graph."""

    label = "own ONNX"
    how_to_name = "--weights FILE.onnx, an ONNX file of your own"
    trainable = False

    def find(self, name: str, num_classes: int = 1000, in_channels: int = 3) -> NetworkShape | None:
        """Any name; what it stands for is in the file."""
        prefix, _, rest = name.partition(":")
        if prefix != PREFIX or not rest:
            return None
        return GraphShape(name, num_classes, in_channels)

    def short_name(self, model: str) -> str:
        """The file's own name."""
        return model.removeprefix(f"{PREFIX}:")

    def source_graph(self, weights: Weights) -> Path | None:
        """The user's own operations, beside the canonical graph."""
        return weights.path.with_name(SOURCE)

    def first_convolution(self, shape: NetworkShape) -> str | None:
        """Weights have no names here that others could go by."""
        return None

    def classifier(self, shape: NetworkShape) -> tuple[str, ...]:
        """Nor has the last layer."""
        return ()

    def translate(
        self, checkpoint: object, source: str, headless: bool = False, model: str | None = None
    ) -> Translation:
        """Never: weights of this family come as an ONNX file only."""
        raise LoadError(
            f"{source}: is not an ONNX file; pass one, or name the network with --model"
        )

    def draw(self, shape: NetworkShape, seed: int) -> dict[str, Tensor]:
        """Never: the file has its weights."""
        raise LoadError(
            f"{shape.name} is a network of an ONNX file, which has its weights; pass the file"
        )

    def make(
        self, shape: NetworkShape, drop_path: float = 0.0, image_size: ImageSize = 224
    ) -> nn.Module:
        """Never."""
        raise LoadError(f"{shape.name}: {_NO_TORCH}; train it where it was made")

    def build(self, weights: Weights, form: FormName, shown: Iterable[Tensor] = ()) -> nn.Module:
        """Never."""
        raise LoadError(f"{weights.info.model}: {_NO_TORCH}")


FAMILY: NetworkFamily = OnnxFamily()
