import pytest

pytest.importorskip("torch", reason="the build extra is not installed")

from support.toy_maker import NetMaker

from edge_convnext.networks.made.outline import outline_of
from edge_convnext.networks.made.sizes import fitting_size


@pytest.mark.parametrize(("size", "found"), [(32, None), (64, 64), (224, 224), (40, 40)])
def test_the_size_is_read_off_the_positions(size, found):
    shapes = outline_of(NetMaker(), 5, 3, size).shapes
    assert fitting_size(NetMaker(), 5, 3, shapes) == found


def test_what_differs_otherwise_has_no_size():
    shapes = {**outline_of(NetMaker(), 5, 3).shapes, "mix.weight": (9, 8)}
    assert fitting_size(NetMaker(), 5, 3, shapes) is None
