"""Graph forms: the same folded network, written in the operators that a runtime runs fast.

A form is one small function from a folded block and its input to its output, such as `linear`
and `conv` below, with the modules that it calls. The fastest form depends on the runtime: NHWC
and MatMul for ONNX Runtime, 1x1 convolutions for OpenVINO (benchmarks/README.md). The forms for
TensorRT are in `gpu_forms`.

Reductions run in float32 even if the body is float16. On real activations GRN's sum of squares
and LayerNorm's variance overflow float16 (facebookresearch/ConvNeXt-V2#66,
facebookresearch/ConvNeXt#80).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from edge_convnext.networks.convnext.modules import (
    EPS,
    ChannelLayerNorm,
    LayerNorm,
    patch_conv,
)
from edge_convnext.networks.convnext.norms import (
    CentredNorm,
    MomentsNorm,
    UncentredNorm,
    WrittenOutNorm,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge_convnext.networks.convnext.form_names import CpuFormName

__all__ = [
    "FORMS",
    "BlockForm",
    "FoldedBlock",
    "Form",
    "PatchLinear",
    "ScaleNHWC",
    "pointwise_conv",
]


@dataclass(frozen=True)
class BlockForm:
    """How a folded block is written; the makers of modules take channel counts."""

    join: Callable[[FoldedBlock, Tensor], Tensor]  # a map between blocks -> the same shape
    pointwise: Callable[[int, int], nn.Module]  # makes pwconv1, and pwconv2 unless that is stated
    norm: Callable[[int], nn.Module]  # makes a norm without affine, in the axis order of `join`
    grn: Callable[[int], nn.Module]  # makes GRN, in the axis order of `join`
    pwconv2: Callable[[int, int], nn.Module] | None = None


@dataclass(frozen=True)
class Form:
    """How the folded network is written; the makers of modules take channel counts."""

    blocks: tuple[BlockForm, BlockForm, BlockForm, BlockForm]  # one per stage
    stem_norm: Callable[[int], nn.Module]  # affine, over the channels of a centred map
    downsample_norm: Callable[[int], nn.Module]  # without affine, over the channels of a map
    stem_conv: Callable[[int, int, int], nn.Module] = patch_conv
    downsample_conv: Callable[[int, int, int], nn.Module] = patch_conv
    map_axes: tuple[int, int] = (2, 3)  # height and width of a map between blocks


class FoldedBlock(nn.Module):
    """The modules of one residual block after the folds; its form connects them."""

    def __init__(self, width: int, version: int, form: BlockForm) -> None:
        super().__init__()
        self.dwconv = nn.Conv2d(width, width, 7, padding=3, groups=width)
        self.norm = form.norm(width)
        self.pwconv1 = form.pointwise(width, 4 * width)
        self.act = nn.GELU()
        self.grn = form.grn(4 * width) if version == 2 else nn.Identity()
        self.pwconv2 = (form.pwconv2 or form.pointwise)(4 * width, width)
        self._join = form.join

    def forward(self, x: Tensor) -> Tensor:
        """Map [N, C, H, W], or [N, H, W, C] in an NHWC form, to the same shape."""
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


def nhwc(block: FoldedBlock, x: Tensor) -> Tensor:
    """`linear` with the residual in NHWC: the only transposes surround the depthwise.

    ONNX Runtime merges these two with the reordering to and from its blocked layout.
    """
    y: Tensor = block.norm(block.dwconv(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1))
    y = block.pwconv2(block.grn(block.act(block.pwconv1(y))))
    return x + y


class ScaleNHWC(nn.Module):
    """Folded GRN over [N, H, W, C]: x * (1 + gamma * n(x))."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Scale [N, H, W, C]."""
        norm: Tensor = torch.linalg.vector_norm(x.float(), dim=(1, 2), keepdim=True)  # [N, 1, 1, C]
        relative = norm / (norm.mean(dim=-1, keepdim=True) + EPS)
        return x * (self.gamma * relative + 1.0).to(x.dtype)


class ProductScaleNHWC(ScaleNHWC):
    """`ScaleNHWC` with the sum over positions as a matrix product with ones.

    Reducing the middle axes of a tensor takes ONNX Runtime more than twice as long.
    """

    def forward(self, x: Tensor) -> Tensor:
        n, h, w, c = x.shape
        flat = x.float().reshape(n, 1, h * w, c)
        energy = torch.ones(1, 1, 1, h * w) @ (flat * flat)  # [N, 1, 1, C]
        norm = torch.sqrt(energy)
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


class AveragedScaleNCHW(ScaleNCHW):
    """`ScaleNCHW` with the mean over channels as a 1x1 convolution.

    OpenVINO's reductions write float32 also where it computes in bfloat16, so each has a conversion
    behind it. A convolution has none.
    """

    equal: Tensor  # [1, C, 1, 1], no parameter: no checkpoint has it

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        equal = torch.full((1, channels, 1, 1), 1.0 / channels)
        self.register_buffer("equal", equal, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        norm: Tensor = torch.linalg.vector_norm(x.float(), dim=(2, 3), keepdim=True)  # [N, C, 1, 1]
        relative = norm / (functional.conv2d(norm, self.equal.float()) + EPS)
        return x * (self.gamma.view(1, -1, 1, 1) * relative + 1.0).to(x.dtype)


class PatchLinear(nn.Module):
    """A convolution whose patches don't overlap, as a matrix product of [N, H', W', patch].

    Args:
        channels_in: Channels of the input.
        channels_out: Channels of the result, [N, H', W', channels_out].
        size: Height and width of a patch; rows and columns that fill no patch are dropped.
        nchw: True if the input is [N, C, H, W], False if it is [N, H, W, C].
    """

    def __init__(self, channels_in: int, channels_out: int, size: int, nchw: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(channels_out, channels_in, size, size))
        self.bias = nn.Parameter(torch.zeros(channels_out))
        self._size, self._nchw = size, nchw

    def forward(self, x: Tensor) -> Tensor:
        """Map to [N, H', W', channels_out]."""
        size = self._size
        if self._nchw:  # two transposes that move whole rows are faster than one that does not
            x = x.permute(0, 2, 3, 1)
        n, h, w, c = x.shape
        rows, columns = h // size, w // size
        x = x[:, : rows * size, : columns * size]
        patches = x.reshape(n, rows, size, columns, size * c).permute(0, 1, 3, 2, 4)
        flat = patches.reshape(n, rows, columns, size * size * c)
        return flat @ self.weight + self.bias

    def flatten(self) -> None:
        """Reshape the weight once, from a convolution's [out, in, size, size] to [patch, out].

        Otherwise the exporter would keep the transpose of a large weight in the graph.
        """
        flat = self.weight.detach().permute(2, 3, 1, 0).reshape(-1, self.weight.shape[0])
        self.weight = nn.Parameter(flat.contiguous())


def pointwise_conv(channels_in: int, channels_out: int) -> nn.Module:
    """A 1x1 convolution of [N, C, H, W]."""
    return nn.Conv2d(channels_in, channels_out, 1)


_LINEAR = BlockForm(linear, nn.Linear, lambda width: LayerNorm(width, affine=False), ScaleNHWC)
_CONV = BlockForm(
    conv, pointwise_conv, lambda width: WrittenOutNorm(width, affine=False), ScaleNCHW
)
_MOMENTS = replace(_CONV, norm=lambda width: MomentsNorm(width, affine=False))
_UNCENTRED = replace(_CONV, norm=UncentredNorm, grn=AveragedScaleNCHW)
_NHWC = replace(_LINEAR, join=nhwc, grn=ProductScaleNHWC)

FORMS: dict[CpuFormName, Form] = {
    "linear": Form(
        blocks=(_LINEAR,) * 4,
        stem_norm=ChannelLayerNorm,
        downsample_norm=lambda width: ChannelLayerNorm(width, affine=False),
    ),
    "conv": Form(
        blocks=(_CONV,) * 4,
        stem_norm=lambda width: WrittenOutNorm(width, affine=True),
        downsample_norm=lambda width: WrittenOutNorm(width, affine=False),
    ),
    "conv_moments": Form(
        blocks=(_MOMENTS,) * 4,
        stem_norm=lambda width: CentredNorm(width, affine=True),
        # The residual's mean can't be folded, and these are only three small norms.
        downsample_norm=lambda width: WrittenOutNorm(width, affine=False),
    ),
    "conv_uncentred": Form(
        blocks=(_UNCENTRED,) * 4,
        stem_norm=lambda width: CentredNorm(width, affine=True),
        downsample_norm=UncentredNorm,
    ),
    "nhwc": Form(
        blocks=(_NHWC,) * 4,
        stem_norm=LayerNorm,
        downsample_norm=lambda width: LayerNorm(width, affine=False),
        stem_conv=lambda before, after, size: PatchLinear(before, after, size, nchw=True),
        downsample_conv=lambda before, after, size: PatchLinear(before, after, size, nchw=False),
        map_axes=(1, 2),
    ),
}
