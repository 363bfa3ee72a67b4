from dataclasses import replace

import pytest
import torch
from support.checkpoints import SMALL

from edge_convnext.core.errors import LoadError
from edge_convnext.networks.convnext.leftovers import (
    find_normalisation,
    is_bystander,
    is_pretraining,
    is_scale,
    may_be_layer,
)


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


def test_the_decoder_of_fcmae_is_known():
    for name in ("mask_token", "decoder.0.weight", "decoder_norm.bias", "proj.weight", "pred.bias"):
        assert is_pretraining(name)
    assert not is_pretraining("project.weight")


def test_means_and_deviations_are_named_so():
    assert is_scale("norm.mean")
    assert is_scale("pixel_std")
    assert not is_scale("norm.weight")


@pytest.mark.parametrize(
    ("shape", "may"),
    [((5, 3), True), ((5, 10), True), ((5, 7), False), ((10,), True), ((7,), False), ((), False),
     ((1, 3, 1, 1), True)],
)  # fmt: skip
def test_a_layer_fits_before_or_after_the_network(shape, may):
    assert may_be_layer(torch.zeros(shape), replace(SMALL, num_classes=3)) == may
    assert not may_be_layer("text", SMALL)


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
