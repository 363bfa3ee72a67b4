import sys
import textwrap

import pytest

pytest.importorskip("torch", reason="the build extra is not installed")

from edge_convnext.core.errors import LoadError
from edge_convnext.networks.own_modules import code
from edge_convnext.networks.own_modules.code import CodeMaker, consent
from edge_convnext.networks.own_modules.trying import try_network

SOURCE = """
from torch import nn

def head(channels, classes, side=None):
    first = nn.AdaptiveAvgPool2d(1) if side is None else nn.Identity()
    width = channels * (side or 1) ** 2
    return nn.Sequential(first, nn.Flatten(), nn.Linear(width, classes))

def usual(num_classes=3):
    return head(3, num_classes)

def fixed():
    return head(3, 4)

def grey():
    return head(1, 4)

def small(num_classes=3):
    return head(3, num_classes, 32)

def odd():
    return head(3, 4, 37)

class Convolved(nn.Module):
    def __init__(self, channels, classes):
        super().__init__()
        self.stem, self.head = nn.Conv2d(channels, 8, 3), nn.Linear(8, classes)

    def forward(self, images):
        return self.head(self.stem(images).mean((2, 3)))

def six():
    return Convolved(6, 4)

def stated(num_classes=3, img_size=37):
    return head(3, num_classes, img_size)

def any_stated(num_classes=3, image_size=64):
    return head(3, num_classes)

class Wide(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.flat = nn.Sequential(nn.Flatten(), nn.Linear(3 * size[0] * size[1], 4))

    def forward(self, images):
        return self.flat(images)

def wide(img_size=(24, 48)):
    return Wide(img_size)

def unset(img_size=None):
    return head(3, 4, img_size)

def picky(num_classes=3, in_channels=3):
    if in_channels not in (1, 3):
        raise ValueError("colour or grey")
    return head(in_channels, num_classes)
"""


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(code, "_CONSENTED", set())
    name = f"own_tried_{tmp_path.name}"
    (tmp_path / f"{name}.py").write_text(textwrap.dedent(SOURCE))
    yield name
    sys.modules.pop(name, None)


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        ("usual", (224, None, 3)), ("fixed", (224, 4, 3)), ("grey", (224, 4, 1)),
        ("small", (32, None, 3)), ("six", (224, 4, 6)), ("stated", (37, None, 3)),
        ("any_stated", (64, None, 3)), ("wide", ((24, 48), 4, 3)), ("unset", (224, 4, 3)),
        ("picky", (224, None, 3)),
    ],
)  # fmt: skip
def test_it_is_found_out_what_a_network_takes(here, function, expected):
    consent(f"module:{here}:{function}")
    found = try_network(CodeMaker(f"{here}:{function}"))
    assert (found.maker.size, found.classes, found.channels) == expected


def test_a_network_of_an_unusual_size_is_told(here):
    consent(f"module:{here}:odd")
    told = r"can't be run on 224 x 224 pixels.*nor on images of 32.* 512 px: .*keyword image_size"
    with pytest.raises(LoadError, match=told):
        try_network(CodeMaker(f"{here}:odd"))
