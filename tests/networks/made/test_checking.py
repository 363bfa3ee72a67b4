from dataclasses import dataclass

import pytest

pytest.importorskip("torch", reason="the build extra is not installed")

from support.toy_maker import NetMaker
from torch import nn

from edge_convnext.core.errors import LoadError
from edge_convnext.networks.made.checking import check_output
from edge_convnext.networks.made.shape import MadeShape


class Returns(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.fc, self.kind = nn.Linear(3, 7), kind

    def forward(self, images):
        logits = self.fc(images.mean((2, 3)))
        return {
            "two": (logits, logits),
            "named": {"logits": logits, "features": logits},
            "text": "no tensor",
            "maps": images,
            "right": logits,
        }[self.kind]


@dataclass(frozen=True)
class ReturnsMaker(NetMaker):
    kind: str = "right"

    def make(self, num_classes, in_channels, image_size=None, drop_path=0.0):
        return Returns(self.kind)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("two", r"returns 2 outputs \(\[2, 7\], \[2, 7\]\)"),
        ("named", r"returns 2 outputs \(logits, features\)"),
        ("text", "returns a str, not a tensor"),
        ("maps", r"returns \[2, 3, 32, 32\] for 2 images, not \[2, classes\]"),
    ],
)
def test_what_is_no_classifier_is_refused(kind, words):
    shape = MadeShape("toy_made", "toy_made:net", 7, 3, ReturnsMaker(kind=kind))
    with pytest.raises(LoadError, match=words) as caught:
        check_output(shape, "w.pth")
    assert "\n" not in str(caught.value)


def test_a_classifier_passes():
    check_output(MadeShape("toy_made", "toy_made:net", 7, 3, ReturnsMaker()), "w.pth")


def test_one_that_cannot_be_run_is_told():
    class Broken(NetMaker):
        def make(self, *args, **kwargs):
            return nn.Linear(5, 5)

    with pytest.raises(LoadError, match="can't be run on 32 x 32 pixels"):
        check_output(MadeShape("toy_made", "toy_made:net", 7, 3, Broken()), "w.pth")


def test_it_is_run_on_as_many_channels_as_it_has():
    @dataclass(frozen=True)
    class Grey(NetMaker):
        def make(self, num_classes, in_channels, image_size=None, drop_path=0.0):
            return super().make(num_classes, 1, image_size)

    check_output(MadeShape("toy_made", "toy_made:net", 7, 1, Grey()), "w.pth")
    with pytest.raises(LoadError, match="can't be run on 32 x 32 pixels"):
        check_output(MadeShape("toy_made", "toy_made:net", 7, 3, Grey()), "w.pth")
