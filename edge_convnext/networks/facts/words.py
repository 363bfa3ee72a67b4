"""Names that are not in the table: keys and files that mean classes or settings by their words.

`table` lists what known tools write. Scripts make up names of their own from the same few words:
`breed_to_id`, `num2class`, `disease_names`, `train-args.json`, `w_preprocessing.yaml`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from edge_convnext.core.standins import to_plain

__all__ = ["fact_of_words", "is_list_of_classes", "is_named_by", "is_numbering", "split_words"]

# Lists under such a word are of classes, unless another word says otherwise.
_LISTS = frozenset((
    "class", "classes", "cls", "clss", "label", "labels", "lbl", "lbls", "names", "category",
    "categories", "cats", "species", "breed", "breeds", "tags", "targets", "diseases", "vocab",
    "synsets", "itos",
))  # fmt: skip
# Things that also have lists and numberings.
_OTHERS = frozenset((
    "feature", "features", "metric", "metrics", "loss", "losses", "layer", "layers", "module",
    "modules", "param", "params", "parameter", "parameters", "column", "columns", "block", "blocks",
    "stage", "stages", "file", "files", "filenames", "path", "paths", "image", "images", "augment",
    "augmentations", "transform", "transforms", "optim", "optimizer", "host", "hosts", "device",
    "devices", "gpu", "gpus", "node", "nodes", "arg", "args", "split", "splits", "fold", "folds",
    "callback", "callbacks", "logger", "loggers", "head", "heads", "group", "groups", "weights",
    "weight", "counts", "count", "steps", "schedule", "milestones", "buffer", "buffers", "scores",
    "channel", "channels", "band", "bands", "dirs", "folders", "super", "coarse", "parent",
    "excluded", "ignored", "worker", "workers", "rank", "ranks", "tasks", "task", "experiment",
    "project", "keys", "tokens", "architectures",
))  # fmt: skip

_SCALES = {"mean": "mean", "means": "mean", "mu": "mean", "std": "std", "stds": "std",
           "sigma": "std", "sd": "std"}  # fmt: skip
_OF_SCALES = frozenset((
    "train", "val", "test", "img", "image", "norm", "normalize", "normalization", "normalisation",
    "transform", "channel", "channels", "rgb", "vals", "values", "tf", "dataset", "data", "ds",
    "imagenet", "default", "input", "pixel", "clip", "inception", "per",
))  # fmt: skip
_SIZES = frozenset(("size", "sz", "dim", "resolution", "res", "hw", "px", "side", "shape",
                    "pixels"))  # fmt: skip
_OF_PIXELS = frozenset(("img", "image", "im", "inp", "input", "crop", "frame", "picture", "photo"))
_OF_SIZES = frozenset(("model", "net", "network", "val", "test", "eval", "target", "in"))


def fact_of_words(key: object) -> str | None:
    """Fact that an unlisted key states by its words: mean, std or the image's size."""
    words = split_words(str(key))
    scales = [_SCALES[one] for one in words if one in _SCALES]
    if len(scales) == 1 and all(one in _SCALES or one in _OF_SCALES for one in words):
        return scales[0]
    if words in (["sz"], ["px"], ["hw"]):
        return "image_size"
    of_pixels = [one for one in words if one in _OF_PIXELS]
    sized = [one for one in words if one in _SIZES]
    if (
        of_pixels
        and sized
        and len(words) == len(of_pixels) + len(sized) + sum(one in _OF_SIZES for one in words)
    ):
        # `input_dim` often means the features of a layer.
        return "image_size" if sized != ["dim"] or of_pixels != ["input"] else None
    return None


def split_words(name: str) -> list[str]:
    """Words of a name, lower case: `num2Class_names` has num, 2, class, names."""
    return [one.lower() for one in re.findall(r"[A-Z]?[a-z]+|[A-Z]+|\d+", name)]


def is_list_of_classes(key: object) -> bool:
    """Whether a list under such a key is of class names, by the key's words."""
    words = set(split_words(str(key)))
    return bool(words & _LISTS) and not words & _OTHERS


def is_numbering(key: object, value: object, count: int) -> bool:
    """Whether a mapping numbers `count` texts from 0, in either direction.

    Class names look like that. With two classes, the key has to say so as well.
    """
    value = to_plain(value)
    if not isinstance(value, Mapping) or len(value) != count or count < 2:
        return False
    words = set(split_words(str(key)))
    if words & _OTHERS or (count == 2 and not words & {*_LISTS, "class", "name", "stoi", "to"}):
        return False
    return any(
        sorted(numbers) == list(range(count)) and all(map(_is_text, texts))
        for numbers, texts in (
            (_whole(value.values()), list(value)),
            (_whole(value), list(value.values())),
        )
    )


def _whole(values: Any) -> list[int]:
    plain = [to_plain(one) for one in values]
    return [
        int(one) for one in plain
        if type(one) is int or (isinstance(one, str) and re.fullmatch(r"\d{1,6}", one))
    ]  # fmt: skip


def _is_text(value: object) -> bool:
    return isinstance(value, str) and value.strip() != ""


def is_named_by(name: str, stem: str, telling: frozenset[str], other: frozenset[str]) -> bool:
    """Whether a file's name has a deciding word, and no unknown one.

    The checkpoint's own name at its beginning is ignored.
    """
    bare = name.rpartition(".")[0]
    if stem and bare.lower().startswith(stem.lower()):
        bare = bare[len(stem) :]
    words = split_words(bare)
    return any(one in telling for one in words) and all(
        one in telling or one in other for one in words
    )
