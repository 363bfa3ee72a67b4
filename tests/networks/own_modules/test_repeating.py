from dataclasses import dataclass

import pytest

pytest.importorskip("torch", reason="the build extra is not installed")

import torch
from support.toy_maker import NetMaker
from torch import nn

from edge_convnext.core.errors import LoadError
from edge_convnext.networks.made.shape import MadeShape
from edge_convnext.networks.own_modules.repeating import check_repeats


class Net(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.fc, self.kind = nn.Linear(3, 7), kind
        self.register_buffer("mask", torch.rand(3), persistent=kind == "saved")
        self.plain = torch.rand(3)

    def forward(self, images):
        x = images.mean((2, 3))
        if self.kind in ("saved", "unsaved"):
            x = x * self.mask
        if self.kind == "plain":
            x = x * self.plain
        if self.kind == "breaks":
            raise ValueError("no such images")
        if self.kind == "draws":
            x = nn.functional.dropout(x, training=True)
        return self.fc(x)


@dataclass(frozen=True)
class Kind(NetMaker):
    kind: str = ""

    def make(self, num_classes, in_channels, image_size=None, drop_path=0.0):
        return Net(self.kind)


def shape(kind):
    return MadeShape("toy_made", "toy_made:net", 7, 3, Kind(kind=kind))


@pytest.mark.parametrize("kind", ["saved", ""])
def test_what_the_state_dict_says_is_enough(kind):
    check_repeats(shape(kind))


def test_it_is_run_on_images_that_it_takes():
    class Grey(NetMaker):
        def make(self, num_classes, in_channels, image_size=None, drop_path=0.0):
            assert in_channels == 1
            return nn.Sequential(nn.Flatten(), nn.Linear(28 * 28, num_classes))

    check_repeats(MadeShape("toy_made", "toy_made:net", 7, 1, Grey(size=28)))


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("unsaved", r"not saved \('mask' is one\)"),
        ("plain", "drawn when it is made and are not saved"),
        ("draws", "draws in evaluation mode"),
        ("breaks", r"can't be run on images with values \(no such images\)"),
    ],
)
def test_what_no_file_can_say_is_refused(kind, words):
    with pytest.raises(LoadError, match=words):
        check_repeats(shape(kind))
