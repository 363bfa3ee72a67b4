import pytest

pytest.importorskip("torch", reason="the build extra is not installed")

import torch
from support.toy_maker import NetMaker
from torch import nn

from edge_convnext.networks.made.drawing import draw_state


def test_no_scale_statistic_or_bias_is_an_identity():
    state = draw_state(NetMaker(), 5, 3, 0)
    assert state["norm.running_mean"].abs().min() > 0
    assert (state["norm.running_var"] - 1).abs().min() > 1e-3
    assert (state["norm.weight"] - 1).abs().min() > 0
    assert state["positions"].std() > 0  # they start at zero
    assert torch.equal(state["index"], torch.arange(8))  # no weight
    assert state["norm.num_batches_tracked"] == 1


def test_statistics_are_those_of_noise_at_their_place():
    """A norm after ten times the weights has a hundred times the variance."""

    class Large(NetMaker):
        def make(self, *args, **kwargs):
            made = super().make(*args, **kwargs)
            made.stem.weight.data.mul_(10)
            return made

    one, other = (draw_state(maker(), 5, 3, 0)["norm.running_var"] for maker in (NetMaker, Large))
    ratio = (other / one).log10()
    assert ratio.min() > 1.8
    assert ratio.max() < 2.2


def test_a_channel_that_hardly_moves_is_not_divided_by_next_to_nothing():
    class Dead(NetMaker):
        def make(self, *args, **kwargs):
            made = super().make(*args, **kwargs)
            made.stem.weight.data[0].mul_(1e-4)
            return made

    variance = draw_state(Dead(), 5, 3, 0)["norm.running_var"]
    assert variance[0] > 0.05 * variance.mean()


def test_a_seed_says_all():
    one, same, other = (draw_state(NetMaker(), 5, 3, seed) for seed in (1, 1, 2))
    assert all(torch.equal(tensor, same[name]) for name, tensor in one.items())
    assert not torch.equal(one["stem.weight"], other["stem.weight"])
    statistics = one["norm.running_var"]
    assert torch.equal(statistics, statistics.bfloat16().float())  # equal on every machine


def test_the_norm_that_ends_a_residual_branch_is_small():
    class Residual(NetMaker):
        def make(self, *args, **kwargs):
            made = super().make(*args, **kwargs)
            made.stem = Stem(made.stem)
            return made

    state = draw_state(Residual(), 5, 3, 0)
    assert 0.2 < state["stem.end.weight"].mean() < 0.4
    assert 0.9 < state["norm.weight"].mean() < 1.1


class Stem(nn.Module):
    def __init__(self, stem):
        super().__init__()
        self.stem, self.end = stem, nn.BatchNorm2d(8)

    def forward(self, images):
        x = self.stem(images)
        return x + self.end(x)
