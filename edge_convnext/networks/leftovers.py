"""Tensors of a state dict that are no part of the network in it: which may be left out.

What the training counted and weighed may; what the images or the features pass through may not.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor

from edge_convnext.core.errors import LoadError, shorten
from edge_convnext.networks.translation import Normalisation

__all__ = ["find_normalisation", "is_bystander", "is_scale"]

# A word of a name by which a training keeps its own: losses, metrics, averages, queues, counters.
_BYSTANDERS = re.compile(
    r"(?:criterion|criteria|loss|losses|lossfn|metrics?|acc|accuracy|top1|top5|auroc|auc|f1|score"
    r"|precision|recall|confmat|confusion|kappa|stat_scores|best|history|epoch|step|steps|iter"
    r"|averaged|num_updates|updates|decay|queue|ptr|center|pos_weight|class_weights?|weights?_ce"
    r"|mixup|cutmix|total_ops|total_params|num_batches_tracked|rng|seed|scaler|optimizer"
    r"|temperature|logit_scale)"
)
_SIDES = re.compile(r"(?:train|training|val|valid|validation|test|eval)_")

_MOST_CHANNELS = 64  # of images

_MEANS = {
    "mean": "std", "_mean": "_std", "pixel_mean": "pixel_std", "image_mean": "image_std",
    "img_mean": "img_std", "norm_mean": "norm_std", "input_mean": "input_std",
    "data_mean": "data_std", "rgb_mean": "rgb_std", "channel_mean": "channel_std", "mu": "sigma",
    "means": "stds", "mean_": "std_", "x_mean": "x_std",
}  # fmt: skip


def is_bystander(name: str, value: Any) -> bool:
    """True if a tensor belongs to losses, metrics, counters and the like."""
    if not isinstance(value, Tensor) or not value.is_floating_point():
        return True  # integers are counters
    steps = name.split(".")
    if _SIDES.match(steps[0]) and value.dim() < 2:
        return True
    words = [word for step in steps for word in (step, *step.split("_"))]
    return any(_BYSTANDERS.fullmatch(word) for word in words)


def is_scale(name: str) -> bool:
    """True if a tensor is named as a mean or a standard deviation."""
    last = name.rpartition(".")[2]
    return last in _MEANS or last in _MEANS.values()


def find_normalisation(
    left: Mapping[str, Any], in_channels: int, source: str
) -> Normalisation | None:
    """Read the buffers of a normalisation that was saved with the network.

    Returns:
        The normalisation; None if there is none.

    Raises:
        LoadError: A mean or a standard deviation lacks its counterpart, or there are several.
    """
    found: list[Normalisation] = []
    for name in left:
        stem, _, last = name.rpartition(".")
        if not is_scale(name):
            continue
        ours = last if last in _MEANS else next(m for m, s in _MEANS.items() if s == last)
        names = tuple(f"{stem}.{one}".lstrip(".") for one in (ours, _MEANS[ours]))
        if is_bystander(name, left[name]) or not _per_channel(left[name], in_channels):
            continue
        if any(not _per_channel(left.get(one), in_channels) for one in names):
            raise LoadError(
                f"{source}: '{shorten(name)}' looks like a part of a normalisation of the images, "
                f"but '{shorten(names[last == ours])}' is not next to it; save the network alone "
                "and pass --mean and --std"
            )
        if last == ours:
            mean, std = (tuple(left[one].flatten().tolist()) for one in names)
            found.append(Normalisation((names[0], names[1]), mean, std))
    if len({(one.mean, one.std) for one in found}) > 1:
        raise LoadError(
            f"{source}: several normalisations of the images ({_list(n.names[0] for n in found)}); "
            "save the network alone and pass --mean and --std"
        )
    return found[0] if found else None


def _per_channel(value: Any, in_channels: int) -> bool:
    shape = [n for n in value.shape if n != 1] if isinstance(value, Tensor) else [-1]
    if in_channels > _MOST_CHANNELS:
        return False
    return shape == [in_channels] or (shape == [] and in_channels == 1 and value.dim() > 0)


def _list(names: Iterable[str]) -> str:
    return shorten(", ".join(f"'{name}'" for name in names))
