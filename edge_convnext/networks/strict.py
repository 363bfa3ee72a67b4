"""State dicts under a module's own names: found in a checkpoint, and compared tensor by tensor."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from edge_convnext.core.errors import LoadError, shorten
from edge_convnext.core.standins import to_plain
from edge_convnext.networks.module_state import Expected, Find, find_first, find_head
from edge_convnext.networks.stored import check_stored, to_float32
from edge_convnext.networks.translation import Translation

__all__ = ["Known", "read_strictly"]

_SHOWN = 3  # differences in a message
_MOST_DEPTH, _MOST_VISITS = 4, 10_000  # of a checkpoint around its state dict
_AVERAGED = re.compile(r"(?:^|_)(?:ema|swa|averaged?|avg)(?:_|$)")
# A counter that batch norms need for no answer; old checkpoints lack it.
_COUNTER = "num_batches_tracked"


@dataclass(frozen=True)
class Known:
    """What a family knows of its models."""

    label: str
    find: Find  # by name, number of classes and of channels
    expected: Expected  # names, shapes and types of a state dict


@dataclass(frozen=True)
class _Found:
    """A state dict in a checkpoint: the way to it, with the prefix of its names taken off."""

    way: tuple[str, ...]
    prefix: str
    tensors: dict[str, Any]
    others: int  # entries under other prefixes

    @property
    def where(self) -> str:
        return "/".join((*self.way, *filter(None, [self.prefix.rstrip(".")])))

    @property
    def averaged(self) -> bool:
        return any(_AVERAGED.search(step.lower()) for step in (*self.way, self.prefix.rstrip(".")))


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
    held = _find(checkpoint, expected, source)
    head = find_head(known.find, known.expected, shape)
    classes = _count(held.tensors, head)
    first = find_first(expected, shape.in_channels)
    channels = shape.in_channels
    if first and isinstance(stem := held.tensors.get(first), Tensor) and stem.dim() == 4:
        channels = stem.shape[1]
    found = known.find(model, classes or 1000, channels) or shape
    wanted = dict(known.expected(found))
    if not classes and headless:
        wanted = {name: one for name, one in wanted.items() if name not in head}
        found = known.find(model, 0, channels) or found
    _compare(held.tensors, wanted, model, source)
    check_stored([held.tensors[name] for name in wanted if name in held.tensors], source)
    others = f"{held.others} tensors beside the network were left out" if held.others else ""
    return Translation(
        state={
            name: _take(held.tensors[name], one, f"{source}: '{shorten(name)}'")
            for name, one in wanted.items()
            if name in held.tensors
        },
        architecture=found,
        dialect="own",
        wrappers=held.way,
        averaged=held.averaged,
        where=held.where,
        head=next(iter(head), None) if classes else None,
        notes=(others,) if others else (),
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


def _find(checkpoint: object, expected: Mapping[str, Tensor], source: str) -> _Found:
    """The state dict with the most of the expected names; of equals an averaged one."""
    found = [
        one for way, mapping in _visit(checkpoint) for one in _read_mapping(way, mapping, expected)
    ]
    if not found:
        raise LoadError(
            f"{source}: holds no tensors by name; pass a state dict, as "
            "torch.save(model.state_dict(), FILE) writes one"
        )
    return max(found, key=lambda one: (len(one.tensors.keys() & expected.keys()), one.averaged))


def _read_mapping(
    way: tuple[str, ...], mapping: Mapping[Any, Any], expected: Mapping[str, Tensor]
) -> Iterator[_Found]:
    """A mapping under each prefix that most of the expected names have in it."""
    named = {str(name): value for name, value in mapping.items() if isinstance(value, Tensor)}
    named = {name: value for name, value in named.items() if name != "n_averaged"}
    counts = Counter(
        name[:at] for name in named for at in _beginnings(name) if name[at:] in expected
    )
    most = max(counts.values(), default=0)
    for prefix in [one for one, count in counts.items() if count == most] or [""]:
        inside = {k.removeprefix(prefix): v for k, v in named.items() if k.startswith(prefix)}
        yield _Found(way, prefix, inside, len(named) - len(inside))


def _beginnings(name: str) -> Iterator[int]:
    """Where a name may begin behind a prefix."""
    yield 0
    yield from (at + 1 for at, letter in enumerate(name) if letter == ".")


def _visit(content: object) -> Iterator[tuple[tuple[str, ...], Mapping[Any, Any]]]:
    """Mappings with tensors, each with the way to it."""
    queue: list[tuple[tuple[str, ...], object]] = [((), content)]
    for _ in range(_MOST_VISITS):
        if not queue:
            return
        way, value = queue.pop(0)
        value = to_plain(value)
        if not isinstance(value, Mapping) or len(way) > _MOST_DEPTH:
            continue
        if any(isinstance(inner, Tensor) for inner in value.values()):
            yield way, value
        queue += [((*way, str(key)), one) for key, one in value.items()
                  if not isinstance(one, Tensor | str | bytes | int | float | None)]  # fmt: skip


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
