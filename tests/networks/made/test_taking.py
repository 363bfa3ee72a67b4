"""Sizes of images that a network takes, told before anything is made of it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

pytest.importorskip("torch", reason="the build extra is not installed")

import torch
from support.toy_maker import NetMaker, shape_of_net
from torch import nn

from edge_convnext.core.errors import LoadError
from edge_convnext.networks.made.maker import NotSoError
from edge_convnext.networks.made.shape import MadeShape
from edge_convnext.networks.made.taking import require_size


class Windows(nn.Module):
    """Windows of 8 x 8 pixels, as a Swin without padding has them."""

    def __init__(self, classes, channels):
        super().__init__()
        self.head = nn.Linear(64 * channels, classes)

    def forward(self, images):
        n, c, h, w = images.shape
        if h % 8 or w % 8:
            raise ValueError(f"{h} and {w} are no multiples\nof 8")
        x = images.reshape(n, c, h // 8, 8, w // 8, 8).mean((2, 4))
        return self.head(x.flatten(1))


@dataclass(frozen=True)
class WindowMaker(NetMaker):
    def make(self, num_classes, in_channels, image_size=None, drop_path=0.0):
        return Windows(num_classes, in_channels)

    def resize(self, network, image_size):
        """Any."""


@dataclass(frozen=True)
class ReadsValues(WindowMaker):
    """A network that looks at its values, which no skeleton has."""

    def make(self, num_classes, in_channels, image_size=None, drop_path=0.0):
        network = Windows(num_classes, in_channels)
        network.register_forward_hook(lambda one, _, out: out * float(one.head.bias.sum() > 9))
        return network


@dataclass(frozen=True)
class OneSize(WindowMaker):
    def resize(self, network, image_size):
        raise NotSoError("it has one size")


def shape_of(maker):
    return MadeShape("toy_made", "toy_made:net", 5, 3, maker)


@pytest.mark.parametrize("maker", [WindowMaker(), ReadsValues()])
@pytest.mark.parametrize("shapes", [None, {"head.weight": (5, 192)}])
def test_a_size_that_is_taken_passes_and_another_is_told_with_one_that_is(maker, shapes):
    for size in (32, 224, (64, 96), (40, 8)):
        require_size(shape_of(maker), size, shapes)
    for size, better in ((100, "128"), ((64, 100), "64,128"), ((33, 40), "64")):
        with pytest.raises(LoadError) as told:
            require_size(shape_of(maker), size, shapes)
        assert str(told.value).startswith("toy_made:net: takes no images of ")
        assert "are no multiples of 8); pass" in str(told.value)
        assert str(told.value).endswith(f"; pass --image-size with {better}, which it takes")


def test_a_network_of_one_size_is_told_with_that(monkeypatch):
    shape, shapes = shape_of(OneSize(size=48)), {"head.weight": (5, 192)}
    require_size(shape, 48, shapes)
    with pytest.raises(LoadError, match=r"\(it has one size\); pass --image-size with 48, which"):
        require_size(shape, 64, shapes)
    require_size(shape, 64)  # made anew


def test_positions_on_disk_have_a_size_of_their_own():
    shape = shape_of_net()
    at_16 = {name: tuple(one.shape) for name, one in
             shape.maker.make(5, 3, 16).state_dict().items()}  # fmt: skip
    at_32 = {name: tuple(one.shape) for name, one in shape.maker.make(5, 3).state_dict().items()}
    require_size(shape, 16, at_16)
    require_size(shape, 32, at_32)
    require_size(shape, 64)
    with pytest.raises(LoadError, match=r"takes no images of 64 px \(not to 64 px\)"):
        require_size(shape, 64, at_32)
    assert torch.is_grad_enabled()


def test_where_nothing_else_is_taken_no_size_is_promised():
    maker = replace(OneSize(), size=36)
    with pytest.raises(LoadError, match=r"with the size that it was trained at$"):
        require_size(shape_of(maker), 40, {"head.weight": (5, 192)})
