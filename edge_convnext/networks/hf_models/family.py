"""transformers' image classifiers as `networks.protocol.NetworkFamily`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from edge_convnext.core.errors import LoadError
from edge_convnext.networks.generic import GenericFamily
from edge_convnext.networks.hf_models.library import HfMaker
from edge_convnext.networks.made.family import MadeFamily, require_made
from edge_convnext.networks.made.shape import MadeShape
from edge_convnext.networks.model_folder import (
    PREFIX,
    fetch_model,
    find_folder,
    read_config,
    read_processor,
)
from edge_convnext.networks.published import Settings

if TYPE_CHECKING:
    from edge_convnext.core.artifacts import ModelInfo, NetworkShape
    from edge_convnext.networks.protocol import NetworkFamily
    from edge_convnext.networks.translation import Translation

__all__ = ["FAMILY", "HfFamily"]


class HfFamily(MadeFamily, GenericFamily):
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
        place, state = converted
        found_there = super().translate(state, source, headless, model)
        return replace(found_there, wrappers=place.keys, where=place.where, averaged=place.averaged)

    def stated(self, shape: NetworkShape) -> Settings | None:
        """What the folder states, for weights that lie elsewhere."""
        maker = require_made(shape).maker
        fields: dict[str, object] = {}
        if isinstance(maker, HfMaker) and "image_size" in maker.fields:
            fields["image_size"] = maker.image_size
        if (processor := read_processor(shape.name)) is not None:
            fields["processor"] = processor
        return Settings(fields, shape.name)

    def is_same(self, one: str, other: str) -> bool:
        """They may be: a folder's name is a place, and the tensors tell another network."""
        return True

    def own_weights(self, model: str) -> str:
        """Those of the folder, or of the repository."""
        return model


FAMILY: NetworkFamily = HfFamily()
