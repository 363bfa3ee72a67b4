import pytest
from support.checkpoints import SMALL, SMALL_V1, STATE, STATE_V1

from edge_convnext.core.errors import LoadError
from edge_convnext.networks.convnext.shapes import (
    expected_shapes,
    infer_architecture,
    shape_of,
)


@pytest.mark.parametrize(("state", "small"), [(STATE, SMALL), (STATE_V1, SMALL_V1)])
def test_depths_and_widths_are_read_off_the_shapes(state, small):
    shapes = {name: shape_of(value) for name, value in state.items()}
    found = infer_architecture(shapes, "w.pth")
    assert (found.version, found.depths, found.widths) == (
        small.version,
        small.depths,
        small.widths,
    )
    assert found.in_channels == small.in_channels
    assert expected_shapes(small) == shapes
    assert shape_of("text") == ()


def shapes_of(**changes):
    shapes = {name: tuple(value.shape) for name, value in STATE.items()}
    shapes.update({name.replace("__", "."): shape for name, shape in changes.items()})
    return {name: shape for name, shape in shapes.items() if shape is not None}


@pytest.mark.parametrize(
    ("shapes", "words"),
    [
        ({"stem.conv.weight": (4, 3, 4, 4)}, "neither GRN .* nor LayerScale"),
        (shapes_of(stages__0__blocks__0__layer_scale__gamma=(4,)), "both GRN .* and LayerScale"),
        (shapes_of(stages__0__blocks__99999__grn__gamma=(4,)), "100004 blocks by the largest"),
        (shapes_of(stem__conv__weight=(0, 3)), "is empty, .* zero_to_fp32"),
        (shapes_of(stem__conv__weight=None), "'stem.conv.weight' is missing"),
    ],
)
def test_shapes_of_no_network_are_refused(shapes, words):
    with pytest.raises(LoadError, match=words):
        infer_architecture(shapes, "w.pth")
