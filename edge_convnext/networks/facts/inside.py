"""Facts inside a checkpoint: every mapping in it that is not a state dict."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from edge_convnext.core.errors import shorten
from edge_convnext.core.standins import StandIn, to_plain
from edge_convnext.networks.facts.mappings import read_mapping
from edge_convnext.networks.facts.pipelines import read_pipeline
from edge_convnext.networks.facts.sayings import Crops, Said
from edge_convnext.networks.facts.texts import (
    parse_json,
    parse_python,
    parse_transforms,
    parse_yaml,
)

__all__ = ["read_content", "read_metadata_of"]

_MOST_DEPTH = 6
_MOST_MAPPINGS = 2_000
_MOST_ITEMS = 256  # of a list
# State of the training: many numbers, and no settings.
_SKIPPED = re.compile(
    r"(optim|lr_?sched|param_sched|sched|amp|scaler|loops|message_hub|rng|history|logs?$|metrics?$"
    r"|callbacks$|random)",
    re.IGNORECASE,
)
_TRAINING = re.compile(
    r"train", re.IGNORECASE
)  # pipelines of the training; only the evaluation's count
_SETTINGS = re.compile(r"cfg|config|args|params|settings|yaml", re.IGNORECASE)  # as one text
_FEW = 4  # numbers of a tensor that states a setting, mean or std


def read_content(
    content: object,
    where: str,
    num_classes: int,
    channels: int,
    crops: Crops | None = None,
) -> Said:
    """Read what a checkpoint, or a file of settings, states.

    Args:
        content: Mappings and lists, as they were read.
        where: Name of the file in messages; "" for a checkpoint.
        num_classes: Number of classes of the classifier.
        channels: Channels of the network's input.
        crops: Known crops of published models.
    """
    said = Said()
    for name, value in _visit(content, where):
        if isinstance(value, Mapping):
            _join(said, read_mapping(value, name, num_classes, channels, crops))
        else:
            _join(said, read_pipeline(value, name))
    if not any(one.name == "classes" for one in said.sayings):
        said.sayings += said.guessed
    return said


def read_metadata_of(
    metadata: Mapping[str, str], num_classes: int, channels: int, crops: Crops | None = None
) -> Said:
    """Read the metadata of a safetensors file. Its values are texts, some of them JSON."""
    fields: dict[str, Any] = {}
    for key, text in metadata.items():
        fields[key] = text
        if text[:1] in ("{", "["):
            try:
                fields[key] = parse_json(text)
            except ValueError:  # some write a dictionary as Python shows it
                fields[key] = parse_python(f"value = {text}").get("value", text)
    return read_content(fields, "metadata", num_classes, channels, crops)


def _join(said: Said, more: Said) -> None:
    said.sayings += more.sayings
    said.guessed += more.guessed
    said.notes += more.notes
    said.bgr = said.bgr or more.bgr


def _visit(content: object, where: str) -> Iterator[tuple[str, Any]]:
    """Yield mappings and pipelines, outer ones first, each once: one may contain itself."""
    queue: list[tuple[str, object, int]] = [(where, content, 0)]
    seen: dict[int, object] = {}  # kept, so that no other object gets the same number
    while queue and len(seen) < _MOST_MAPPINGS:
        name, value, depth = queue.pop(0)
        value = _plain(value)
        if id(value) in seen or depth > _MOST_DEPTH:
            continue
        if isinstance(value, str):
            value = _parse_text(value, name.rpartition(".")[2])
        if isinstance(value, Mapping) and not _is_state_dict(value):
            seen[id(value)] = value
            yield name, value
            queue += [
                (shorten(f"{name}.{key}" if name else str(key), 120), inner, depth + 1)
                for key, inner in value.items()
                if not _SKIPPED.match(str(key)) and _may_hold(inner)
            ]
        elif isinstance(value, list | tuple) and len(value) <= _MOST_ITEMS:
            seen[id(value)] = value
            if any(isinstance(to_plain(one), Mapping) for one in value):
                if not _TRAINING.search(name):
                    yield name, [_plain(one) for one in value]
                queue += [(name, one, depth + 1) for one in value]


def _plain(value: object) -> Any:
    """Add the class's name to the fields of a transform that was saved as an object."""
    plain = to_plain(value)
    step = isinstance(value, StandIn) and value.path.startswith(("torchvision.", "albumentations."))
    if isinstance(value, StandIn) and step and isinstance(plain, Mapping):
        return {"__class_fullname__": value.path, **plain}
    return plain


def _parse_text(text: str, key: str) -> Any:
    """Parse settings that were saved as text: JSON, transforms, Python or YAML."""
    if text.lstrip()[:1] in ("{", "["):
        try:
            return parse_json(text)
        except ValueError:
            return None
    if steps := parse_transforms(text):
        return steps
    if not _SETTINGS.search(key):
        return None
    if assigned := parse_python(text):
        return assigned
    try:
        return parse_yaml(text) if "\n" in text else None
    except ValueError:
        return None


def _may_hold(value: object) -> bool:
    return not isinstance(value, int | float | bool | None) and not _is_tensor(value)


def _is_tensor(value: object) -> bool:
    return type(value).__name__ in ("Tensor", "Parameter")


def _is_state_dict(value: Mapping[Any, Any]) -> bool:
    tensors = [one for one in value.values() if _is_tensor(one)]
    return len(tensors) * 2 > len(value) and any(one.numel() > _FEW for one in tensors)
