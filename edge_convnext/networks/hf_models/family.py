"""transformers' image classifiers as `networks.protocol.NetworkFamily`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edge_convnext.core.errors import LoadError
from edge_convnext.networks.hf_models.folder import fetch_model, find_folder, read_config
from edge_convnext.networks.hf_models.library import PREFIX, HfMaker
from edge_convnext.networks.made.family import MadeFamily, require_made
from edge_convnext.networks.made.maker import MadeShape
from edge_convnext.networks.published import Fetched
from edge_convnext.networks.weights_place import locate_weights

if TYPE_CHECKING:
    from edge_convnext.core.artifacts import ModelInfo, NetworkShape
    from edge_convnext.networks.protocol import NetworkFamily
    from edge_convnext.networks.translation import Translation

__all__ = ["FAMILY", "HfFamily"]


class HfFamily(MadeFamily):
    """Every class behind `AutoModelForImageClassification`."""

    label = "transformers"
    how_to_name = "hf:FOLDER or hf:OWNER/NAME, an image classifier of transformers"

    def find(self, name: str, num_classes: int = 1000, in_channels: int = 3) -> MadeShape | None:
        """By the configuration in the folder, or on the hub."""
        if not name.startswith(PREFIX):
            return None
        place = name.removeprefix(PREFIX)
        folder = find_folder(place) or fetch_model(place).main.parent
        maker = HfMaker.of(read_config(folder), str(folder))
        return MadeShape("hf", name, num_classes, in_channels, maker)

    def recall(self, info: ModelInfo, made_by: str) -> MadeShape | None:
        """From the configuration that the weights on disk carry: the folder may be gone."""
        from edge_convnext.networks.facts.texts import parse_json

        try:
            fields: Any = parse_json(made_by)
            maker = HfMaker.of(fields["config"], info.model)
        except (ValueError, KeyError, TypeError, AttributeError, LoadError):
            return None
        return MadeShape("hf", info.model, info.num_classes, info.in_channels, maker)

    def translate(
        self, checkpoint: object, source: str, headless: bool = False, model: str | None = None
    ) -> Translation:
        """By today's names, else by those that transformers still reads."""
        from edge_convnext.networks.hf_models.converting import convert_checkpoint

        try:
            return super().translate(checkpoint, source, headless, model)
        except LoadError:
            found = self.find(model) if model is not None else None
            converted = None if found is None else convert_checkpoint(found.maker, checkpoint)
            if converted is None:
                raise
        return super().translate(converted, source, headless, model)

    def own_weights(self, model: str) -> str:
        """Those of the folder, or of the repository."""
        return model

    def fetch(self, shape: NetworkShape, weights: str) -> Fetched | None:
        """`hf:FOLDER` and `hf:OWNER/NAME`."""
        return fetch_hf(weights)

    def fingerprint(self, shape: NetworkShape) -> str:
        """Transformers' version and the configuration."""
        return require_made(shape).maker.fingerprint()


def fetch_hf(weights: str) -> Fetched | None:
    """Weights that are stated as `hf:…`; None for others."""
    if not weights.startswith(PREFIX):
        return None
    place = weights.removeprefix(PREFIX)
    if (folder := find_folder(place)) is not None:
        found = locate_weights(folder)
        return Fetched(f"{folder.name}/{found.main.name}", found, None)
    fetched = fetch_model(place)
    return Fetched(fetched.name, locate_weights(fetched.main), None)


FAMILY: NetworkFamily = HfFamily()
