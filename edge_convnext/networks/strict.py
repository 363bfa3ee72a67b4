"""State dicts under a module's own names: found in a checkpoint, and compared tensor by tensor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from edge_convnext.core.errors import LoadError, shorten
from edge_convnext.networks.candidates import Candidate, choose_candidate, list_places
from edge_convnext.networks.leftovers import is_bystander
from edge_convnext.networks.module_state import Expected, Find, find_first, find_head
from edge_convnext.networks.nested import iter_tensors
from edge_convnext.networks.stored import check_stored, to_float32
from edge_convnext.networks.translation import Translation
from edge_convnext.networks.unusable import explain_no_network, require_plain

__all__ = ["Known", "read_strictly"]

_SHOWN = 3  # differences in a message
# A counter that batch norms need for no answer; old checkpoints lack it.
_COUNTER = "num_batches_tracked"


@dataclass(frozen=True)
class Known:
    """What a family knows of its models."""

    label: str
    find: Find  # by name, number of classes and of channels
    expected: Expected  # names, shapes and types of a state dict


def read_strictly(
    known: Known,
    models: Sequence[str],
    checkpoint: object,
    source: str,
    headless: bool = False,
) -> Translation:
    """Find the state dict of one of a family's models.

    Args:
        known: Facts that the family knows of them.
        models: Full names, the one that is asked for first.
        checkpoint: Content that `torch.load` or safetensors returned.
        source: Name of the checkpoint for messages.
        headless: True if the classifier may be missing.

    Raises:
        LoadError: No state dict, or none whose names and shapes are those of a model; the message
            has the first tensors that differ from the one that is asked for.
    """
    failure: LoadError | None = None
    for model in models:
        try:
            return _read(known, model, checkpoint, source, headless)
        except LoadError as error:
            failure = failure or error
    raise failure or LoadError(
        f"{source}: these names are of no network that is known without --model; pass it"
    )


def _read(known: Known, model: str, checkpoint: object, source: str, headless: bool) -> Translation:
    shape = known.find(model, 1000, 3)
    if shape is None:
        raise LoadError(f"{source}: {known.label} has no model '{shorten(model)}'")
    expected = known.expected(shape)
    place, held = _find(checkpoint, expected, source)
    head = find_head(known.find, known.expected, shape)
    classes = _count(held, head)
    first = find_first(expected, shape.in_channels)
    channels = shape.in_channels
    if first and isinstance(stem := held.get(first), Tensor) and stem.dim() == 4:
        channels = stem.shape[1]
    found = known.find(model, classes or 1000, channels) or shape
    wanted = dict(known.expected(found))
    if not classes and headless:
        wanted = {name: one for name, one in wanted.items() if name not in head}
        found = known.find(model, 0, channels) or found
    _compare(held, wanted, model, source)
    check_stored([held[name] for name in wanted if name in held], source)
    others = len(_tensors(place)) - len(held)
    return Translation(
        state={
            name: _take(held[name], one, f"{source}: '{shorten(name)}'")
            for name, one in wanted.items()
            if name in held
        },
        architecture=found,
        dialect="own",
        wrappers=place.keys,
        averaged=place.averaged,
        where=place.where,
        head=next(iter(head), None) if classes else None,
        notes=(f"{others} tensors beside the network were left out",) if others else (),
    )


def _take(value: object, wanted: Tensor, what: str) -> Tensor:
    if isinstance(value, Tensor) and not wanted.is_floating_point():
        return value.detach().to(wanted.dtype).contiguous()
    return to_float32(value, tuple(wanted.shape), what)


def _count(tensors: Mapping[str, Any], head: Mapping[str, int]) -> int:
    """Classes of the first tensor of the head that is there; 0: none is."""
    for name, axis in head.items():
        value = tensors.get(name)
        if isinstance(value, Tensor) and value.dim() > axis:
            return value.shape[axis]
    return 0


def _find(
    checkpoint: object, expected: Mapping[str, Tensor], source: str
) -> tuple[Candidate, dict[str, Any]]:
    """The network's place, and the tensors there without the prefix of their names.

    Of a file with less than half of the expected names it is the best place with any.
    """
    names = [name for name, one in expected.items() if one.is_floating_point()]
    place = choose_candidate(checkpoint, names, source) or _first_place(checkpoint, source)
    require_plain(place.named, source)
    named = ((k.removeprefix(place.prefix), v) for k, v in _tensors(place).items()
             if k.startswith(place.prefix))  # fmt: skip
    return place, {
        name: one for name, one in named if name in expected or not is_bystander(name, one)
    }


def _tensors(place: Candidate) -> dict[str, Any]:
    return {name: one for name, one in place.named.items() if isinstance(one, Tensor)}


def _first_place(checkpoint: object, source: str) -> Candidate:
    if known := explain_no_network(checkpoint, iter_tensors(checkpoint), source):
        raise known
    places = list_places(checkpoint)
    if not places:
        raise LoadError(
            f"{source}: holds no tensors by name; pass a state dict, as "
            "torch.save(model.state_dict(), FILE) writes one"
        )
    return places[0]


def _compare(
    tensors: Mapping[str, Any], wanted: Mapping[str, Tensor], model: str, source: str
) -> None:
    """Refuse other names or shapes, with the first that differ."""
    missing = [
        f"'{shorten(name, 80)}' is missing, and {list(one.shape)} in {model}"
        for name, one in wanted.items()
        if name not in tensors and not name.endswith(_COUNTER)
    ]
    unknown = [
        f"'{shorten(name, 80)}' {_shape(value)} is in the file alone"
        for name, value in tensors.items()
        if name not in wanted
    ]
    other = [
        f"'{shorten(name, 80)}' is {_shape(tensors[name])} in the file, and {list(one.shape)} in "
        f"{model}"
        for name, one in wanted.items()
        if name in tensors and _shape(tensors[name]) != str(list(one.shape))
    ]
    if not (missing or unknown or other):
        return
    counts = (
        f"of its {len(wanted)} tensors {len(other)} have another shape and {len(missing)} are "
        f"missing, and {len(unknown)} tensors of the file are unknown"
    )
    first = "; ".join([*other[:_SHOWN], *missing[:_SHOWN], *unknown[:_SHOWN]][:_SHOWN])
    raise LoadError(
        f"{source}: these are not weights of {model}: {counts}; first: {first}; pass the --model "
        "they were trained as"
    )


def _shape(value: object) -> str:
    return str(list(value.shape)) if isinstance(value, Tensor) else type(value).__name__
