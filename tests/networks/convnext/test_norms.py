"""A norm that leaves its mean to the product behind it, and which norms do."""

import pytest
import torch
from torch import nn

from edge_convnext.networks.convnext.build import build_form, random_state
from edge_convnext.networks.convnext.fold import fold_state_dict
from edge_convnext.networks.convnext.norms import (
    CentredNorm,
    MomentsNorm,
    UncentredNorm,
    WrittenOutNorm,
    move_centring,
    settle_norms,
)
from edge_convnext.networks.convnext.sizes import Architecture

SMALL = Architecture("convnextv2_small", 2, (1, 1, 1, 1), (8, 8, 8, 12), 5)
IMAGES = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))


def drawn(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize(("kernel", "mean"), [(1, 0.0), (1, 3.0), (2, 0.0), (2, 3.0)])
def test_a_product_removes_the_mean_that_its_norm_left(kernel, mean):
    """Each position has a mean of its own, so a kernel's rows are centred one by one."""
    x = drawn(2, 16, 4, 4) + mean * drawn(2, 1, 4, 4)
    product = nn.Conv2d(16, 5, kernel, stride=kernel).double()
    expected = product(WrittenOutNorm(16, affine=False)(x.double()).double())
    move_centring(product)
    assert product.weight.sum(dim=1).abs().max() < 1e-12
    norm = UncentredNorm(16)
    found = product(norm(x).double())
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    norm.subtracts = True  # nothing changes for the product
    torch.testing.assert_close(product(norm(x).double()), expected, rtol=1e-4, atol=1e-5)


def test_an_uncentred_norm_divides_alone():
    x = drawn(1, 16, 3, 3) + 2.0
    y = UncentredNorm(16)(x)
    deviation = (x.var(dim=1, correction=0, keepdim=True) + 1e-6).sqrt()
    torch.testing.assert_close(y, x / deviation)


def far(deviations):
    """Folded weights whose first block's norm has an input of a large mean."""
    state = random_state(SMALL, 0)
    state["stem.norm.bias"].add_(deviations)
    state["stages.0.blocks.0.dwconv.weight"].mul_(1e-3).add_(1 / 49)
    return state


@pytest.mark.parametrize(
    ("deviations", "written_out", "subtracts"),
    [(0.1, False, False), (2.0, False, True), (60.0, True, True)],
)
def test_images_decide_what_a_norm_does_with_its_mean(deviations, written_out, subtracts):
    network = build_form(fold_state_dict(far(deviations), SMALL), SMALL, "conv_uncentred")
    settle_norms(network, IMAGES.split(1))
    norm = network.stages[0].blocks[0].norm
    assert (norm.written_out, norm.subtracts) == (written_out, subtracts)
    last = network.stages[3].blocks[0].norm
    assert not last.written_out
    assert not last.subtracts


def test_without_images_no_norm_is_settled():
    network = build_form(fold_state_dict(far(60), SMALL), SMALL, "conv_uncentred")
    settle_norms(network, ())
    norms = [one for one in network.modules() if isinstance(one, MomentsNorm)]
    assert not any(norm.written_out for norm in norms)


def test_only_the_moments_are_settled():
    network = build_form(fold_state_dict(far(60), SMALL), SMALL, "conv")
    settle_norms(network, IMAGES)
    kinds = {type(one) for one in network.modules() if isinstance(one, WrittenOutNorm)}
    assert kinds == {WrittenOutNorm}
    assert isinstance(CentredNorm(8, affine=True), WrittenOutNorm)


def test_the_form_is_exact_in_float64():
    state = random_state(SMALL, 0)
    raw = build_form(state, SMALL, "raw").double()
    network = build_form(fold_state_dict(state, SMALL), SMALL, "conv_uncentred")
    settle_norms(network, IMAGES.split(1))
    with torch.no_grad():
        expected, found = raw(IMAGES.double()), network(IMAGES)
    assert (found - expected).abs().max() <= 1e-5 * expected.abs().max()
