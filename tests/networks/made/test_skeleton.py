import pytest

pytest.importorskip("torch", reason="the build extra is not installed")

import torch
from support.toy_maker import NetMaker
from torch import nn

from edge_convnext.networks.made.skeleton import (
    find_first_convolution,
    make_skeleton,
    make_unfilled,
    run_once,
)


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


class Stems(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.late, self.kind = nn.Conv2d(8, 8, 1), kind
        self.stem = nn.Conv2d(3, 9, 3, groups=3) if kind == "grouped" else nn.Conv2d(3, 8, 3)
        self.beside = nn.Conv2d(3, 8, 3)

    def forward(self, images):
        if self.kind == "broken":
            raise RuntimeError("as users' code may")
        maps = self.stem(images / 2 if self.kind == "scaled" else images)
        if self.kind == "two":
            maps = maps + self.beside(images)
        maps = self.late(maps[:, :8])
        return maps.mean((2, 3))


@pytest.mark.parametrize(
    ("kind", "found"),
    [
        ("plain", "stem.weight"),
        ("scaled", None),
        ("two", None),
        ("grouped", None),
        ("broken", None),
    ],
)
def test_the_convolution_that_reads_the_images_is_found_by_running(kind, found):
    class Maker(NetMaker):
        def make(self, *args, **kwargs):
            return Stems(kind)

    assert find_first_convolution(Maker(), 8, 3) == found


def test_a_network_that_is_a_convolution_reads_them_itself():
    class Maker(NetMaker):
        def make(self, *args, **kwargs):
            return nn.Conv2d(3, 8, 3)

    assert find_first_convolution(Maker(), 8, 3) == "weight"
