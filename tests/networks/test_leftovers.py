import pytest
import torch

from edge_convnext.core.errors import LoadError
from edge_convnext.networks.leftovers import find_normalisation, is_bystander, is_scale


@pytest.mark.parametrize(
    ("name", "value", "stands_by"),
    [
        ("criterion.weight", torch.ones(3), True),
        ("val_acc.total", torch.ones(()), True),
        ("train_whatever", torch.ones(3), True),
        ("num_batches_tracked", torch.tensor(3), True),
        ("steps", 3, True),
        ("fc.weight", torch.ones(3, 4), False),
        ("train_head.weight", torch.ones(3, 4), False),
        ("lossless.weight", torch.ones(3), False),
    ],
)
def test_losses_metrics_and_counters_stand_by(name, value, stands_by):
    assert is_bystander(name, value) == stands_by


def test_means_and_deviations_are_named_so():
    assert is_scale("norm.mean")
    assert is_scale("pixel_std")
    assert not is_scale("norm.weight")


def test_a_normalisation_that_was_saved_is_read():
    left = {"norm.mean": torch.tensor([0.1, 0.2, 0.3]).reshape(3, 1, 1), "norm.std": torch.ones(3)}
    found = find_normalisation(left, 3, "w.pth")
    assert found.names == ("norm.mean", "norm.std")
    assert found.mean == pytest.approx((0.1, 0.2, 0.3))
    assert found.std == (1.0, 1.0, 1.0)
    assert find_normalisation({"bn.mean": torch.ones(7)}, 3, "w.pth") is None
    assert find_normalisation(left, 1, "w.pth") is None


def test_half_a_normalisation_and_several_are_refused():
    half = {"std": torch.ones(3)}
    with pytest.raises(LoadError, match="but 'mean' is not next to it"):
        find_normalisation(half, 3, "w.pth")
    two = {f"{a}.{b}": torch.full((3,), v) for a, v in (("x", 1.0), ("y", 2.0))
           for b in ("mean", "std")}  # fmt: skip
    with pytest.raises(LoadError, match=r"several normalisations .*'x\.mean', 'y\.mean'"):
        find_normalisation(two, 3, "w.pth")
