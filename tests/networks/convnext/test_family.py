import pytest
from support.checkpoints import SMALL, STATE

from edge_convnext.networks.convnext.family import FAMILY
from edge_convnext.networks.convnext.parts import PARTS
from edge_convnext.networks.convnext.sizes import find_architecture
from edge_convnext.networks.family import families, family_of


def test_the_table_has_it_and_finds_it_by_its_networks():
    assert FAMILY in families()
    for network in (SMALL, find_architecture("atto", 3)):
        assert family_of(network) is FAMILY


def test_weights_are_folded_where_the_norm_of_the_head_is_gone():
    assert not FAMILY.is_folded(frozenset(STATE))
    assert FAMILY.is_folded(frozenset(STATE) - {"head.norm.weight"})


@pytest.mark.parametrize("placement", FAMILY.gpu_placements)
def test_placements_for_gpus_are_inside_blocks(placement):
    assert placement.endswith("blocks")


def test_its_parts_are_those_of_its_graphs():
    assert FAMILY.parts is PARTS
