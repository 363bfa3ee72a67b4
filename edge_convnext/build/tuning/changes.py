"""Changes of a plan by role and stage: one group of products goes to float, or to INT8."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from edge_convnext.core.product_groups import MOST_GROUPS
from edge_convnext.graph.placements import find_placement, regroup
from edge_convnext.graph.placer import placeable
from edge_convnext.graph.product_groups import list_groups
from edge_convnext.graph.roles import describe

if TYPE_CHECKING:
    from onnx import ModelProto

    from edge_convnext.graph.roles import Roles
    from edge_convnext.networks.plans import Plan

__all__ = ["Change", "list_changes"]

_To = Literal["float", "int8"]


@dataclass(frozen=True)
class Change:
    """A plan in which one group of products changed its type."""

    group: str
    to: _To
    share_pct: float  # of the multiply-accumulates, that the group has
    plan: Plan

    @property
    def words(self) -> str:
        """Words such as `depthwise@0 in float (12 % of the work)`."""
        kind = "float" if self.to == "float" else "INT8"
        return f"{self.group} in {kind} ({self.share_pct:.0f} % of the work)"


def list_changes(proto: ModelProto, plan: Plan) -> list[Change]:
    """Every change that leaves something in INT8; those of most multiply-accumulates come first.

    Args:
        proto: Float graph, as the quantizer gets it.
        plan: The plan to change.
    """
    roles = describe(proto)
    able = _find_able(proto, roles, plan)
    total = max(1, sum(one.macs for one in roles.products))
    found = []
    for group, products in list_groups(roles).items():
        share_pct = 100.0 * sum(one.macs for one in products) / total
        own = able & {one.name for one in products}
        for to in ("float", "int8"):
            changed = _change(proto, roles, plan, group, own, to)
            if changed is not None:
                found.append(Change(group, to, share_pct, changed))
    return found


def _change(
    proto: ModelProto, roles: Roles, plan: Plan, group: str, own: frozenset[str], to: _To
) -> Plan | None:
    """The plan with one group in another type; None where it is so already, or can't be."""
    wanted = own if to == "int8" else frozenset[str]()
    before = _quantized(proto, roles, plan)
    if before & own == wanted or before - own | wanted == frozenset():
        return None
    floats = tuple(name for name in plan.float_groups if name != group)
    int8 = tuple(name for name in plan.int8_groups if name != group)
    without = replace(plan, float_groups=floats, int8_groups=int8)
    if _quantized(proto, roles, without) & own == wanted:  # the placement says so itself
        return without
    if len(floats) + len(int8) >= MOST_GROUPS:
        return None
    if to == "float":
        return replace(without, float_groups=tuple(sorted((*floats, group))))
    return replace(without, int8_groups=tuple(sorted((*int8, group))))


def _quantized(proto: ModelProto, roles: Roles, plan: Plan) -> frozenset[str]:
    placement = regroup(find_placement(plan.placement or ""), plan.groups, roles)
    return placeable(proto, roles, placement)


def _find_able(proto: ModelProto, roles: Roles, plan: Plan) -> frozenset[str]:
    """Products that can be quantized at all."""
    everything = replace(
        find_placement(plan.placement or ""),
        float_kinds=frozenset(),
        float_start=0.0,
        last_stages=None,
    )
    return placeable(proto, roles, everything)
