"""Networks of the user's own code as `networks.protocol.NetworkFamily`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_convnext.networks.made.family import MadeFamily, require_made
from edge_convnext.networks.made.maker import MadeShape
from edge_convnext.networks.own_modules.code import PREFIX, CodeMaker, read_target

if TYPE_CHECKING:
    from edge_convnext.core.artifacts import NetworkShape
    from edge_convnext.networks.protocol import NetworkFamily

__all__ = ["FAMILY", "OwnFamily"]


class OwnFamily(MadeFamily):
    """Functions that return a `torch.nn.Module`."""

    label = "your module"
    how_to_name = (
        "module:package.file:function, a network of your own (its code runs; on the command line "
        "only)"
    )
    runs_code = True

    def find(self, name: str, num_classes: int = 1000, in_channels: int = 3) -> MadeShape | None:
        """The function, without calling it; the name has to come from the command line."""
        if not name.startswith(PREFIX):
            return None
        target = read_target(name)
        return MadeShape("module", f"{PREFIX}{target}", num_classes, in_channels, CodeMaker(target))

    def full_name(self, name: str) -> str | None:
        """As it is written; nothing is imported."""
        return f"{PREFIX}{read_target(name)}" if name.startswith(PREFIX) else None

    def consent(self, model: str) -> None:
        """See `code.consent`."""
        from edge_convnext.networks.own_modules.code import consent

        consent(model)

    def check(self, shape: MadeShape, source: str) -> None:
        """As every module; and that all that it computes with is in its state dict."""
        from edge_convnext.networks.own_modules.repeating import check_repeats

        super().check(shape, source)
        check_repeats(shape)

    def fingerprint(self, shape: NetworkShape) -> str:
        """The sources."""
        return require_made(shape).maker.fingerprint()


FAMILY: NetworkFamily = OwnFamily()
