"""Translate a checkpoint of any origin: choose the network, map its names, find its head."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from edge_convnext.core.errors import LoadError, shorten
from edge_convnext.core.standins import StandIn, to_plain
from edge_convnext.networks.convnext.file_names import SHOWN, and_more, name_in_file, quote
from edge_convnext.networks.convnext.heads import Head, find_head
from edge_convnext.networks.convnext.leftovers import is_pretraining, may_be_layer
from edge_convnext.networks.convnext.names import DialectName, rename
from edge_convnext.networks.convnext.nested import Candidate, find_candidates
from edge_convnext.networks.convnext.reparametrised import join_parts
from edge_convnext.networks.convnext.shapes import expected_shapes, infer_architecture
from edge_convnext.networks.convnext.sizes import Architecture
from edge_convnext.networks.leftovers import find_normalisation, is_bystander
from edge_convnext.networks.nested import find_nameless, iter_tensors, list_content
from edge_convnext.networks.stored import check_stored, shape_of, to_float32
from edge_convnext.networks.translation import Normalisation, Translation
from edge_convnext.networks.unusable import explain_no_network, holds_arrays, require_plain

__all__ = ["DialectName", "translate"]


@dataclass(frozen=True)
class _Read:
    """One candidate, read by names and shapes only."""

    candidate: Candidate
    named: dict[str, Any]  # tensors by name; those stored in parts are joined
    theirs: dict[str, str]  # our name -> the file's name
    architecture: Architecture
    head: Head
    left: dict[str, Any]  # tensors that are no part of the network
    notes: tuple[str, ...]


def translate(
    checkpoint: object, source: str, headless: bool = False, model: str | None = None
) -> Translation:
    """Find the network in a checkpoint and bring it into this project's names and shapes.

    Args:
        checkpoint: The content that `torch.load` or safetensors returned.
        source: The checkpoint's name for messages.
        headless: True if the classifier may be missing, as in pre-trained weights. The state then
            has none, `num_classes` is 0, and a missing last norm is initialised.
        model: Full name of the requested model; it is preferred where the checkpoint holds
            several networks.

    Returns:
        The network's tensors in our names, float32, and how they were found.

    Raises:
        LoadError: The checkpoint has no state dict, an unknown dialect, or several networks with
            no reason to prefer one; or tensors are missing, unexpected, of a wrong shape or type,
            or not finite.
    """
    candidates = find_candidates(checkpoint)
    if not candidates:
        raise _no_network(checkpoint, source)
    candidates, passed = _plain_ones(candidates, source)
    read, chosen = _choose(candidates, source, headless, model)
    chosen += passed
    if read.head.weight is None and not headless:
        raise _no_classifier(read, source)
    expected = expected_shapes(read.architecture)
    names, drawn, completed = _complete(read, expected, source, headless)
    if (nameless := find_nameless(checkpoint)) is not None and not read.candidate.averaged:
        chosen += (
            f"'{shorten(nameless)}' holds averaged weights without names, which can't be matched "
            "to layers; the named weights were taken",
        )
    normalisation, left = _sort_left(read, source, headless)
    check_stored([read.named[name] for name in names.values()], source)
    tensors = {
        ours: to_float32(read.named[name], expected[ours], f"{source}: '{shorten(name)}'")
        for ours, name in names.items()
    }
    state = {**tensors, **drawn}
    return Translation(
        state={ours: state[ours] for ours in expected if ours in state},
        architecture=read.architecture,
        dialect=read.candidate.network[0],
        wrappers=read.candidate.keys,
        averaged=read.candidate.averaged,
        where=read.candidate.where,
        head=read.head.weight,
        normalisation=normalisation,
        notes=(*chosen, *read.notes, *completed, *left),
    )


def _plain_ones(
    candidates: Sequence[Candidate], source: str
) -> tuple[list[Candidate], tuple[str, ...]]:
    """Return the networks that can be used as they are, and notes on the others."""
    plain: list[Candidate] = []
    errors: list[LoadError] = []
    for candidate in candidates:
        try:
            require_plain(candidate.named, source)
            plain.append(candidate)
        except LoadError as error:
            errors.append(error)
    if not plain:
        raise errors[0]
    told = f"passed over in the file ({len(errors)}): {errors[0]}" if errors else ""
    return plain, (told.replace(f"{source}: ", ""),) if told else ()


def _choose(
    candidates: Sequence[Candidate], source: str, headless: bool, model: str | None
) -> tuple[_Read, tuple[str, ...]]:
    """Return the first network that can be read, and notes on the others."""
    read: list[_Read] = []
    errors: list[LoadError] = []
    for candidate in candidates:
        try:
            read.append(_read(candidate, source, headless))
        except LoadError as error:
            errors.append(error)
    if not read:
        raise errors[0]

    def order(one: _Read) -> tuple[Any, ...]:
        unasked = model is not None and one.architecture.name != model
        return unasked, one.head.weight is None, *one.candidate.order

    read.sort(key=order)
    first = read[0]
    equals = [one for one in read if order(one) == order(first)]
    for one in equals[1:] and equals:
        check_stored([one.named[name] for name in one.theirs.values()], source)
    if not all(_same(first, one) for one in equals):
        labels = " and ".join(f"'{shorten(_label(one.candidate))}'" for one in equals)
        raise LoadError(
            f"{source}: {len(equals)} networks in one file, under {labels}; "
            "save the one to use by itself"
        )
    return first, _tell_choice(first, read[1:], len(errors))


def _tell_choice(first: _Read, others: Sequence[_Read], unread: int) -> tuple[str, ...]:
    kind = "averaged weights" if first.candidate.averaged else "weights"
    where = f"'{shorten(first.candidate.where)}'" if first.candidate.where else "the file's top"
    notes: list[str] = []
    if others:
        shown = ", ".join(f"'{shorten(_label(one.candidate), 80)}'" for one in others[:SHOWN])
        notes.append(
            f"the {kind} of {where} were taken; also in the file: {shown}"
            f"{', …' if len(others) > SHOWN else ''}"
        )
    if unread:
        notes.append(f"{unread} networks in the file are incomplete and were not looked at")
    return tuple(notes)


def _label(candidate: Candidate) -> str:
    return "/".join((*candidate.keys, *filter(None, [candidate.network[1]])))


def _same(one: _Read, other: _Read) -> bool:
    """True if two networks have equal tensors."""
    if one is other:
        return True
    if one.theirs.keys() != other.theirs.keys() or one.head.classes != other.head.classes:
        return False
    pairs = [(one.named[a], other.named[other.theirs[ours]]) for ours, a in one.theirs.items()]
    if one.head.weight is not None and other.head.weight is not None:
        pairs.append((one.named[one.head.weight], other.named[other.head.weight]))
    return all(isinstance(a, Tensor) and isinstance(b, Tensor) and _equal(a, b) for a, b in pairs)


def _equal(one: Tensor, other: Tensor) -> bool:
    return one.shape == other.shape and one.dtype == other.dtype and torch.equal(one, other)


def _read(candidate: Candidate, source: str, headless: bool) -> _Read:
    """Read names, shapes and head of one network; values are checked only if it is chosen."""
    named, joined = join_parts(candidate.named, source)
    dialect, prefix = candidate.network
    inside = {name: rename(name[len(prefix) :], dialect) for name in named if
              name.startswith(prefix)}  # fmt: skip
    theirs: dict[str, str] = {}
    for name, ours in inside.items():
        theirs.setdefault(ours, name)
    known = dict(theirs)
    shapes = {ours: shape_of(named[name]) for ours, name in known.items()}
    backbone = infer_architecture(
        shapes, source, lambda ours: name_in_file(ours, candidate.network, known)
    )
    expected = expected_shapes(backbone)
    own = theirs.get("head.fc.weight")
    theirs = {
        ours: name for ours, name in theirs.items()
        if ours in expected and not ours.startswith("head.fc.")
    }  # fmt: skip
    left = _without_networks(named, set(theirs.values()), candidate)
    behind = (
        left if any(_is_matrix(value) for value in left.values()) else {**left, **candidate.beside}
    )
    head, told = _find_head(own, named, behind, backbone, source, headless)
    taken = {*filter(None, (head.weight, head.bias))}
    left = {name: value for name, value in left.items() if name not in taken}
    architecture = replace(backbone, num_classes=head.classes)
    everything = {**candidate.beside, **named}
    return _Read(
        candidate, everything, theirs, architecture, head, left, (*joined, *head.notes, *told)
    )


def _find_head(
    own: str | None,
    named: Mapping[str, Any],
    behind: Mapping[str, Any],
    backbone: Architecture,
    source: str,
    headless: bool,
) -> tuple[Head, tuple[str, ...]]:
    try:
        return find_head(own, named, behind, backbone.widths[-1], source), ()
    except LoadError as error:
        if not headless:
            raise
        reason = str(error).removeprefix(f"{source}: ").partition(";")[0]
        return Head(), (f"its head is left out: {reason}",)


def _is_matrix(value: Any) -> bool:
    return isinstance(value, Tensor) and value.is_floating_point() and value.dim() in (2, 4)


def _without_networks(
    named: Mapping[str, Any], used: Collection[str], candidate: Candidate
) -> dict[str, Any]:
    """Return the tensors that belong neither to this network nor to another one next to it."""
    own = candidate.network[1]
    others = tuple(prefix for prefix in candidate.others if prefix and not own.startswith(prefix))
    return {
        name: value
        for name, value in named.items()
        if name not in used and not name.startswith(others or ("\0",))
    }


def _complete(
    read: _Read, expected: Mapping[str, tuple[int, ...]], source: str, headless: bool
) -> tuple[dict[str, str], dict[str, Tensor], tuple[str, ...]]:
    """Return the file's name for each of ours, tensors that are made here, and notes on these."""
    names = dict(read.theirs)
    drawn: dict[str, Tensor] = {}
    notes: list[str] = []
    if read.head.weight is not None:
        names["head.fc.weight"] = read.head.weight
        if read.head.bias is not None:
            names["head.fc.bias"] = read.head.bias
        else:
            drawn["head.fc.bias"] = torch.zeros(read.head.classes)
    wanted = [name for name in expected if not name.startswith("head.fc.")]
    missing = [name for name in wanted if name not in names]
    if headless and missing == ["head.norm.weight", "head.norm.bias"]:
        width = read.architecture.widths[-1]
        drawn |= {missing[0]: torch.ones(width), missing[1]: torch.zeros(width)}
        notes.append("the last norm is missing, as in FCMAE's weights; it starts at 1 and 0")
        missing = []
    if missing:
        raise _missing_names(missing, read, source)
    return names, drawn, tuple(notes)


def _sort_left(
    read: _Read, source: str, headless: bool
) -> tuple[Normalisation | None, tuple[str, ...]]:
    """Refuse unknown tensors that may be layers, and note the harmless ones that are left out."""
    architecture, prefix = read.architecture, read.candidate.network[1]
    normalisation = find_normalisation(read.left, architecture.in_channels, source)
    taken = normalisation.names if normalisation else ()
    own_head = read.head.weight is not None and read.head.weight.startswith(prefix)
    beside: list[str] = []
    unknown: list[str] = []
    for name, value in read.left.items():
        if name in taken or not isinstance(to_plain(value), Tensor | StandIn):
            continue
        outside = not name.startswith(prefix)
        within = not outside and rename(name[len(prefix) :], read.candidate.network[0]).startswith(
            ("stem.", "stages.")
        )
        harmless = is_bystander(name, value) and not (within and _has_values(name, value))
        dropped = headless and not within  # a new head replaces everything after the backbone
        separate = outside and own_head and not may_be_layer(value, architecture)
        (beside if harmless or dropped or separate else unknown).append(name)
    if unknown:
        raise _unexpected(unknown, source)
    shown = f"{quote(beside)}{' and more' if len(beside) > SHOWN else ''}"
    return normalisation, (f"left out, no part of the network: {shown}",) if beside else ()


def _has_values(name: str, value: Any) -> bool:
    """True if a tensor within the backbone can be a part of it; counters of tools can't."""
    counters = ("total_ops", "total_params", "num_batches_tracked")
    return isinstance(value, Tensor) and value.is_floating_point() and (not name.endswith(counters))


def _no_network(checkpoint: object, source: str) -> LoadError:
    if known := explain_no_network(checkpoint, iter_tensors(checkpoint), source):
        return known
    tensor = next(iter_tensors(checkpoint), None)
    content = list_content(checkpoint)
    there = f"; in it: {shorten('; '.join(content[:SHOWN]), 400)}" if content else ""
    if tensor is None and holds_arrays(checkpoint):
        return LoadError(
            f"{source}: weights as NumPy's arrays or lists, not tensors{there}; save them as "
            "tensors: torch.save({k: torch.as_tensor(v) for k, v in state.items()}, FILE)"
        )
    if tensor is None:
        kind = type(checkpoint).__name__
        return LoadError(
            f"{source}: no state dict in this file (a {kind} without tensors{there}); "
            "save model.state_dict() and pass that"
        )
    return LoadError(
        f"{source}: not a ConvNeXt in the names of facebookresearch, timm, transformers, "
        f"torchvision, mmpretrain or this project (its first tensor is '{shorten(tensor)}'{there})"
        "; another network needs its --model: timm:NAME, hf:FOLDER or module:package.file:function"
    )


def _no_classifier(read: _Read, source: str) -> LoadError:
    pretrained = [name for name in read.left if is_pretraining(name)]
    there = list(read.left) or [f"{len(read.theirs)} tensors of the backbone"]
    cause = (
        f"they are from FCMAE's pre-training ({quote(pretrained)})"
        if pretrained
        else f"next to the backbone there is {quote(list(read.left))}"
        if read.left
        else f"there are only {there[0]}"
    )
    return LoadError(
        f"{source}: no classifier in these weights: {cause}; `edge-convnext train --init` starts "
        "from such weights, draws a new classifier and trains it on labelled images"
    )


def _unexpected(names: list[str], source: str) -> LoadError:
    return LoadError(
        f"{source}: '{shorten(names[0])}'{and_more(names)} belongs to no ConvNeXt; "
        "load it in its own code and save the ConvNeXt's state dict alone"
    )


def _missing_names(ours: list[str], read: _Read, source: str) -> LoadError:
    names = [name_in_file(name, read.candidate.network, read.theirs) for name in ours]
    if pretrained := [name for name in read.left if is_pretraining(name)]:
        return LoadError(
            f"{source}: these weights are from FCMAE's pre-training ({quote(pretrained)}) and "
            f"lack '{names[0]}'{and_more(names)}; `edge-convnext train --init` starts from such "
            "weights and trains them on labelled images"
        )
    there = f"; next to the network there is {quote(list(read.left))}" if read.left else ""
    return LoadError(
        f"{source}: '{names[0]}'{and_more(names)} is missing{there}; "
        "the checkpoint is incomplete, save it again"
    )
