"""An open family, whose models are called `open:ANYTHING`: a small network with a batch norm.

`install` adds it to the table. `find` counts its calls, since it stands for a user's own code.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_convnext.networks import family as table
from edge_convnext.networks.generic import GenericFamily, ModuleShape

if TYPE_CHECKING:
    import pytest
    from torch import nn

    from edge_convnext.core.artifacts import NetworkShape
    from edge_convnext.core.image_size import ImageSize
    from edge_convnext.networks.protocol import NetworkFamily

NAME = "open"
MODEL = "open:some/net"
CALLS: list[str] = []


class OpenShape(ModuleShape):
    family = NAME

    def make(self, drop_path: float = 0.0, image_size: ImageSize = 224) -> nn.Module:
        from torch import nn

        return nn.Sequential(
            nn.Conv2d(self.in_channels, 8, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.Conv2d(8, 8, 3, padding=1, groups=8),
            nn.Conv2d(8, 16, 1),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(16, self.num_classes),
        )


class OpenFamily(GenericFamily):
    label = "Open"
    how_to_name = "open:NAME, anything"

    def find(self, name: str, num_classes: int = 1000, in_channels: int = 3) -> NetworkShape | None:
        CALLS.append(name)
        known = name.startswith(f"{NAME}:") and not name.endswith("none")
        return OpenShape(name, num_classes, in_channels) if known else None


FAMILY: NetworkFamily = OpenFamily()


def install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Know this family until the test is over."""
    CALLS.clear()
    monkeypatch.setitem(table.FAMILIES, NAME, __name__)
