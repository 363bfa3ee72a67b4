import pytest

pytest.importorskip("torch", reason="the build extra is not installed")

import torch
from torch import nn

from edge_convnext.networks.generic import ModuleShape
from edge_convnext.networks.module_state import (
    count_macs,
    count_params,
    describe_state,
    draw_state,
    find_first,
    find_head,
)


class Computing(nn.Module):
    """It needs values while it is made."""

    def __init__(self):
        super().__init__()
        self.rate = torch.linspace(0, 1, 3)[1].item()
        self.conv = nn.Conv2d(3, 4, 1)


class TwoHeads(ModuleShape):
    family = "none"

    def make(self, drop_path=0.0, image_size=224):
        heads = {
            "features": nn.Conv2d(self.in_channels, 5, 1),
            "one": nn.Conv2d(5, self.num_classes, 1),
            "two": nn.Linear(5, self.num_classes, bias=False),
        }
        return nn.ModuleDict(heads)


@pytest.mark.parametrize("make", [Computing, lambda: nn.Conv2d(3, 4, 1)])
def test_a_state_is_described_without_values(make):
    found = describe_state(make)
    assert [list(one.shape) for one in found.values()] == [[4, 3, 1, 1], [4]]
    assert {one.device.type for one in found.values()} == {"meta"}
    assert count_params(make) == 16


def test_the_first_convolution_reads_the_channels():
    shapes = {"pos": (1, 3, 8), "a": (4, 1, 3, 3), "b": (4, 3, 1, 1)}
    state = {name: torch.zeros(shape) for name, shape in shapes.items()}
    assert find_first(state, 3) == "b"
    assert find_first(state, 2) is None


def test_heads_are_the_tensors_that_go_with_the_classes():
    shape = TwoHeads("x", 5)  # as many classes as features
    found = find_head(
        lambda name, classes, channels: TwoHeads(name, classes, channels),
        lambda one: describe_state(one.make),
        shape,
    )
    assert found == {"one.weight": 0, "one.bias": 0, "two.weight": 0}
    assert find_head(lambda *_: None, lambda one: {}, shape) == {}


def test_multiply_accumulates_include_those_of_two_activations():
    class Attention(nn.Module):
        def __init__(self):
            super().__init__()
            self.qkv = nn.Conv2d(3, 4, 1)

        def forward(self, x):
            x = self.qkv(x).flatten(2)  # [1, 4, 16]
            return x @ x.transpose(1, 2)

    assert count_macs(Attention, 3, 4) == 16 * 12 + 4 * 4 * 16


def test_a_draw_is_of_its_seed_and_leaves_no_identity():
    def make():
        return nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))

    torch.manual_seed(9)
    before = torch.random.get_rng_state()
    state, again, other = draw_state(make, 1), draw_state(make, 1), draw_state(make, 2)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert all(torch.equal(one, again[name]) for name, one in state.items())
    assert not torch.equal(state["0.weight"], other["0.weight"])
    assert not (state["1.weight"] == 1).any()
    assert (state["1.running_mean"] != 0).all()
    assert (state["1.running_var"] > 1).all()
    assert state["1.num_batches_tracked"] == 0
