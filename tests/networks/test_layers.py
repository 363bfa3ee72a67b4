import pytest

pytest.importorskip("torch", reason="the build extra is not installed")

import torch
from torch import nn

from edge_convnext.networks.layers import ChannelNorm, DropPath, start_narrow


def test_a_norm_over_channels_is_that_of_torch_over_the_last_axis():
    norm = ChannelNorm(6)
    with torch.no_grad():
        norm.weight.uniform_(0.5, 2)
        norm.bias.normal_()
    x = 3 + torch.randn(2, 6, 4, 5)
    last = x.permute(0, 2, 3, 1)
    expected = nn.functional.layer_norm(last, (6,), norm.weight, norm.bias, 1e-6)
    torch.testing.assert_close(norm(x), expected.permute(0, 3, 1, 2))


def test_a_dropped_branch_keeps_its_mean_and_is_whole_outside_of_training():
    drop, x = DropPath(0.25), torch.ones(4000, 2, 1, 1)
    torch.manual_seed(0)
    found = drop(x)
    assert found.unique().tolist() == pytest.approx([0.0, 4 / 3])
    assert torch.equal(found[:, 0], found[:, 1])  # of an image, all or nothing
    assert found.mean() == pytest.approx(1.0, abs=0.03)
    assert torch.equal(drop.eval()(x), x)
    assert torch.equal(DropPath(0.0)(x), x)


def test_kernels_start_narrow_and_biases_at_zero():
    network = nn.Sequential(nn.Conv2d(8, 64, 5), nn.BatchNorm2d(64))
    start_narrow(network)
    assert network[0].weight.std().item() == pytest.approx(0.02, rel=0.1)
    assert not network[0].bias.any()
    assert (network[1].weight == 1).all()
