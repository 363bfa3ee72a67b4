import pytest

pytest.importorskip("torch", reason="the build extra is not installed")

import torch
from torch import nn

from edge_convnext.networks.made.branch_ends import find_branch_ends


def add_in_place(norm, x):
    y = norm(x)
    y += x
    return y


@pytest.mark.parametrize(
    "add",
    [
        lambda norm, x: norm(x) + x,
        lambda norm, x: x + norm(x),
        lambda norm, x: torch.add(norm(x), x),
        lambda norm, x: norm(x).add_(x),
        add_in_place,
    ],
)
def test_a_norm_whose_output_is_added_ends_a_branch(add):
    assert ends_of(add) == ["first"]


@pytest.mark.parametrize(
    "forward",
    [
        lambda norm, x: torch.relu(norm(x)) + x,  # another layer's output
        lambda norm, x: norm(x) * x,
        lambda norm, x: norm(x) + norm(x + 1),  # a projected shortcut has a norm too
    ],
)
def test_other_norms_do_not(forward):
    assert ends_of(forward) == []


def test_a_projected_shortcut_names_neither_norm():
    class Projected(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner, self.shortcut = nn.BatchNorm2d(3), nn.BatchNorm2d(3)

        def forward(self, x):
            return self.inner(x) + self.shortcut(x)

    network = Projected()
    images = torch.zeros(1, 3, 4, 4)
    assert find_branch_ends(network, [network.inner, network.shortcut], images) == []
    assert find_branch_ends(network, [network.inner], images) == [network.inner]


def test_the_network_keeps_its_statistics_and_no_hook():
    network = Branch(lambda norm, x: norm(x) + x).train()
    find_branch_ends(network, [network.first], torch.randn(2, 3, 4, 4))
    assert torch.equal(network.first.running_mean, torch.zeros(3))
    assert not network.first._forward_hooks


class Branch(nn.Module):
    def __init__(self, add):
        super().__init__()
        self.first, self.last, self.add = nn.BatchNorm2d(3), nn.BatchNorm2d(3), add

    def forward(self, images):
        return self.last(self.add(self.first, images))


def ends_of(add):
    network = Branch(add)
    names = {module: name for name, module in network.named_modules()}
    ends = find_branch_ends(network, [network.first, network.last], torch.randn(1, 3, 4, 4))
    return [names[norm] for norm in ends]
