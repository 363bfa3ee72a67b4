"""The contract itself: `mypy` holds each family to it; `test_family` asks the table."""

from typing import get_args

import pytest
from support import open_family, toy_family

from edge_convnext.networks.family import FAMILIES, find_family
from edge_convnext.networks.protocol import NetworkFamily, Placer


def members():
    return {name for name in vars(NetworkFamily) if not name.startswith("_")}


@pytest.mark.parametrize("name", [*FAMILIES, "toy", "open"])
def test_a_family_has_every_member(name):
    ours = {"toy": toy_family.FAMILY, "open": open_family.FAMILY}
    family = ours[name] if name in ours else find_family(name)
    assert {one for one in members() if not hasattr(family, one)} == set()
    assert family.placer in get_args(Placer)
    assert bool(family.models) != bool(family.how_to_name)
