"""Groups of products, as a plan names them: `gate`, `depthwise@0`, or `linear` of every stage.

Which products are in a group is read off a graph (`graph.product_groups`), so that a recipe holds
for any export of a network.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Final

from pydantic import AfterValidator

__all__ = ["ENDS", "KINDS", "MOST_GROUPS", "GroupName", "Regrouping"]

KINDS: Final = ("conv", "pointwise", "depthwise", "grouped", "linear", "attention")
ENDS: Final = ("first", "last", "gate")  # groups of their own, whatever their kind
MOST_GROUPS = 12  # that a plan may name: they are part of its graph's file name
_NAME = re.compile(rf"({'|'.join((*KINDS, *ENDS))})(@\d{{1,2}})?")


def _check_group(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError(
            f"a group (float_groups, int8_groups) is {', '.join((*KINDS, *ENDS[:-1]))} or "
            f"{ENDS[-1]}, and may end in the number of a stage, as `depthwise@0` does"
        )
    return name


GroupName = Annotated[str, AfterValidator(_check_group)]


@dataclass(frozen=True)
class Regrouping:
    """What a plan changes of its placement."""

    float_groups: tuple[str, ...] = ()  # stay float, whatever the placement says
    int8_groups: tuple[str, ...] = ()  # are quantized, whatever the placement says

    def __bool__(self) -> bool:
        return bool(self.float_groups or self.int8_groups)
