from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.dialects import speak

from edge_convnext.core.errors import LoadError
from edge_convnext.networks.convnext.build import build_form, random_state
from edge_convnext.networks.convnext.dialects import translate
from edge_convnext.networks.convnext.sizes import Architecture

DIALECTS = ["reference", "timm", "transformers", "ours"]
SMALL = Architecture("small", 2, (1, 2, 1, 1), (4, 6, 8, 10), 5)


def renamed(state, old, new):
    return {name.replace(old, new): tensor for name, tensor in state.items()}


@st.composite
def architectures(draw):
    depths = tuple(draw(st.integers(1, 3)) for _ in range(4))
    widths = tuple(draw(st.integers(1, 8)) for _ in range(4))
    classes, channels = draw(st.integers(1, 6)), draw(st.integers(1, 4))
    return Architecture("any", draw(st.sampled_from([1, 2])), depths, widths, classes, channels)


@settings(max_examples=15, deadline=None)
@given(
    architecture=architectures(),
    dialect=st.sampled_from(DIALECTS),
    conv_mlp=st.booleans(),
    prefix=st.sampled_from(["", "module.", "_orig_mod.", "module._orig_mod.", "net.backbone."]),
    wrappers=st.lists(st.sampled_from(["model", "state_dict", "model_ema"]), max_size=2),
    seed=st.integers(0, 2**31),
)
def test_every_dialect_comes_back_as_the_same_network(
    architecture, dialect, conv_mlp, prefix, wrappers, seed
):
    state = random_state(architecture, seed)
    version = architecture.version
    spoken = speak(state, dialect, version, conv_mlp and dialect == "timm")
    checkpoint = {prefix + name: tensor for name, tensor in spoken.items()}
    for wrapper in wrappers:
        checkpoint = {wrapper: checkpoint, "epoch": 3, "optimizer": {"state": {}}}
    found = translate(checkpoint, "file")
    assert found.dialect == dialect
    assert found.wrappers == tuple(reversed(wrappers))
    assert {**vars(found.architecture), "name": "any"} == vars(architecture)
    assert found.state.keys() == state.keys()
    images = torch.rand(1, architecture.in_channels, 32, 32)
    with torch.no_grad():
        expected = build_form(state, architecture, "raw")(images)
        logits = build_form(found.state, found.architecture, "raw")(images)
    assert torch.equal(logits, expected)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_float_types_become_float32(dtype):
    state = random_state(SMALL, 0)
    found = translate({name: tensor.to(dtype) for name, tensor in state.items()}, "file")
    for name, tensor in found.state.items():
        assert tensor.dtype == torch.float32
        assert torch.equal(tensor, state[name].to(dtype).float())


def test_torch_compile_of_a_single_stage_is_seen_through():
    state = random_state(SMALL, 0)
    compiled = renamed(state, "stages.1.", "stages.1._orig_mod.")
    assert translate(compiled, "file").state.keys() == state.keys()


def test_averaged_weights_come_before_raw_ones():
    raw, averaged = random_state(SMALL, 0), random_state(SMALL, 1)
    found = translate({"model": raw, "model_ema": averaged}, "file")
    assert found.wrappers == ("model_ema",)
    assert torch.equal(found.state["stem.conv.weight"], averaged["stem.conv.weight"])


def test_what_lies_outside_the_network_in_a_larger_module_is_left_out():
    state = {f"model.{name}": tensor for name, tensor in random_state(SMALL, 0).items()}
    found = translate({**state, "n_averaged": torch.tensor(3), "loss.weight": torch.ones(5)}, "f")
    assert not any("loss" in name for name in found.state)


def without(state, *names):
    return {name: tensor for name, tensor in state.items() if name not in names}


def changed(state, name, change):
    return {**state, name: change(state[name])}


def poisoned(value):
    def change(tensor):
        tensor = tensor.clone()
        tensor.view(-1)[1] = value
        return tensor

    return change


STATE = random_state(SMALL, 0)
REFERENCE = speak(STATE, "reference", 2)
GAMMA = "stages.0.0.grn.gamma"


@pytest.mark.parametrize(
    ("checkpoint", "message"),
    [
        ([1, 2], "no state dict in this file (a list without tensors)"),
        ({}, "no state dict in this file (a dict without tensors)"),
        ({"epoch": 3, "args": {"lr": 0.1}}, "no state dict in this file"),
        ({"layer1.0.conv1.weight": torch.ones(3)}, "its first tensor is 'layer1.0.conv1.weight'"),
        (without(REFERENCE, "head.weight", "head.bias"), "no classifier in these weights"),
        (without(REFERENCE, "norm.weight"), "'norm.weight' is missing"),
        (
            without(REFERENCE, "stages.1.0.norm.bias", "stages.1.1.norm.bias"),
            "'stages.1.0.norm.bias' (and 1 more) is missing",
        ),
        (
            without(REFERENCE, "downsample_layers.2.1.weight"),
            "'downsample_layers.2.1.weight' is missing",
        ),
        ({**REFERENCE, "mask_token": torch.ones(1)}, "'mask_token' belongs to no ConvNeXt"),
        ({**REFERENCE, "stages.0.0.gamma": torch.ones(4)}, "both GRN"),
        (
            {k: v for k, v in REFERENCE.items() if "grn" not in k},
            "neither GRN (ConvNeXt V2) nor LayerScale (V1)",
        ),
        (
            changed(REFERENCE, "stages.0.0.pwconv1.weight", lambda t: t[:3]),
            "'stages.0.0.pwconv1.weight' has shape [3, 4], not [16, 4]",
        ),
        (changed(REFERENCE, GAMMA, lambda t: t.long()), f"'{GAMMA}' is torch.int64"),
        (changed(REFERENCE, GAMMA, lambda t: t.tolist()), f"'{GAMMA}' is a list, not a tensor"),
        (changed(REFERENCE, GAMMA, poisoned(torch.nan)), f"'{GAMMA}' holds NaN or infinity in 1"),
        (changed(REFERENCE, GAMMA, poisoned(-torch.inf)), f"'{GAMMA}' holds NaN or infinity in 1"),
        (
            changed(REFERENCE, GAMMA, lambda t: t.double() + 1e300),
            f"'{GAMMA}' holds NaN or infinity in 16",
        ),
        (
            {
                f"{side}.{k}": v + number
                for number, side in enumerate(("student", "teacher"))
                for k, v in REFERENCE.items()
            },
            "2 networks in one file, under 'student.' and 'teacher.'",
        ),
    ],
)
def test_what_is_wrong_is_said_in_one_line(checkpoint, message):
    with pytest.raises(LoadError) as caught:
        translate(checkpoint, "file.pth")
    text = str(caught.value)
    assert text.startswith("file.pth: ")
    assert message in text
    assert "\n" not in text
