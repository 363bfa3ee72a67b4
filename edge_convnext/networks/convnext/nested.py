"""Find every ConvNeXt in a checkpoint, at any depth and under any name."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from edge_convnext.core.standins import to_plain
from edge_convnext.networks.convnext.names import Network, clean_names, find_networks, make_dense

__all__ = ["Candidate", "find_candidates", "find_nameless", "iter_tensors", "list_content"]

_MOST_DEPTH = 8  # the most levels of keys around a state dict
_MOST_VISITS = 20_000
_MOST_ITEMS = 64  # the longest list of state dicts
_LEAST_TENSORS = 8  # the shortest list of averaged weights
_MOST_PARTS = 16  # the most tensors of a head that is saved next to its backbone

# Usual keys of a state dict, best first; they decide if a checkpoint has several.
_WRAPPERS = (
    "model_ema", "state_dict_ema", "ema_state_dict", "ema", "swa_model", "model", "module",
    "state_dict", "model_state_dict", "model_state", "net", "network", "weights", "model_weights",
    "params", "backbone", "encoder",
)  # fmt: skip
_AVERAGED = re.compile(
    r"(?:ema|swa|average|averaged|averaging|avg|moving|shadow|polyak)", re.IGNORECASE
)
_WORDS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+|\d+")


@dataclass(frozen=True)
class Candidate:
    """One network: its place in the checkpoint, and the state dict that contains it."""

    keys: tuple[str, ...]  # the keys that lead to the state dict, outermost first
    named: dict[str, Any]  # names cleaned of wrappers, sparse kernels made dense
    network: Network
    averaged: bool
    beside: dict[str, Any]  # tensors of small state dicts under neighbouring keys
    others: tuple[str, ...]  # prefixes of other networks in the same state dict

    @property
    def where(self) -> str:
        """The path of keys to the network, for messages: `model_ema`, `state_dict/student`."""
        return "/".join((*self.keys, *filter(None, [self.network[1].rstrip(".")])))

    @property
    def order(self) -> tuple[bool, bool, tuple[int, ...]]:
        """Sort key: averaged before raw, best before last, usual names before others."""
        steps = (*self.keys, *self.network[1].split(".")[:-1])
        best = any("best" in _words(step) for step in steps)
        usual = tuple(_usual(step) for step in steps)
        return not self.averaged, not best, usual


def find_candidates(content: object) -> list[Candidate]:
    """Find all networks of a checkpoint, best first."""
    found: list[Candidate] = []
    for keys, mapping, parent in _visit(content):
        named = make_dense(clean_names(mapping))
        networks = [n for n in find_networks(named) if isinstance(_first(named, n), Tensor)]
        for network in networks:
            others = tuple(prefix for _, prefix in networks if prefix != network[1])
            averaged = _is_averaged(keys, network[1], mapping, parent, content)
            beside = _beside(keys, parent)
            found.append(Candidate(keys, named, network, averaged, beside, others))
    return sorted(found, key=lambda one: one.order)


def find_nameless(content: object) -> str | None:
    """Find the key of averaged weights in a list without names, as torch_ema's `shadow_params`."""
    if not isinstance(content, Mapping):
        return None
    for key, value in content.items():
        inner = to_plain(value)
        lists = inner.items() if isinstance(inner, Mapping) else [("", inner)]
        for name, one in lists:
            long = isinstance(one, list | tuple) and len(one) >= _LEAST_TENSORS
            if long and all(isinstance(tensor, Tensor) for tensor in one):
                way = "/".join(filter(None, (str(key), str(name))))
                if any(_AVERAGED.fullmatch(word) for word in _words(way)):
                    return way
    return None


def iter_tensors(content: object) -> Iterator[str]:
    """Yield the names of all tensors in mappings."""
    for _, mapping, _ in _visit(content):
        yield from (str(name) for name, value in mapping.items() if isinstance(value, Tensor))


def list_content(content: object) -> list[str]:
    """Describe a checkpoint without a ConvNeXt: each key with a summary of its value."""
    plain = to_plain(content)
    if not isinstance(plain, Mapping):
        return []
    return [f"{key}: {_describe(value)}" for key, value in plain.items()]


def _visit(
    content: object,
) -> Iterator[tuple[tuple[str, ...], Mapping[Any, Any], Mapping[Any, Any]]]:
    """Yield mappings with tensors: the keys that lead there, the mapping, and its parent."""
    queue: list[tuple[tuple[str, ...], object, Mapping[Any, Any], tuple[int, ...]]]
    queue = [((), content, {}, ())]
    for _ in range(_MOST_VISITS):
        if not queue:
            return
        way, value, parent, around = queue.pop(0)
        value = to_plain(value)
        if id(value) in around or len(way) > _MOST_DEPTH:  # a mapping may contain itself
            continue
        around = (*around, id(value))
        if isinstance(value, Mapping):
            if any(isinstance(inner, Tensor) for inner in value.values()):
                yield way, value, parent
            queue += [
                ((*way, str(key)), inner, value, around)
                for key, inner in value.items()
                if not isinstance(inner, str | bytes | int | float | Tensor | None)
            ]
        elif isinstance(value, list | tuple) and len(value) <= _MOST_ITEMS:
            queue += [((*way, str(n)), one, {}, around) for n, one in enumerate(value)]


def _first(named: Mapping[str, Any], network: Network) -> Any:
    """The tensor by which the network was found."""
    return next((v for k, v in named.items() if (network in find_networks([k]))), None)


def _is_averaged(
    keys: tuple[str, ...],
    prefix: str,
    mapping: Mapping[Any, Any],
    parent: Mapping[Any, Any],
    content: object,
) -> bool:
    if _is_swapped(content):
        # mmengine's EMAHook and Lightning's WeightAveraging save the average under the usual key
        # of the weights, and the raw weights under the other key.
        return keys[-1:] == ("state_dict",)
    if any(_AVERAGED.fullmatch(word) for step in (*keys, prefix) for word in _words(step)):
        return True
    return (
        prefix == ""
        and "n_averaged" in mapping
        and any(str(name).startswith("module.") for name in mapping)
    )  # torch.optim.swa_utils.AveragedModel


def _is_swapped(content: object) -> bool:
    if not isinstance(content, Mapping):
        return False
    meta = to_plain(content.get("meta"))
    mmengine = isinstance(meta, Mapping) and "mmengine_version" in meta
    return (mmengine and "ema_state_dict" in content) or "averaging_state" in content


def _beside(keys: tuple[str, ...], parent: Mapping[Any, Any]) -> dict[str, Any]:
    """Return the tensors of a head that was saved as a separate state dict."""
    found: dict[str, Any] = {}
    for key, value in parent.items():
        small = isinstance(value, Mapping) and 0 < len(value) <= _MOST_PARTS
        if small and str(key) != keys[-1] and all(isinstance(v, Tensor) for v in value.values()):
            found.update({f"{key}.{name}": one for name, one in clean_names(value).items()})
    return found


def _words(step: str) -> list[str]:
    return [word.lower() for word in _WORDS.findall(step)]


def _usual(step: str) -> int:
    return _WRAPPERS.index(step) if step in _WRAPPERS else len(_WRAPPERS)


def _describe(value: object) -> str:
    value = to_plain(value)
    if isinstance(value, Tensor):
        return f"a tensor {list(value.shape)}"
    if isinstance(value, Mapping):
        tensors = sum(isinstance(inner, Tensor) for inner in value.values())
        return f"{len(value)} entries, {tensors} of them tensors" if value else "an empty mapping"
    if isinstance(value, list | tuple):
        return f"a list of {len(value)}"
    return type(value).__name__
