"""Networks of the user's own code as `networks.protocol.NetworkFamily`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_convnext.networks.generic import GenericFamily
from edge_convnext.networks.made.family import MadeFamily, require_made
from edge_convnext.networks.made.shape import MadeShape
from edge_convnext.networks.own_modules.code import PREFIX, CodeMaker, read_target, require_consent
from edge_convnext.networks.published import Settings

if TYPE_CHECKING:
    from edge_convnext.core.artifacts import NetworkShape
    from edge_convnext.networks.protocol import NetworkFamily

__all__ = ["FAMILY", "OwnFamily"]


class OwnFamily(MadeFamily, GenericFamily):
    """Functions that return a `torch.nn.Module`."""

    label = "your module"
    how_to_name = (
        "module:package.file:function, your own function that returns a torch.nn.Module (its code "
        "runs; on the command line only)"
    )

    def find(self, name: str, num_classes: int = 1000, in_channels: int = 3) -> MadeShape | None:
        """By calling the function; the name has to come from the command line."""
        if not name.startswith(PREFIX):
            return None
        from edge_convnext.networks.own_modules.trying import try_network

        target = read_target(name)
        require_consent(target)  # what was tried before is remembered
        found = try_network(CodeMaker(target))
        return MadeShape(
            "module",
            f"{PREFIX}{target}",
            found.classes or num_classes,
            found.channels or in_channels,
            found.maker,
        )

    def stated(self, shape: NetworkShape) -> Settings | None:
        """The size of the images, where that isn't the usual one."""
        size = require_made(shape).maker.image_size
        if size == CodeMaker("").size:
            return None
        return Settings({}, f"{shape.name}, as its function makes it", size)

    def full_name(self, name: str) -> str | None:
        """As it is written; nothing is imported."""
        return f"{PREFIX}{read_target(name)}" if name.startswith(PREFIX) else None

    def consent(self, model: str) -> bool:
        """See `code.consent`."""
        from edge_convnext.networks.own_modules.code import consent

        consent(model)
        return True

    def is_same(self, one: str, other: str) -> bool:
        """Where the function is called the same: its file may have moved."""
        return one.rpartition(":")[2] == other.rpartition(":")[2]

    def check(self, shape: MadeShape, source: str) -> None:
        """As every module; and that all that it computes with is in its state dict."""
        from edge_convnext.networks.own_modules.repeating import check_repeats

        super().check(shape, source)
        check_repeats(shape)


FAMILY: NetworkFamily = OwnFamily()
