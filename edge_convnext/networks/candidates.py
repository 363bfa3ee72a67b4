"""Every place in a checkpoint where most of a network's tensors lie under its own names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from edge_convnext.core.errors import LoadError, shorten
from edge_convnext.networks.nested import (
    PlaceOrder,
    clean_names,
    is_averaged,
    place_order,
    visit_mappings,
)

__all__ = ["Candidate", "choose_candidate", "find_candidates", "list_places"]

_MARKS = 12  # names of the network that a place is looked for by
_LEAST_SHARE = 0.5  # of its tensors: less is another network


@dataclass(frozen=True)
class Candidate:
    """One place, and the state dict around it."""

    keys: tuple[str, ...]  # on the way to the state dict, outermost first
    prefix: str  # of the network's names there
    named: Mapping[str, Any]  # names cleaned of wrappers
    averaged: bool
    missing: tuple[str, ...]  # of the network's tensors

    @property
    def where(self) -> str:
        """The way to it, for people: `model_ema`, or `state_dict/student`."""
        return "/".join((*self.keys, *filter(None, [self.prefix.rstrip(".")])))

    @property
    def order(self) -> tuple[int, PlaceOrder]:
        """Whole networks first; among them see `nested.place_order`."""
        return len(self.missing), place_order(self.keys, self.prefix, self.averaged)

    def value(self, name: str) -> Any:
        """What lies under a name of the network; None: nothing."""
        return self.named.get(f"{self.prefix}{name}")


def choose_candidate(content: object, names: Sequence[str], source: str) -> Candidate | None:
    """The best of `find_candidates`; None where there is none.

    Args:
        content: Checkpoint as it was read.
        names: Names of the network's float tensors.
        source: Names the checkpoint in messages.

    Raises:
        LoadError: Nothing tells which of two networks is meant, and their tensors differ.
    """
    found = find_candidates(content, names)
    if not found:
        return None
    first = found[0]
    equals = [one for one in found[1:] if one.order == first.order]
    if other := next((one for one in equals if not _same(first, one, names)), None):
        raise LoadError(
            f"{source}: two networks in one file, under '{shorten(first.where)}' and "
            f"'{shorten(other.where)}'; save the one to use by itself"
        )
    return first


def _same(one: Candidate, other: Candidate, names: Sequence[str]) -> bool:
    pairs = [(one.value(name), other.value(name)) for name in names]
    return all(
        isinstance(a, Tensor) and isinstance(b, Tensor) and a.shape == b.shape and a.equal(b)
        for a, b in pairs
    )


def find_candidates(content: object, names: Sequence[str]) -> list[Candidate]:
    """Places with at least half of a network's tensors, the best first.

    Args:
        content: Checkpoint as it was read.
        names: Names of the network's float tensors.
    """
    found: list[Candidate] = []
    marks = _marks(names)
    for keys, mapping, parent in visit_mappings(content):
        named = clean_names(mapping)
        for prefix in _prefixes(named, marks):
            missing = tuple(one for one in names if f"{prefix}{one}" not in named)
            if len(missing) > len(names) * (1 - _LEAST_SHARE):
                continue
            averaged = is_averaged(keys, prefix, mapping, parent, content)
            found.append(Candidate(keys, prefix, named, averaged, missing))
    return sorted(found, key=lambda one: one.order)


def list_places(content: object) -> list[Candidate]:
    """Every state dict in a checkpoint, whatever names it has, the best first."""
    found = [
        Candidate(
            keys, "", clean_names(mapping), is_averaged(keys, "", mapping, parent, content), ()
        )
        for keys, mapping, parent in visit_mappings(content)
    ]
    return sorted(found, key=lambda one: one.order)


def _marks(names: Sequence[str]) -> list[str]:
    """Names spread over the network: one that is missing must not hide it."""
    step = max(1, len(names) // _MARKS)
    return list(names[::step])


def _prefixes(named: Mapping[str, Any], marks: Sequence[str]) -> list[str]:
    """What stands before the network's names, most often first."""
    counts: Counter[str] = Counter()
    for name, value in named.items():
        if isinstance(value, Tensor):
            for mark in marks:
                if name == mark or name.endswith(f".{mark}"):
                    counts[name[: len(name) - len(mark)]] += 1
    return [prefix for prefix, _ in counts.most_common(_MARKS)]
