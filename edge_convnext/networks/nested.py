"""State dicts in a checkpoint, wherever in it and under whatever name they lie."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor

from edge_convnext.core.standins import to_plain

__all__ = [
    "PlaceOrder", "clean_names", "find_nameless", "heads_beside", "is_averaged", "iter_tensors",
    "list_content",
    "place_order", "visit_mappings",
]  # fmt: skip

PlaceOrder = tuple[bool, bool, tuple[int, ...]]

_MOST_DEPTH = 8  # of a checkpoint around its state dict
_MOST_VISITS = 20_000
_MOST_ITEMS = 64  # of a list of state dicts
_LEAST_TENSORS = 8  # of a list of averaged weights
_MOST_PARTS = 16  # tensors of a head that lies beside its backbone

# Where a state dict lies, best first, where a checkpoint has several.
_WRAPPERS = (
    "model_ema", "state_dict_ema", "ema_state_dict", "ema", "swa_model", "model", "module",
    "state_dict", "model_state_dict", "model_state", "net", "network", "weights", "model_weights",
    "params", "backbone", "encoder",
)  # fmt: skip
_AVERAGED = re.compile(
    r"(?:ema|swa|average|averaged|averaging|avg|moving|shadow|polyak)", re.IGNORECASE
)
_WORDS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+|\d+")

# What wrappers put between any two names: torch.compile, activation checkpointing, FSDP (torch's
# and fairscale's), Lightning's Fabric, Opacus, (Distributed)DataParallel and AveragedModel.
_INFIXES = re.compile(
    r"(?:(?<=\.)|\A)(?:_orig_mod|_checkpoint_wrapped_module|_fsdp_wrapped_module|_fpw_module"
    r"|_forward_module|_ddp_module|_module)\."
)
_MODULE = re.compile(r"(?:(?<=\.)|\A)module\.")


def clean_names(content: Mapping[Any, Any]) -> dict[str, Any]:
    """Remove the parts that wrappers insert into names."""
    bare = {_INFIXES.sub("", str(name)): value for name, value in content.items()}
    cleaned = {_MODULE.sub("", name): value for name, value in bare.items()}
    return cleaned if len(cleaned) == len(bare) else bare  # fewer: a wrapped copy of a network


def visit_mappings(
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
    for _, mapping, _ in visit_mappings(content):
        yield from (str(name) for name, value in mapping.items() if isinstance(value, Tensor))


def list_content(content: object) -> list[str]:
    """Describe a checkpoint without a ConvNeXt: each key with a summary of its value."""
    plain = to_plain(content)
    if not isinstance(plain, Mapping):
        return []
    return [f"{key}: {_describe(value)}" for key, value in plain.items()]


def is_averaged(
    keys: tuple[str, ...],
    prefix: str,
    mapping: Mapping[Any, Any],
    parent: Mapping[Any, Any],
    content: object,
) -> bool:
    """Whether the weights at a place are averages (EMA, SWA).

    Args:
        keys: Keys on the way to the state dict.
        prefix: Beginning of the network's names there.
        mapping: The state dict.
        parent: The mapping around it.
        content: The whole checkpoint.
    """
    if _is_swapped(content):
        # mmengine's EMAHook and Lightning's WeightAveraging save the average where the weights
        # usually lie, and the raw weights in the other place.
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


def place_order(keys: tuple[str, ...], prefix: str, averaged: bool) -> PlaceOrder:
    """Averaged before raw, the best before the last, usual names before others.

    Args:
        keys: Keys on the way to a state dict.
        prefix: Beginning of the network's names there.
        averaged: True if its weights are averages.
    """
    steps = (*keys, *prefix.split(".")[:-1])
    best = any("best" in _words(step) for step in steps)
    return not averaged, not best, tuple(_usual(step) for step in steps)


def heads_beside(keys: tuple[str, ...], parent: Mapping[Any, Any]) -> dict[str, Any]:
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
