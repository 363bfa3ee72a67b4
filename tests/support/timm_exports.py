"""Small networks of timm, exported with random weights; whoever asks skips where timm is not."""

from __future__ import annotations

import copy
import warnings
from functools import cache
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from onnx import ModelProto
    from torch import nn


def export_timm(name: str, size: int = 64, **options: object) -> ModelProto:
    """The simplified graph of a network, batch norms off identity; `options` are timm's."""
    pytest.importorskip("timm", reason="needs timm")
    return copy.deepcopy(_export(name, size, tuple(sorted(options.items()))))


@cache
def _export(name: str, size: int, options: tuple[tuple[str, object], ...]) -> ModelProto:
    import timm
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = timm.create_model(name, pretrained=False, num_classes=7, **dict(options)).eval()
        spread(network)
    return export_module(network, size)


def spread(network: nn.Module) -> None:
    """Statistics of batch norms off identity, as training leaves them."""
    import torch
    from torch import nn

    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            assert module.running_mean is not None
            assert module.running_var is not None
            torch.nn.init.normal_(module.running_mean, 0.0, 0.2)
            torch.nn.init.uniform_(module.running_var, 0.5, 1.5)
            torch.nn.init.uniform_(module.weight, 0.7, 1.3)
            torch.nn.init.normal_(module.bias, 0.0, 0.2)


def export_module(network: nn.Module, size: int) -> ModelProto:
    """Opset 20, batch 1, `images` to `logits`, simplified."""
    import onnxsim
    import torch

    images = torch.zeros(1, 3, size, size)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecations inside the exporter
        program = torch.onnx.export(
            network, (images,), dynamo=True, opset_version=20, input_names=["images"],
            output_names=["logits"], verbose=False,
        )  # fmt: skip
    assert program is not None
    simplified, right = onnxsim.simplify(program.model_proto)
    assert right
    return simplified
