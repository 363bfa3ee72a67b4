import pytest

pytest.importorskip("torch", reason="the build extra is not installed")

import torch

from edge_convnext.core.errors import LoadError
from edge_convnext.networks.stored import check_stored, to_float32


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
