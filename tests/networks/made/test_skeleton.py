import pytest

pytest.importorskip("torch", reason="the build extra is not installed")

import torch
from support.toy_maker import NetMaker

from edge_convnext.networks.made.skeleton import make_skeleton, make_unfilled, run_once


class Reads(NetMaker):
    """A network that looks at a value while it is made, which has to be there then."""

    def make(self, *args, **kwargs):
        made = super().make(*args, **kwargs)
        made.seen = float(torch.ones(3).sum())
        return made


class Rejects(NetMaker):
    """A network that draws again what lies outside of bounds, as `nn.init.trunc_normal_` does."""

    def make(self, *args, **kwargs):
        made = super().make(*args, **kwargs)
        drawn = torch.full((4,), 9.0)
        for _ in range(100):
            if bool((drawn.normal_().abs() < 2).all()):
                return made
        raise AssertionError("a draw left the values as they were")


def test_what_is_drawn_until_it_lies_within_bounds_ends():
    assert make_unfilled(Rejects(), 5, 3).training is False


def test_a_skeleton_takes_no_memory_if_the_network_lets_it():
    assert {one.device.type for one in make_skeleton(NetMaker(), 5, 3).parameters()} == {"meta"}
    made = make_skeleton(Reads(), 5, 3)
    assert made.seen == 3.0
    assert {one.device.type for one in made.parameters()} == {"cpu"}


def test_what_a_network_computes_itself_is_there_and_no_number_is_taken_from_the_caller():
    torch.manual_seed(0)
    before = torch.random.get_rng_state()
    made = make_unfilled(NetMaker(), 5, 3)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.equal(made.index, torch.arange(8))
    assert torch.equal(made.scale, torch.full((8,), 0.5))
    assert not made.training


@pytest.mark.parametrize("maker", [NetMaker(), Reads()])
def test_it_runs_once_on_two_images(maker):
    assert run_once(maker, 5, 1, None).shape == (2, 5)
    assert run_once(maker, 5, 1, 64).shape == (2, 5)
