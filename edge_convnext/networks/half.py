"""A float16 body with float32 input, output and reductions."""

from __future__ import annotations

from torch import Tensor, nn

__all__ = ["HalfBody"]


class HalfBody(nn.Module):
    """Run `network` in float16 between casts; its norms compute their reductions in float32.

    images float32[N, C, H, W] -> logits float32[N, num_classes].
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.body = network.half()

    def forward(self, images: Tensor) -> Tensor:
        """Run float32[N, C, H, W] to logits float32[N, num_classes]."""
        logits: Tensor = self.body(images.half())
        return logits.float()
