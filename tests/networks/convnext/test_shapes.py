import pytest
import torch
from support.checkpoints import SMALL, SMALL_V1, STATE, STATE_V1

from edge_convnext.core.errors import LoadError
from edge_convnext.networks.convnext.shapes import (
    check_stored,
    expected_shapes,
    infer_architecture,
    shape_of,
    to_float32,
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


def test_tensors_have_their_bytes_in_the_file():
    check_stored([torch.ones(4), "text", torch.ones(2)], "w.pth")
    with pytest.raises(LoadError, match="have 4000 bytes, of which 4 are stored"):
        check_stored([torch.ones(1).expand(1000)], "w.pth")
    shared = torch.ones(10)
    with pytest.raises(LoadError, match="every tensor cloned"):
        check_stored([shared, shared], "w.pth")


def test_a_tensor_becomes_float32_whatever_its_axes_of_length_1():
    made = to_float32(torch.ones(1, 1, 1, 4, dtype=torch.float16), (4,), "a")
    assert (made.dtype, made.shape) == (torch.float32, (4,))


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("text", "a is a str, not a tensor"),
        (torch.ones(4, dtype=torch.int32), "weights are dense floats"),
        (torch.ones(4).to_sparse(), "weights are dense floats"),
        (torch.ones(5), r"a has shape \[5\], not \[4\]"),
        (torch.tensor([1.0, float("nan"), float("inf"), 1.0]), "NaN or infinity in 2 of 4"),
    ],
)
def test_what_is_no_weight_is_refused(value, words):
    with pytest.raises(LoadError, match=words):
        to_float32(value, (4,), "a")
