"""Groups of products by role and stage: what a plan leaves float, or quantizes, beyond a placement.

Each product is in one group alone: `first`, `last`, `gate`, or else its kind and its stage, such as
`depthwise@0`. No names are read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge_convnext.graph.roles import Product, Roles

__all__ = ["group_of", "is_in_group", "list_groups"]


def group_of(product: Product) -> str:
    """The group of a product. Of a product with several roles, the first that is listed counts."""
    if product.first or product.last or product.gate:
        return _place(product)
    return f"{_place(product)}@{product.stage}"


def is_in_group(product: Product, name: str) -> bool:
    """Whether a name means a product: its place, at its stage or without one."""
    place, _, stage = name.partition("@")
    return place == _place(product) and stage in ("", str(product.stage))


def list_groups(roles: Roles) -> Mapping[str, tuple[Product, ...]]:
    """Products by group; the groups with most multiply-accumulates come first."""
    groups: dict[str, list[Product]] = {}
    for product in roles.products:
        groups.setdefault(group_of(product), []).append(product)
    order = sorted(groups, key=lambda name: -sum(one.macs for one in groups[name]))
    return {name: tuple(groups[name]) for name in order}


def _place(product: Product) -> str:
    if product.first:
        return "first"
    if product.last:
        return "last"
    return "gate" if product.gate else product.kind
