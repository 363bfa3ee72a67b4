import pytest

pytest.importorskip("torch", reason="the build extra is not installed")

from support.toy_maker import NetMaker

from edge_convnext.networks.made.counting import count_macs, count_params
from edge_convnext.networks.made.maker import NotSoError


def test_a_shared_tensor_counts_once():
    assert count_params(NetMaker(), 5, 3) - count_params(NetMaker(tied=True), 5, 3) == 64


def test_products_are_counted_for_one_image_of_the_size_that_is_asked_for():
    small, large = (count_macs(NetMaker(), 5, 3, size) for size in (32, 64))
    assert large - 40 == 4 * (small - 40)  # all but the classifier goes with the pixels


def test_a_size_that_the_network_cannot_take_is_told():
    with pytest.raises(NotSoError, match="can't be run on 2 x 2 pixels"):
        count_macs(NetMaker(), 5, 3, 2)
