"""Graph forms: the same folded network written in the operations a runtime likes.

A form is a class of block (and of the parts between blocks) built from folded weights. The
fastest one differs per runtime: permute + MatMul suits ONNX Runtime and TensorRT, 1x1
convolutions suit OpenVINO (benchmarks/README.md).

Reductions run in float32 even where the body is float16: the sum of squares of GRN and the
variance of LayerNorm overflow float16 on real activations (facebookresearch/ConvNeXt-V2#66,
facebookresearch/ConvNeXt#80).
"""

from __future__ import annotations


import torch
from torch import Tensor, nn

from edge_convnext.artifacts import FormName
from edge_convnext.convnext.architecture import Architecture
from edge_convnext.convnext.model import EPS, ChannelLayerNorm, ConvNeXt, LayerNorm

__all__ = ["FORMS", "build_form"]


class ScaleNHWC(nn.Module):
    """Folded GRN over [N, H, W, C]: x * (1 + gamma * n(x))."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        norm = torch.linalg.vector_norm(x.float(), dim=(1, 2), keepdim=True)  # [N, 1, 1, C]
        relative = norm / (norm.mean(dim=-1, keepdim=True) + EPS)
        return x * (self.gamma * relative + 1.0).to(x.dtype)


class ScaleNCHW(nn.Module):
    """Folded GRN over [N, C, H, W]: x * (1 + gamma * n(x))."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        norm = torch.linalg.vector_norm(x.float(), dim=(2, 3), keepdim=True)  # [N, C, 1, 1]
        relative = norm / (norm.mean(dim=1, keepdim=True) + EPS)
        return x * (self.gamma.view(1, -1, 1, 1) * relative + 1.0).to(x.dtype)


class WrittenOutNorm(nn.Module):
    """LayerNorm over the channels of [N, C, H, W], as elementwise operations on NCHW."""

    def __init__(self, channels: int, affine: bool = False) -> None:
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


class LinearBlock(nn.Module):
    """Permute to NHWC, LayerNormalization and MatMul."""

    def __init__(self, width: int, version: int) -> None:
        super().__init__()
        self.dwconv = nn.Conv2d(width, width, 7, padding=3, groups=width)
        self.norm = LayerNorm(width, eps=EPS, elementwise_affine=False)
        self.pwconv1 = nn.Linear(width, 4 * width)
        self.act = nn.GELU()
        self.grn = ScaleNHWC(4 * width) if version == 2 else nn.Identity()
        self.pwconv2 = nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.dwconv(x).permute(0, 2, 3, 1))  # [N, H, W, C]
        y = self.pwconv2(self.grn(self.act(self.pwconv1(y))))
        return x + y.permute(0, 3, 1, 2)


class ConvBlock(nn.Module):
    """NCHW throughout: 1x1 convolutions and LayerNorm written out."""

    def __init__(self, width: int, version: int) -> None:
        super().__init__()
        self.dwconv = nn.Conv2d(width, width, 7, padding=3, groups=width)
        self.norm = WrittenOutNorm(width)
        self.pwconv1 = nn.Conv2d(width, 4 * width, 1)
        self.act = nn.GELU()
        self.grn = ScaleNCHW(4 * width) if version == 2 else nn.Identity()
        self.pwconv2 = nn.Conv2d(4 * width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.dwconv(x))
        return x + self.pwconv2(self.grn(self.act(self.pwconv1(y))))


def linear(network: ConvNeXt) -> ConvNeXt:
    """Replace the parts of an unfolded skeleton by their folded NHWC + MatMul form."""
    for stage in network.stages:
        for position, block in enumerate(stage.blocks):
            stage.blocks[position] = LinearBlock(block.dwconv.out_channels, _version(network))
        if stage.downsample is not None:
            width = stage.downsample.conv.in_channels
            stage.downsample.norm = ChannelLayerNorm(width, eps=EPS, elementwise_affine=False)
    return _fold_head(network)


def conv(network: ConvNeXt) -> ConvNeXt:
    """Replace the parts of an unfolded skeleton by their folded NCHW + 1x1 Conv form."""
    network.stem.norm = WrittenOutNorm(network.stem.conv.out_channels, affine=True)
    for stage in network.stages:
        for position, block in enumerate(stage.blocks):
            stage.blocks[position] = ConvBlock(block.dwconv.out_channels, _version(network))
        if stage.downsample is not None:
            stage.downsample.norm = WrittenOutNorm(stage.downsample.conv.in_channels)
    return _fold_head(network)


FORMS = {"linear": linear, "conv": conv}


def build_form(state: dict[str, Tensor], architecture: Architecture, form: FormName) -> ConvNeXt:
    """Build the network of one form, in evaluation mode.

    Args:
        state: `fold.fold_state_dict`'s result; the unfolded state dict for `raw`.
        architecture: The shape that `state` belongs to.
        form: `raw` (the paper's modules, unfolded), `linear` or `conv`.

    Returns:
        A module from images float32[N, 3, H, W] to logits float32[N, num_classes].
    """
    network = ConvNeXt(architecture)
    if form != "raw":
        network = FORMS[form](network)
    own = network.state_dict()
    network.load_state_dict(
        {name: tensor.reshape(own[name].shape) for name, tensor in state.items()}
    )
    return network.eval()


def _version(network: ConvNeXt) -> int:
    return network.architecture.version


def _fold_head(network: ConvNeXt) -> ConvNeXt:
    width = network.head.fc.in_features
    network.head.norm = LayerNorm(width, eps=EPS, elementwise_affine=False)
    return network
