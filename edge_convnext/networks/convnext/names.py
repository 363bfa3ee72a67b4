"""State-dict dialects: the same network under other names.

Every dialect maps one to one onto this project's names:

- `reference`: facebookresearch/ConvNeXt and ConvNeXt-V2, and what most tutorials save; also the
  encoder of FCMAE's own checkpoints, whose convolutions are sparse.
- `timm`: `timm.models.convnext`; pointwise weights are [out, in, 1, 1] where the size uses
  `conv_mlp=True` (atto to nano) and [out, in] elsewhere.
- `transformers`: `ConvNextForImageClassification` and `ConvNextV2ForImageClassification`.
- `torchvision`: `torchvision.models.convnext`, V1 alone.
- `mmpretrain`: `mmpretrain.models.ConvNeXt`, V1 and V2; its head lies beside the backbone.
- `ours`: `convnext.model.ConvNeXt`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any, Literal

import torch
from torch import Tensor

__all__ = ["DialectName", "Network", "find_networks", "make_dense", "rename"]

DialectName = Literal["reference", "timm", "transformers", "torchvision", "mmpretrain", "ours"]
Network = tuple[DialectName, str]  # and the prefix of its names

_HF = r"(?:convnext(?:v2)?\.)?"  # absent when only the backbone was saved
_HF_BLOCK = _HF + r"encoder\.stages\.(\d+)\.layers\.(\d+)"
_TV = r"(?:features\.)?"

# A name that no other dialect, and no other network, has. What stands before it is a prefix. The
# bias of the same layer tells the network too, in a file that lacks the weight.
_MARKS: dict[DialectName, str] = {
    "reference": r"stages\.0\.0\.dwconv\.weight",
    "timm": r"stages\.0\.blocks\.0\.conv_dw\.weight",
    "transformers": _HF + r"encoder\.stages\.0\.layers\.0\.dwconv\.weight",
    "torchvision": _TV + r"1\.0\.block\.0\.weight",
    "mmpretrain": r"stages\.0\.0\.depthwise_conv\.weight",
    "ours": r"stages\.0\.blocks\.0\.dwconv\.weight",
}

_REFERENCE = (
    (r"downsample_layers\.0\.0\.", r"stem.conv."),
    (r"downsample_layers\.0\.1\.", r"stem.norm."),
    (r"downsample_layers\.(\d+)\.0\.", r"stages.\1.downsample.norm."),
    (r"downsample_layers\.(\d+)\.1\.", r"stages.\1.downsample.conv."),
    (r"stages\.(\d+)\.(\d+)\.gamma$", r"stages.\1.blocks.\2.layer_scale.gamma"),
    (r"stages\.(\d+)\.(\d+)\.depthwise_conv\.", r"stages.\1.blocks.\2.dwconv."),
    (r"stages\.(\d+)\.(\d+)\.pointwise_conv([12])\.", r"stages.\1.blocks.\2.pwconv\3."),
    (r"stages\.(\d+)\.(\d+)\.", r"stages.\1.blocks.\2."),
)

# The start of a name there, and here; the first that matches counts.
_RENAMES: dict[DialectName, tuple[tuple[str, str], ...]] = {
    "reference": (*_REFERENCE, (r"norm\.", r"head.norm."), (r"head\.", r"head.fc.")),
    "mmpretrain": (*_REFERENCE, (r"norm3?\.", r"head.norm.")),
    "timm": (
        (r"stem\.0\.", r"stem.conv."),
        (r"stem\.1\.", r"stem.norm."),
        (r"(stages\.\d+\.downsample)\.0\.", r"\1.norm."),
        (r"(stages\.\d+\.downsample)\.1\.", r"\1.conv."),
        (r"(stages\.\d+\.blocks\.\d+)\.conv_dw\.", r"\1.dwconv."),
        (r"(stages\.\d+\.blocks\.\d+)\.mlp\.fc([12])\.", r"\1.pwconv\2."),
        (r"(stages\.\d+\.blocks\.\d+)\.mlp\.grn\.weight$", r"\1.grn.gamma"),
        (r"(stages\.\d+\.blocks\.\d+)\.mlp\.grn\.bias$", r"\1.grn.beta"),
        (r"(stages\.\d+\.blocks\.\d+)\.gamma$", r"\1.layer_scale.gamma"),
    ),
    "transformers": (
        (_HF + r"embeddings\.patch_embeddings\.", r"stem.conv."),
        (_HF + r"embeddings\.layernorm\.", r"stem.norm."),
        (_HF + r"encoder\.(stages\.\d+)\.downsampling_layer\.0\.", r"\1.downsample.norm."),
        (_HF + r"encoder\.(stages\.\d+)\.downsampling_layer\.1\.", r"\1.downsample.conv."),
        (_HF_BLOCK + r"\.layernorm\.", r"stages.\1.blocks.\2.norm."),
        (_HF_BLOCK + r"\.grn\.weight$", r"stages.\1.blocks.\2.grn.gamma"),
        (_HF_BLOCK + r"\.grn\.bias$", r"stages.\1.blocks.\2.grn.beta"),
        (_HF_BLOCK + r"\.layer_scale_parameter$", r"stages.\1.blocks.\2.layer_scale.gamma"),
        (_HF_BLOCK + r"\.", r"stages.\1.blocks.\2."),
        (_HF + r"layernorm\.", r"head.norm."),
        (r"classifier\.", r"head.fc."),
    ),
    # `features` alternates: the stem, then blocks of a stage and the downsampling before the next.
    "torchvision": (
        (_TV + r"0\.0\.", r"stem.conv."),
        (_TV + r"0\.1\.", r"stem.norm."),
        (r"classifier\.0\.", r"head.norm."),
        (r"classifier\.2\.", r"head.fc."),
        *(
            row
            for stage in range(4)
            for row in (
                (_TV + rf"{2 * stage + 1}\.(\d+)\.layer_scale$",
                 rf"stages.{stage}.blocks.\1.layer_scale.gamma"),
                (_TV + rf"{2 * stage + 1}\.(\d+)\.block\.0\.",
                 rf"stages.{stage}.blocks.\1.dwconv."),
                (_TV + rf"{2 * stage + 1}\.(\d+)\.block\.2\.", rf"stages.{stage}.blocks.\1.norm."),
                (_TV + rf"{2 * stage + 1}\.(\d+)\.block\.3\.",
                 rf"stages.{stage}.blocks.\1.pwconv1."),
                (_TV + rf"{2 * stage + 1}\.(\d+)\.block\.5\.",
                 rf"stages.{stage}.blocks.\1.pwconv2."),
                (_TV + rf"{2 * stage}\.0\.", rf"stages.{stage}.downsample.norm."),
                (_TV + rf"{2 * stage}\.1\.", rf"stages.{stage}.downsample.conv."),
            )
        ),
    ),
    "ours": (),
}  # fmt: skip


def find_networks(names: Iterable[str]) -> list[Network]:
    """Find every ConvNeXt among the names of one state dict."""
    found: dict[Network, None] = {}
    for name in names:
        for dialect, mark in _MARKS.items():
            match = re.fullmatch(rf"((?:.*?\.)??){mark}", re.sub(r"\.bias\Z", ".weight", name))
            if match:
                found[dialect, match[1]] = None
    return list(found)


def rename(name: str, dialect: DialectName) -> str:
    """Translate a name without its prefix to this project's; an unknown name stays as it is."""
    for pattern, replacement in _RENAMES[dialect]:
        renamed, matches = re.subn(rf"\A{pattern}", replacement, name)
        if matches:
            return renamed
    return name


def make_dense(named: Mapping[str, Any]) -> dict[str, Any]:
    """Convert names and shapes of FCMAE's sparse convolutions to those of dense ones.

    A kernel is stored as [k * k, in, out], a depthwise one as [k * k, channels], columns first.

    Source:
        facebookresearch/ConvNeXt-V2, `models/fcmae.py`, `utils.remap_checkpoint_keys`.
    """
    if not any(name.endswith(".kernel") for name in named):
        return dict(named)
    dense: dict[str, Any] = {}
    for name, value in named.items():
        plain = re.sub(r"\.(?:linear|ln)\.(weight|bias)\Z", r".\1", name)
        if name.endswith(".kernel") and isinstance(value, Tensor) and _is_kernel(value):
            plain, value = f"{name[:-7]}.weight", _dense_kernel(value)
        dense[plain] = value
    return dense


def _is_kernel(value: Tensor) -> bool:
    stored = value.device.type == "cpu" and value.layout == torch.strided
    return (
        stored
        and value.dim() in (2, 3)
        and (value.numel() * value.element_size() <= value.untyped_storage().nbytes())
    )


def _dense_kernel(kernel: Tensor) -> Tensor:
    side = math.isqrt(kernel.shape[0])
    if side * side != kernel.shape[0]:
        return kernel  # a later check of shapes reports it
    last_first = kernel.permute(*reversed(range(kernel.dim())))
    channels = last_first.shape[:-1] if kernel.dim() == 3 else (last_first.shape[0], 1)
    return last_first.reshape(*channels, side, side).transpose(3, 2)
