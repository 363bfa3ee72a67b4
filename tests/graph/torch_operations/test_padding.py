import pytest
import torch

from edge_convnext.graph.torch_operations.padding import pad_same, split_pads


@pytest.mark.parametrize(
    ("pads", "same", "rest"),
    [
        (None, [], []),
        ([1, 2, 1, 2], [1, 2], []),
        ([0, 1, 2, 3], [], [1, 3, 0, 2]),  # torch pads the last axis first
    ],
)
def test_equal_ends_are_the_convolutions_own(pads, same, rest):
    assert split_pads({} if pads is None else {"pads": pads}) == (same, rest)


def test_an_odd_number_of_missing_positions_goes_to_one_end():
    x = torch.ones(1, 1, 4, 5)
    upper = pad_same(x, {"auto_pad": b"SAME_UPPER", "strides": [2, 1]}, [3, 2], 7.0)
    lower = pad_same(x, {"auto_pad": b"SAME_LOWER", "strides": [2, 1]}, [3, 2], 7.0)
    assert upper.shape == lower.shape == (1, 1, 5, 6)
    assert (upper[0, 0, -1] == 7).all()
    assert (upper[0, 0, :, -1] == 7).all()
    assert (lower[0, 0, 0] == 7).all()
    assert (lower[0, 0, :, 0] == 7).all()
    assert pad_same(x, {}, [3, 3]) is x
