"""Norms of every form hold their epsilon: on values as small as it, it decides."""

import pytest
import torch

from edge_convnext.networks.convnext import forms, norms
from edge_convnext.networks.convnext.modules import EPS, ChannelLayerNorm, LayerNorm

SMALL = 1e-3  # deviation: its square is EPS


def values(mean=0.0):
    generator = torch.Generator().manual_seed(0)
    drawn = torch.randn(2, 16, 3, 3, generator=generator)
    centred = drawn - drawn.mean(dim=1, keepdim=True)
    return SMALL * centred + mean


def expected(x):
    """Over the channels of [N, C, H, W], in float64."""
    wide = x.double()
    centred = wide - wide.mean(dim=1, keepdim=True)
    return centred / (centred.square().mean(dim=1, keepdim=True) + EPS).sqrt()


@pytest.mark.parametrize(
    ("name", "mean"),
    [("WrittenOutNorm", 0.0), ("WrittenOutNorm", 1.0), ("MomentsNorm", 0.0), ("CentredNorm", 0.0)],
)
def test_a_norm_that_is_written_out_has_its_epsilon(name, mean):
    assert EPS == 1e-6
    x = values(mean)
    found = getattr(norms, name)(16, affine=False)(x)
    torch.testing.assert_close(found.double(), expected(x), rtol=2e-3, atol=2e-4)
    without = (x.double() - x.double().mean(1, keepdim=True)) / x.double().std(
        1, False, keepdim=True
    )
    assert (without - expected(x)).abs().max() > 0.3


@pytest.mark.parametrize("make", [ChannelLayerNorm, LayerNorm])
def test_a_layer_norm_has_its_epsilon(make):
    x = values()
    given = x if make is ChannelLayerNorm else x.permute(0, 2, 3, 1)
    found = make(16, affine=False)(given)
    found = found if make is ChannelLayerNorm else found.permute(0, 3, 1, 2)
    torch.testing.assert_close(found.double(), expected(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "name", ["ScaleNHWC", "ProductScaleNHWC", "ScaleNCHW", "AveragedScaleNCHW"]
)
def test_a_grn_has_its_epsilon(name):
    """On values whose norm over positions is about EPS, half of the factor is left."""
    x = values().abs() * 1e-3
    layer = getattr(forms, name)(16)
    layer.gamma.data.fill_(1.0)
    nchw = name.endswith("NCHW")
    found = layer(x if nchw else x.permute(0, 2, 3, 1))
    norm = x.double().square().sum(dim=(2, 3), keepdim=True).sqrt()
    factor = norm / (norm.mean(dim=1, keepdim=True) + EPS) + 1.0
    result = found if nchw else found.permute(0, 3, 1, 2)
    torch.testing.assert_close(result.double(), x.double() * factor, rtol=1e-4, atol=1e-12)
    assert (norm / norm.mean(dim=1, keepdim=True) + 1.0 - factor).abs().max() > 0.1
