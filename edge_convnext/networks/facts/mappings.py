"""Read one mapping of settings, with the meaning of the tool that wrote it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edge_convnext.core.errors import shorten
from edge_convnext.core.image_size import sides_of
from edge_convnext.networks.facts.class_names import count_from_one, read_names
from edge_convnext.networks.facts.processors import is_processor, read_processor
from edge_convnext.networks.facts.sayings import (
    Crops,
    Said,
    Saying,
    add_pair,
    add_resized,
    detail_of,
    get_value,
    of_pixels,
    tell_shift,
)
from edge_convnext.networks.facts.table import (
    RESIZED_KEYS,
    SIDE_KEYS,
    find_keys,
    is_known,
    plain_key,
)
from edge_convnext.networks.facts.tools import read_tool
from edge_convnext.networks.facts.values import (
    plain_value,
    read_fraction,
    read_interpolation,
    read_licence,
    read_number,
    read_size,
)
from edge_convnext.networks.facts.words import is_list_of_classes, is_numbering

__all__ = ["read_mapping"]

_SHOWN = 4
_CHANNEL_ORDERS = (
    "channel_order", "channels_order", "color_order", "colour_order", "color_mode", "color_space",
    "color_format", "channel_format", "image_mode", "input_format", "input_order",
)  # fmt: skip


def read_mapping(
    fields: Mapping[Any, Any],
    where: str,
    num_classes: int,
    channels: int,
    crops: Crops | None = None,
) -> Said:
    """Read a mapping: class names, preprocessing, licence.

    Args:
        fields: Mapping from a checkpoint or a file beside it, without the mappings in it.
        where: Name in messages, such as "args" or "config.json".
        num_classes: Number of classes of the classifier; 0 where there is none.
        channels: Channels of the network's input.
        crops: Known crops of published models.
    """
    said = Said(crops=crops or {})
    _read_classes(fields, where, num_classes, said)
    if is_processor(fields):
        read_processor(fields, where, channels, said)
    elif not read_tool(fields, where, channels, said):
        _read_others(fields, where, channels, said)
    _compare(fields, where, num_classes, channels, said)
    for key in find_keys(fields, "licence"):
        said.add("licence", read_licence(fields[key]), detail_of(where, key))
    return said


def _read_classes(fields: Mapping[Any, Any], where: str, num_classes: int, said: Said) -> None:
    for key in find_keys(fields, "classes"):
        if isinstance(fields[key], set | frozenset) and fields[key]:
            said.notes.append(f"{detail_of(where, key)} is a set, which has no order; not used")
        names = read_names(fields[key], str(key))
        if not names or not num_classes:
            continue
        if len(names) == num_classes:
            said.add("classes", names, detail_of(where, key))
            if count_from_one(fields[key]):
                said.notes.append(tell_shift(detail_of(where, key), len(names)))
        elif len(names) > 1:
            shown = shorten(", ".join(names[:_SHOWN]), 80)
            said.notes.append(
                f"{detail_of(where, key)} has {len(names)} entries ({shown}), and the classifier "
                f"{num_classes} outputs; they are not used as class names"
            )
    if num_classes > 1:
        _guess_classes(fields, where, num_classes, said)


def _guess_classes(fields: Mapping[Any, Any], where: str, num_classes: int, said: Said) -> None:
    """Guess names under keys that are not in the table, by their form."""
    for key, value in fields.items():
        if is_known(key):
            continue
        names = _texts_of(value)
        if is_numbering(key, value, num_classes) or (
            len(names) == num_classes and is_list_of_classes(key)
        ):
            found = read_names(value, str(key))
            if len(found) == num_classes:
                said.guessed.append(Saying("classes", found, detail_of(where, key)))


def _texts_of(value: Any) -> set[str]:
    """Texts of a list of texts; none where one repeats or is not a text."""
    value = plain_value(value)
    if not isinstance(value, list | tuple) or not all(isinstance(one, str) for one in value):
        return set()
    return set(value) if len(set(value)) == len(value) else set()


def _compare(
    fields: Mapping[Any, Any], where: str, num_classes: int, channels: int, said: Said
) -> None:
    """Note settings that belong to other weights than these."""
    for key in find_keys(fields, "in_channels"):
        stated = read_number(fields[key])
        if stated is not None and stated != channels:
            said.notes.append(
                f"{detail_of(where, key)} says {stated:g} channels, and the weights take {channels}"
            )
    stated = get_value(fields, "num_classes", "nb_classes", "num_labels", "n_classes")
    if type(stated) is int and num_classes and stated != num_classes:
        said.notes.append(
            f"{where or 'the checkpoint'} says {stated} classes, and the weights have "
            f"{num_classes}: its settings may belong to other weights"
        )


def _read_others(fields: Mapping[Any, Any], where: str, channels: int, said: Said) -> None:
    """Read settings of scripts: the usual keys, one by one."""
    if not _is_step(fields, where):
        _read_sizes(fields, where, said)
    add_pair(fields, where, channels, said)
    if _is_bgr(fields, where):
        said.bgr = where


def _is_step(fields: Mapping[Any, Any], where: str) -> bool:
    """Whether a mapping is one step of a list of transforms, which is read as a whole."""
    return "__class_fullname__" in fields or ("type" in fields and "pipeline" in where)


def _read_sizes(fields: Mapping[Any, Any], where: str, said: Said) -> None:
    size = None
    for key in find_keys(fields, "image_size"):
        if plain_key(key) == "size" and not of_pixels(where):
            continue
        if "model_type" in fields and fields[key] == 224:
            continue  # transformers' own default, which is written for any images
        found = said.attempt("image_size", read_size, fields[key],
                             detail_of(where, key))  # fmt: skip
        size = size or found
    for key in ("crop", *RESIZED_KEYS) if size is None else ():
        stated = get_value(fields, key)
        if size is None and (type(stated) is int or isinstance(stated, list | tuple)):
            size = said.attempt("image_size", read_size, stated, detail_of(where, key))
    for keys in SIDE_KEYS:
        sides = [get_value(fields, key) for key in keys]
        if None not in sides and (keys[0] != "height" or of_pixels(where)):
            found = said.attempt("image_size", read_size, sides, detail_of(where, keys[0]))
            size = size or found
    for key in find_keys(fields, "crop_pct"):
        crop = said.attempt("crop_pct", read_fraction, fields[key],
                            detail_of(where, key))  # fmt: skip
        if crop is not None and crop < 1:
            said.add("resize", "shortest", detail_of(where, key))
    for key in find_keys(fields, "interpolation"):
        said.attempt("interpolation", read_interpolation, fields[key],
                     detail_of(where, key))  # fmt: skip
    resized = get_value(fields, *RESIZED_KEYS)
    if size is not None and type(resized) is int and resized > min(sides_of(size)):
        add_resized(said, size, resized, f"{where}: the size before the crop".lstrip(": "))
    for key in find_keys(fields, "resize"):
        if fields[key] in ("squash", "shortest"):
            said.add("resize", fields[key], detail_of(where, key))


def _is_bgr(fields: Mapping[Any, Any], where: str) -> bool:
    """Whether channels are in OpenCV's order: mmpretrain reorders them only where told to."""
    if any(str(get_value(fields, key)).lower() == "bgr" for key in _CHANNEL_ORDERS):
        return True
    if get_value(fields, "mean") is None:
        return False
    stated = get_value(fields, "to_rgb", "bgr_to_rgb")
    own = where.endswith("data_preprocessor") and "num_classes" in fields
    return get_value(fields, "bgr") is True or stated is False or (own and stated is None)
