import pytest

pytest.importorskip("torch", reason="the build extra is not installed")

from support.toy_maker import NetMaker, shape_of_net

from edge_convnext.networks.made.shape import MadeShape


def test_equal_makers_make_equal_shapes_that_can_be_keys():
    assert shape_of_net() == shape_of_net()
    assert hash(shape_of_net()) == hash(shape_of_net())
    assert shape_of_net() != shape_of_net(heads=2)


def test_a_shape_counts_what_its_maker_makes():
    shape = MadeShape("toy_made", "toy_made:net", 5, 1, NetMaker())
    weights = 1 * 8 * 16 + 2 * 8 + 65 * 8 + 2 * (64 + 8) + 5 * 8 + 5
    assert shape.count_params() == weights  # and no buffer
    assert shape.count_macs(32) == 64 * 16 * 8 + 2 * 64 * 64 + 5 * 8
