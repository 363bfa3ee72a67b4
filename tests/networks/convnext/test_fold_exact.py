"""The folds are of float64, rounded once: held against numpy, bit by bit."""

import numpy as np
import pytest
import torch

from edge_convnext.networks.convnext.build import random_state
from edge_convnext.networks.convnext.fold import fold_state_dict
from edge_convnext.networks.convnext.sizes import Architecture


def wide_state(version):
    """Weights of many sizes, so that a sum in float32 would lose digits."""
    architecture = Architecture("any", version, (2, 1, 1, 1), (12, 16, 16, 24), 5)
    state = random_state(architecture, 0)
    generator = torch.Generator().manual_seed(1)
    for tensor in state.values():
        tensor.copy_(torch.randn(tensor.shape, generator=generator) * 3)
    return architecture, state


def expected_state(architecture, state):
    """The identities of the module's docstring, written down once more."""
    wide = {name: tensor.numpy().astype(np.float64) for name, tensor in state.items()}
    blocks = [f"stages.{i}.blocks.{j}" for i, n in enumerate(architecture.depths) for j in range(n)]
    for part in ("weight", "bias"):
        wide[f"stem.conv.{part}"] -= wide[f"stem.conv.{part}"].mean(axis=0)
    for block in blocks:
        wide[f"{block}.dwconv.bias"] -= wide[f"{block}.dwconv.bias"].mean()
    pairs = [(f"stages.{i}.downsample.norm", f"stages.{i}.downsample.conv") for i in (1, 2, 3)]
    pairs += [(f"{block}.norm", f"{block}.pwconv1") for block in blocks] + [
        ("head.norm", "head.fc")
    ]
    for norm, layer in pairs:
        scale, shift = wide.pop(f"{norm}.weight"), wide.pop(f"{norm}.bias")
        weight = wide[f"{layer}.weight"]
        taps = weight.reshape(*weight.shape[:2], -1)
        wide[f"{layer}.bias"] = wide[f"{layer}.bias"] + taps.sum(axis=2) @ shift
        wide[f"{layer}.weight"] = (taps * scale[:, None]).reshape(weight.shape)
    for block in blocks:
        wide[f"{block}.dwconv.bias"] -= wide[f"{block}.dwconv.bias"].mean()
        weight, bias = wide[f"{block}.pwconv2.weight"], wide[f"{block}.pwconv2.bias"]
        if architecture.version == 2:
            wide[f"{block}.pwconv2.bias"] = bias + weight @ wide.pop(f"{block}.grn.beta")
        else:
            gamma = wide.pop(f"{block}.layer_scale.gamma")
            wide[f"{block}.pwconv2.weight"] = np.diag(gamma) @ weight
            wide[f"{block}.pwconv2.bias"] = gamma * bias
    return {name: array.astype(np.float32) for name, array in wide.items()}


@pytest.mark.parametrize("version", [1, 2])
def test_every_folded_value_is_the_float64_one_rounded_once(version):
    architecture, state = wide_state(version)
    found, expected = fold_state_dict(state, architecture), expected_state(architecture, state)
    assert found.keys() == expected.keys()
    for name, tensor in found.items():
        assert tensor.dtype == torch.float32
        assert tensor.is_contiguous()
        np.testing.assert_array_equal(tensor.numpy(), expected[name], err_msg=name)
