"""Graph forms: the same folded network written in the operations a runtime likes.

A form is one small function from a folded block and its input to its output, such as `linear`
and `conv` below, with the modules that it calls. The fastest one differs per runtime:
permute + MatMul suits ONNX Runtime and TensorRT, 1x1 convolutions suit OpenVINO
(benchmarks/README.md).

Reductions run in float32 even where the body is float16: the sum of squares of GRN and the
variance of LayerNorm overflow float16 on real activations (facebookresearch/ConvNeXt-V2#66,
facebookresearch/ConvNeXt#80).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from edge_convnext.convnext.model import (
    EPS,
    PAPER,
    ChannelLayerNorm,
    ConvNeXt,
    LayerNorm,
    Parts,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge_convnext.artifacts import FormName
    from edge_convnext.convnext.architecture import Architecture

__all__ = ["FORMS", "FoldedBlock", "Form", "build_form"]


@dataclass(frozen=True)
class Form:
    """A way to write the folded network; the makers take channel counts."""

    block: Callable[[FoldedBlock, Tensor], Tensor]  # x [N, C, H, W] -> the same shape
    pointwise: Callable[[int, int], nn.Module]
    block_norm: Callable[[int], nn.Module]  # without affine, in the order of `block`
    grn: Callable[[int], nn.Module]  # in the order of `block`
    map_norm: Callable[[int, bool], nn.Module]  # over the channels of [N, C, H, W]; affine


class FoldedBlock(nn.Module):
    """The modules of one residual block after the folds; the form says how they are joined."""

    def __init__(self, width: int, version: int, form: Form) -> None:
        super().__init__()
        self.dwconv = nn.Conv2d(width, width, 7, padding=3, groups=width)
        self.norm = form.block_norm(width)
        self.pwconv1 = form.pointwise(width, 4 * width)
        self.act = nn.GELU()
        self.grn = form.grn(4 * width) if version == 2 else nn.Identity()
        self.pwconv2 = form.pointwise(4 * width, width)
        self._join = form.block

    def forward(self, x: Tensor) -> Tensor:
        """Map [N, C, H, W] to the same shape."""
        return self._join(self, x)


def linear(block: FoldedBlock, x: Tensor) -> Tensor:
    """Permute to NHWC, LayerNormalization and MatMul."""
    y: Tensor = block.norm(block.dwconv(x).permute(0, 2, 3, 1))  # [N, H, W, C]
    y = block.pwconv2(block.grn(block.act(block.pwconv1(y))))
    return x + y.permute(0, 3, 1, 2)


def conv(block: FoldedBlock, x: Tensor) -> Tensor:
    """NCHW throughout: 1x1 convolutions and LayerNorm written out."""
    y: Tensor = block.norm(block.dwconv(x))
    y = block.pwconv2(block.grn(block.act(block.pwconv1(y))))
    return x + y


class ScaleNHWC(nn.Module):
    """Folded GRN over [N, H, W, C]: x * (1 + gamma * n(x))."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        norm: Tensor = torch.linalg.vector_norm(x.float(), dim=(1, 2), keepdim=True)  # [N, 1, 1, C]
        relative = norm / (norm.mean(dim=-1, keepdim=True) + EPS)
        return x * (self.gamma * relative + 1.0).to(x.dtype)


class ScaleNCHW(nn.Module):
    """Folded GRN over [N, C, H, W]: x * (1 + gamma * n(x))."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        norm: Tensor = torch.linalg.vector_norm(x.float(), dim=(2, 3), keepdim=True)  # [N, C, 1, 1]
        relative = norm / (norm.mean(dim=1, keepdim=True) + EPS)
        return x * (self.gamma.view(1, -1, 1, 1) * relative + 1.0).to(x.dtype)


class WrittenOutNorm(nn.Module):
    """LayerNorm over the channels of [N, C, H, W], as elementwise operations on NCHW."""

    def __init__(self, channels: int, affine: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels)) if affine else None
        self.bias = nn.Parameter(torch.zeros(channels)) if affine else None

    def forward(self, x: Tensor) -> Tensor:
        wide = x.float()
        centred = wide - wide.mean(dim=1, keepdim=True)
        variance = (centred * centred).mean(dim=1, keepdim=True)
        y = centred * torch.rsqrt(variance + EPS)
        if self.weight is not None and self.bias is not None:
            y = y * self.weight.view(1, -1, 1, 1) + self.bias.view(1, -1, 1, 1)
        return y.to(x.dtype)


def _pointwise_conv(channels_in: int, channels_out: int) -> nn.Module:
    return nn.Conv2d(channels_in, channels_out, 1)


FORMS: dict[FormName, Form] = {
    "linear": Form(
        block=linear,
        pointwise=nn.Linear,
        block_norm=lambda width: LayerNorm(width, affine=False),
        grn=ScaleNHWC,
        map_norm=ChannelLayerNorm,
    ),
    "conv": Form(
        block=conv,
        pointwise=_pointwise_conv,
        block_norm=lambda width: WrittenOutNorm(width, affine=False),
        grn=ScaleNCHW,
        map_norm=WrittenOutNorm,
    ),
}


def build_form(state: dict[str, Tensor], architecture: Architecture, form: FormName) -> ConvNeXt:
    """Build the network of one form, in evaluation mode.

    Args:
        state: `fold.fold_state_dict`'s result; the unfolded state dict for `raw`.
        architecture: The shape that `state` belongs to.
        form: `raw` (the paper's modules, unfolded), `linear` or `conv`.

    Returns:
        A module from images float32[N, in_channels, H, W] to logits float32[N, num_classes].
    """
    parts = PAPER if form == "raw" else _parts(FORMS[form])
    network = ConvNeXt(architecture, parts=parts)
    own = network.state_dict()
    network.load_state_dict(
        {name: tensor.reshape(own[name].shape) for name, tensor in state.items()}
    )
    return network.eval()


def _parts(form: Form) -> Parts:
    return Parts(
        block=lambda width, version, _drop_path_rate: FoldedBlock(width, version, form),
        stem_norm=lambda width: form.map_norm(width, True),
        downsample_norm=lambda width: form.map_norm(width, False),
        head_norm=lambda width: LayerNorm(width, affine=False),
    )
