import pytest

pytest.importorskip("torch", reason="the build extra is not installed")

from support.toy_maker import NetMaker, shape_of_net

from edge_convnext.networks.made.maker import NotSoError


def test_equal_makers_are_one_key():
    assert len({NetMaker(), NetMaker(), NetMaker(heads=2)}) == 2
    assert shape_of_net().maker == NetMaker()


def test_what_is_not_so_says_why():
    with pytest.raises(NotSoError, match="three channels alone"):
        NetMaker(fixed=True).make(5, 4)
