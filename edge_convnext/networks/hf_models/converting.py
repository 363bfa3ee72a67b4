"""State dicts in the names of other versions of transformers, as its own loader reads them."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from torch import Tensor

from edge_convnext.networks.candidates import list_places
from edge_convnext.networks.hf_models.library import HfMaker, import_transformers
from edge_convnext.networks.made.outline import follow

if TYPE_CHECKING:
    from edge_convnext.networks.candidates import Candidate
    from edge_convnext.networks.made.maker import Maker

__all__ = ["convert_checkpoint"]

_LEAST_TENSORS = 4


def convert_checkpoint(
    maker: Maker, checkpoint: object
) -> tuple[Candidate, dict[str, Tensor]] | None:
    """The best state dict in a checkpoint that transformers finds whole, under today's names.

    Args:
        maker: Maker of the network; one that transformers does not make has nothing to convert.
        checkpoint: Content that `torch.load` or safetensors returned.

    Returns:
        Where it lies, and its tensors; None where there is none.
    """
    if not isinstance(maker, HfMaker):
        return None
    for place in list_places(checkpoint):
        tensors = {name: one for name, one in place.named.items() if isinstance(one, Tensor)}
        if len(tensors) >= _LEAST_TENSORS and (found := _convert(maker, tensors)) is not None:
            return place, found
    return None


def _convert(maker: HfMaker, tensors: Mapping[str, Tensor]) -> dict[str, Tensor] | None:
    transformers: Any = import_transformers()
    told: dict[str, Any]
    level = transformers.logging.get_verbosity()
    transformers.logging.set_verbosity(transformers.logging.CRITICAL)
    try:
        config = maker.configure(*_numbers(maker, tensors))
        with contextlib.redirect_stderr(io.StringIO()):  # its progress
            auto = transformers.AutoModelForImageClassification
            kind = type(auto.from_config(config, trust_remote_code=False))
            network, told = kind.from_pretrained(
                None, config=config, state_dict=dict(tensors), output_loading_info=True
            )
    except Exception:  # of tensors that are none of this network, it raises nearly anything
        return None
    finally:
        transformers.logging.set_verbosity(level)
    if told.get("missing_keys") or told.get("mismatched_keys"):
        return None
    return {name: tensor.detach() for name, tensor in network.state_dict().items()}


def _numbers(maker: HfMaker, tensors: Mapping[str, Tensor]) -> tuple[int, int]:
    """Classes and channels by the tensors whose names have stayed, else by the configuration."""
    fields, axes = maker.fields, follow(maker)
    classes, channels = fields.get("num_labels", 2), fields.get("num_channels", 3)
    for axis in axes.classes:
        if axis.name in tensors and (number := axis.solve(tuple(tensors[axis.name].shape))):
            classes = number
    for axis in axes.channels:
        if axis.name in tensors and (number := axis.solve(tuple(tensors[axis.name].shape))):
            channels = number
    return int(classes), int(channels)
