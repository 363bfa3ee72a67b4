"""All facts about one checkpoint: inside it, beside it, and published about it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from edge_convnext.core.artifacts import Preprocess
from edge_convnext.core.errors import LoadError
from edge_convnext.networks.facts.beside import find_beside, read_beside
from edge_convnext.networks.facts.inside import read_content, read_metadata_of
from edge_convnext.networks.facts.sayings import Crops, Said, detail_of
from edge_convnext.networks.facts.settle import Settled, Source, of_info, of_preprocess, settle
from edge_convnext.networks.family import families, family_of

if TYPE_CHECKING:
    from torch import Tensor

    from edge_convnext.core.artifacts import NetworkShape
    from edge_convnext.networks.checkpoint import Checkpoint
    from edge_convnext.networks.published import Published

__all__ = ["library_source", "settle_checkpoint", "turn_to_rgb"]


def settle_checkpoint(checkpoint: Checkpoint, published: Published | None) -> Settled:
    """Settle the facts about a checkpoint: inside it, beside it, and published about it."""
    classes, channels = checkpoint.architecture.num_classes, checkpoint.architecture.in_channels
    crops = _known_crops()
    sources = [
        Source("checkpoint", _of_normalisation(checkpoint)),
        *([Source("checkpoint", of_info(checkpoint.info))] if checkpoint.info else []),
        Source("checkpoint", read_metadata_of(_foreign(checkpoint), classes, channels, crops)),
        Source("checkpoint", read_content(checkpoint.content, "", classes, channels, crops)),
        Source(
            "beside the weights",
            read_beside(find_beside(checkpoint.place.main), classes, channels, crops),
        ),
    ]
    if published is not None:
        known = Said()
        if published.preprocess is not None:
            known = of_preprocess(published.preprocess, published.repository)
        known.add("licence", published.licence, published.repository)
        if published.classes and len(published.classes) == classes:
            known.add("classes", published.classes, published.repository)
        sources.append(Source("published", known))
    return settle([*sources, *library_source(checkpoint.architecture)])


def library_source(architecture: NetworkShape) -> tuple[Source, ...]:
    """What a library of networks states about one of its own, the weakest of all sources."""
    outside = family_of(architecture).outside
    told = outside.stated(architecture) if outside is not None else None
    if told is None:
        return ()
    said = read_content(told.fields, told.where, 0, architecture.in_channels)
    said.add("image_size", told.image_size, detail_of(told.where, "image_size"))
    return (Source("library", said),)


def _known_crops() -> Crops:
    """Crops of the published weights of every family, by timm's names."""
    hubs = (one for family in families() for one in family.hub.values())
    return {one.repository.removeprefix("timm/"): one.crop_pct for one in hubs}


def _foreign(checkpoint: Checkpoint) -> dict[str, str]:
    """Metadata of safetensors that other tools wrote."""
    return {} if checkpoint.info else checkpoint.metadata


def _of_normalisation(checkpoint: Checkpoint) -> Said:
    """Read a normalisation layer before the network: it moves into the preprocessing."""
    said = Said()
    if (layer := checkpoint.normalisation) is not None:
        detail = " and ".join(f"'{name}'" for name in layer.names)
        fields = {"mean": layer.mean, "std": layer.std}
        channels = checkpoint.architecture.in_channels
        said = read_content(fields, f"buffers {detail}", 0, channels)
        said.notes.append(f"a normalisation of the images lies in the weights ({detail}); its mean "
                          "and std are taken for the preprocessing")  # fmt: skip
    return said


def turn_to_rgb(
    state: dict[str, Tensor], settled: Settled, first: str | None
) -> tuple[dict[str, Tensor], Preprocess, tuple[str, ...]]:
    """Reorder the first convolution of a network that was trained on BGR images to RGB.

    Args:
        state: Weights by this project's names.
        settled: Facts about them, with their origins.
        first: Name of the weight that reads the images, float32[out, in_channels, …]; None where
            it is not known.

    Raises:
        LoadError: The images were in BGR order, and nothing tells which weight reads them.
    """
    pre = settled.preprocess
    if settled.bgr is None or (first is not None and state[first].shape[1] != 3):
        return state, pre, ()
    if first is None:
        raise LoadError(
            f"trained on images in BGR order by {settled.bgr}, and no single convolution of three "
            "channels is known to read them: turn the weights to RGB, or leave that statement out"
        )
    note = (
        f"trained on images in BGR order by {settled.bgr}: the first convolution, mean and std "
        "were turned to RGB"
    )
    (m0, m1, m2), (s0, s1, s2) = pre.mean, pre.std
    turned = {**state, first: state[first].flip(1).contiguous()}
    return turned, replace(pre, mean=(m2, m1, m0), std=(s2, s1, s0)), (note,)
