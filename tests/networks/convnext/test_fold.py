import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.fold_info import SMALL

from edge_convnext.networks.convnext.build import build_form, random_state
from edge_convnext.networks.convnext.fold import fold_state_dict
from edge_convnext.networks.convnext.forms import FORMS
from edge_convnext.networks.convnext.gpu_forms import GPU_FORMS
from edge_convnext.networks.convnext.sizes import Architecture

LEAVES = ("weight", "bias")


@st.composite
def architectures(draw):
    depths = tuple(draw(st.integers(1, 3)) for _ in range(4))
    widths = tuple(draw(st.integers(4, 16)) for _ in range(4))
    version = draw(st.sampled_from([1, 2]))
    return Architecture("any", version, depths, widths, draw(st.integers(1, 6)), 3)


def random_weights(architecture, seed, scale):
    """Draw weights whose per-channel scales and shifts are of size `scale`."""
    generator = torch.Generator().manual_seed(seed)
    state = random_state(architecture, seed)
    for tensor in state.values():
        size = scale if tensor.dim() == 1 else 0.3
        tensor.copy_(torch.randn(tensor.shape, generator=generator) * size)
    return state, torch.randn(2, 3, 32, 32, generator=generator)


@settings(max_examples=15, deadline=None)
@example(Architecture("any", 1, (1, 1, 1, 1), (4, 4, 6, 13), 1, 3), 3, 10.0, "conv")
@given(
    architecture=architectures(),
    seed=st.integers(0, 2**31),
    scale=st.sampled_from([0.1, 1.0, 10.0, 100.0]),
    form=st.sampled_from(sorted({**FORMS, **GPU_FORMS})),
)
def test_every_folded_form_computes_the_raw_network(architecture, seed, scale, form):
    state, images = random_weights(architecture, seed, scale)
    folded = fold_state_dict(state, architecture)
    with torch.no_grad():
        raw = build_form(state, architecture, "raw")
        network = build_form(folded, architecture, form)
        logits = torch.cat([network(image) for image in images.split(1)])  # some take only one
        rounded, exact = raw(images), raw.double()(images.double())
    # Where the terms of a logit cancel, the raw network's own rounding is the larger part.
    rounding = (rounded - exact).abs().max()
    assert (logits - exact).abs().max() <= 1e-5 * exact.abs().max() + 2 * rounding


def test_the_folded_stem_makes_maps_whose_mean_over_channels_is_zero():
    state, images = random_weights(SMALL, 0, 10.0)
    folded = build_form(fold_state_dict(state, SMALL), SMALL, "conv_moments")
    with torch.no_grad():
        maps = folded.stem.conv(images)
    assert maps.mean(dim=1).abs().max() <= 1e-6 * maps.abs().max()


@pytest.mark.parametrize("version", [1, 2])
def test_folding_takes_away_what_it_says_and_nothing_else(version):
    architecture = Architecture("any", version, (1, 1, 1, 1), (4, 8, 8, 12), 5)
    state = random_state(architecture, 0)
    kept = fold_state_dict(state, architecture).keys()
    gone = {name.partition("blocks.0.")[2] or name for name in state.keys() - kept}
    per_block = {"grn.beta"} if version == 2 else {"layer_scale.gamma"}
    downsample = {f"stages.{i}.downsample.norm" for i in (1, 2, 3)}
    norms = {f"{norm}.{leaf}" for norm in {"norm", "head.norm", *downsample} for leaf in LEAVES}
    assert gone == norms | per_block
    assert {"stem.norm.weight", "stem.norm.bias"} <= kept


def test_folding_leaves_its_input_as_it_was():
    state = random_state(SMALL, 0)
    before = {name: tensor.clone() for name, tensor in state.items()}
    fold_state_dict(state, SMALL)
    assert all(torch.equal(state[name], before[name]) for name in before)
