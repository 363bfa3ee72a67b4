"""From a checkpoint under a network's own names to a state dict that is whole."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from edge_convnext.core.errors import LoadError, shorten, shorten_names
from edge_convnext.networks.candidates import Candidate, choose_candidate
from edge_convnext.networks.leftovers import find_normalisation, is_bystander
from edge_convnext.networks.made.maker import NotSoError
from edge_convnext.networks.made.outline import Followers, Outline, follow, outline_of
from edge_convnext.networks.made.shape import MadeShape
from edge_convnext.networks.made.sizes import fitting_size
from edge_convnext.networks.nested import find_nameless, iter_tensors, list_content
from edge_convnext.networks.stored import check_stored, shape_of, to_float32
from edge_convnext.networks.translation import Normalisation, Translation
from edge_convnext.networks.unusable import explain_no_network, require_plain

if TYPE_CHECKING:
    from edge_convnext.networks.made.maker import Maker

__all__ = ["translate_state"]

_SHOWN = 6


def translate_state(
    shape: MadeShape, checkpoint: object, source: str, headless: bool = False
) -> Translation:
    """Find the network in a checkpoint, wherever it lies, and check every tensor of it.

    Classes and channels are those of the checkpoint.

    Args:
        shape: The network that is asked for; its numbers are not.
        checkpoint: Content that `torch.load` or safetensors returned.
        source: Names the checkpoint in messages.
        headless: True if the classifier may be missing: `num_classes` is 0 then.

    Raises:
        LoadError: It is not there, not whole, or of other shapes.
    """
    maker, followers = shape.maker, _follow(shape)
    usual = outline_of(maker, shape.num_classes, shape.in_channels)
    one = _choose(checkpoint, usual, maker, source)
    require_plain(one.named, source)
    classes, channels = _numbers(one, followers, shape)
    bare = classes is None and headless
    if classes is None and not headless:
        raise _no_classifier(one, followers, shape, source)
    size = fitting_size(maker, classes or shape.num_classes, channels, _shapes(one, usual))
    outline = outline_of(maker, classes or shape.num_classes, channels, size)
    notes: list[str] = []
    heads = {axis.name for axis in followers.classes}
    state = _take(one, outline, heads if bare else set(), followers, notes, source)
    normalisation, left = _sort_left(one, outline, channels, maker, source)
    if (nameless := find_nameless(checkpoint)) is not None and not one.averaged:
        notes.append(f"'{shorten(nameless)}' holds averaged weights without names, which can't be "
                     "told apart; the named weights were taken")  # fmt: skip
    weight = next(iter(followers.heads), None)
    return Translation(
        state=state,
        architecture=replace(shape, num_classes=classes or 0, in_channels=channels),
        dialect=shape.family,
        wrappers=one.keys,
        averaged=one.averaged,
        where=one.where,
        head=None if bare or weight is None else f"{one.prefix}{weight}",
        normalisation=normalisation,
        notes=(*notes, *left, *_tell_heads(followers)),
    )


def _follow(shape: MadeShape) -> Followers:
    try:
        return follow(shape.maker)
    except NotSoError as error:
        raise LoadError(f"{shape.name}: {error}") from error


def _choose(checkpoint: object, outline: Outline, maker: Maker, source: str) -> Candidate:
    """The first whole network, or the most complete one."""
    names = [name for name in outline.floats if name not in outline.ties]
    found = choose_candidate(checkpoint, names, source)
    if found is None:
        raise _no_network(checkpoint, names, maker, source)
    return found


def _shapes(one: Candidate, outline: Outline) -> dict[str, tuple[int, ...]]:
    return {
        name: shape_of(one.value(name)) for name in outline.shapes if one.value(name) is not None
    }


def _numbers(one: Candidate, followers: Followers, shape: MadeShape) -> tuple[int | None, int]:
    """Classes and channels by the shapes; classes None where there is no classifier."""
    solved = [axis.solve(shape_of(one.value(axis.name))) for axis in followers.classes]
    classes = next((n for n in solved if n is not None), None)
    if not followers.classes:
        classes = shape.num_classes  # fixed by the function
    read = [axis.solve(shape_of(one.value(axis.name))) for axis in followers.channels]
    channels = next((n for n in read if n is not None), shape.in_channels)
    return classes, channels


def _take(
    one: Candidate,
    outline: Outline,
    without: set[str],
    followers: Followers,
    notes: list[str],
    source: str,
) -> dict[str, Tensor]:
    """Every tensor of the network, as float32 or whole numbers."""
    check_stored([one.value(name) for name in outline.floats if name not in outline.ties], source)
    state: dict[str, Tensor] = {}
    missing: list[str] = []
    for name, shape in outline.shapes.items():
        value = one.value(name)
        if value is None and name in outline.ties:
            continue
        what = f"{source}: '{shorten(one.prefix + name)}'"
        if name in without:
            continue
        if name in outline.whole:
            if value is not None:
                state[name] = _whole(value, shape, what)
        elif value is not None:
            state[name] = to_float32(value, shape, what)
        else:
            missing.append(name)
    state |= _add_biases(missing, outline, followers, notes)
    left = [name for name in missing if name not in state]
    if left:
        raise _missing(left, one, source)
    state |= {n: state[kept].clone() for n, kept in outline.ties.items()
              if n not in state and kept in state}  # fmt: skip
    return {name: state[name] for name in outline.shapes if name in state}


def _add_biases(
    missing: Sequence[str], outline: Outline, followers: Followers, notes: list[str]
) -> dict[str, Tensor]:
    """A classifier's bias that is not there is 0."""
    heads = {axis.name for axis in followers.classes}
    added = [name for name in missing if name in heads and name.endswith("bias")]
    if added and set(added) == set(missing):
        notes.append(f"the classifier has no bias in the file ('{added[0]}'); it is taken as 0")
        return {name: torch.zeros(outline.shapes[name]) for name in added}
    return {}


def _whole(value: Any, shape: tuple[int, ...], what: str) -> Tensor:
    """A counter or a table of indices."""
    if not isinstance(value, Tensor) or value.device.type != "cpu" or value.is_complex():
        raise LoadError(f"{what} is no tensor of whole numbers; save the state dict again")
    if math.prod(value.shape) != math.prod(shape):
        raise LoadError(f"{what} has shape {list(value.shape)}, not {list(shape)}")
    if value.is_floating_point() and not bool(torch.isfinite(value).all()):
        raise LoadError(f"{what} holds NaN or infinity; the file is damaged")
    kept = value if value.dtype == torch.bool else value.to(torch.int64)
    return kept.reshape(shape).contiguous()


def _sort_left(
    one: Candidate, outline: Outline, channels: int, maker: Maker, source: str
) -> tuple[Normalisation | None, tuple[str, ...]]:
    """Refuse what the images or features would pass through, and tell what is left out."""
    known = {f"{one.prefix}{name}" for name in (*outline.shapes, *outline.unsaved)}
    left = {name: value for name, value in one.named.items() if name not in known}
    normalisation = find_normalisation(left, channels, source)
    taken = normalisation.names if normalisation else ()
    beside: list[str] = []
    unknown: list[str] = []
    for name, value in left.items():
        if name in taken or not isinstance(value, Tensor):
            continue
        inside = name.startswith(one.prefix) if one.prefix else True
        harmless = is_bystander(name, value) or not inside
        (beside if harmless else unknown).append(name)
    if unknown:
        more = f" (and {len(unknown) - 1} more)" if len(unknown) > 1 else ""
        raise LoadError(
            f"{source}: '{shorten(unknown[0])}'{more} belongs to no {maker.label}; pass the "
            "model that the file is of, or save that network's state dict alone"
        )
    shown = shorten_names([f"'{name}'" for name in beside], _SHOWN)
    return normalisation, (f"left out, no part of the network: {shown}",) if beside else ()


def _tell_heads(followers: Followers) -> tuple[str, ...]:
    if len(followers.heads) < 2:
        return ()
    names = " and ".join(f"'{name}'" for name in followers.heads)
    return (f"the network has {len(followers.heads)} classifiers ({names}), as distilled ones "
            "have; its logits are what it returns in evaluation, made of all of them",)  # fmt: skip


def _no_network(checkpoint: object, names: Sequence[str], maker: Maker, source: str) -> LoadError:
    if known := explain_no_network(checkpoint, iter_tensors(checkpoint), source):
        return known
    there = next(iter_tensors(checkpoint), None)
    if there is None:
        content = list_content(checkpoint)[:_SHOWN]
        kept = f"; in it: {shorten('; '.join(content), 400)}" if content else ""
        return LoadError(
            f"{source}: no state dict in this file (a {type(checkpoint).__name__}{kept}); save "
            "model.state_dict() and pass that"
        )
    return LoadError(
        f"{source}: its names are not those of {maker.label}: its first tensor is "
        f"'{shorten(there)}', and that network has {shorten_names(list(names), 3)}; pass the "
        "model that the file is of"
    )


def _no_classifier(
    one: Candidate, followers: Followers, shape: MadeShape, source: str
) -> LoadError:
    wanted = next(iter(followers.heads), "one")
    return LoadError(
        f"{source}: no classifier in these weights ('{shorten(one.prefix + wanted)}' of "
        f"{shape.maker.label} is missing): they tell features, not classes; `edge-convnext train "
        "--init` draws a classifier and trains it on labelled images"
    )


def _missing(names: Sequence[str], one: Candidate, source: str) -> LoadError:
    more = f" (and {len(names) - 1} more)" if len(names) > 1 else ""
    return LoadError(
        f"{source}: '{shorten(one.prefix + names[0])}'{more} is missing; the checkpoint is "
        "incomplete, or of another model: pass that, or save the checkpoint again"
    )
