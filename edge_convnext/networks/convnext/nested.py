"""Every ConvNeXt in a checkpoint, wherever in it and under whatever name it lies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from edge_convnext.networks.convnext.names import Network, find_networks, make_dense
from edge_convnext.networks.nested import (
    PlaceOrder,
    clean_names,
    heads_beside,
    is_averaged,
    place_order,
    visit_mappings,
)

__all__ = ["Candidate", "find_candidates"]


@dataclass(frozen=True)
class Candidate:
    """One network: where it lies, and the state dict that it is a part of."""

    keys: tuple[str, ...]  # on the way to the state dict, outermost first
    named: dict[str, Any]  # names cleaned of wrappers, sparse kernels made dense
    network: Network
    averaged: bool
    beside: dict[str, Any]  # tensors of small state dicts that lie beside this one
    others: tuple[str, ...]  # prefixes of other networks in the same state dict

    @property
    def where(self) -> str:
        """The way to it, for people: `model_ema`, or `state_dict/student`."""
        return "/".join((*self.keys, *filter(None, [self.network[1].rstrip(".")])))

    @property
    def order(self) -> PlaceOrder:
        """See `nested.place_order`."""
        return place_order(self.keys, self.network[1], self.averaged)


def find_candidates(content: object) -> list[Candidate]:
    """All networks of a checkpoint, best first."""
    found: list[Candidate] = []
    for keys, mapping, parent in visit_mappings(content):
        named = make_dense(clean_names(mapping))
        networks = [n for n in find_networks(named) if isinstance(_first(named, n), Tensor)]
        for network in networks:
            others = tuple(prefix for _, prefix in networks if prefix != network[1])
            averaged = is_averaged(keys, network[1], mapping, parent, content)
            beside = heads_beside(keys, parent)
            found.append(Candidate(keys, named, network, averaged, beside, others))
    return sorted(found, key=lambda one: one.order)


def _first(named: Mapping[str, Any], network: Network) -> Any:
    """The tensor by which the network was found."""
    return next((v for k, v in named.items() if (network in find_networks([k]))), None)
