import pytest

pytest.importorskip("torch", reason="the build extra is not installed")

import torch
from torch.nn.functional import conv2d, gelu

from edge_convnext.networks.conv2former.modules import Conv2Former

SIZE = ([1, 1, 1, 2], [4, 6, 8, 10], 5)
NAMES = [
    "downsample_layers.0.0.weight",
    "downsample_layers.0.2.running_var",
    "downsample_layers.0.6.weight",
    "downsample_layers.1.0.weight",
    "downsample_layers.3.1.bias",
    "stages.3.1.attn.norm.weight",
    "stages.0.0.attn.att.0.weight",
    "stages.0.0.attn.att.2.bias",
    "stages.0.0.attn.v.weight",
    "stages.0.0.attn.proj.bias",
    "stages.2.0.mlp.norm.bias",
    "stages.2.0.mlp.fc1.weight",
    "stages.2.0.mlp.pos.weight",
    "stages.2.0.mlp.fc2.weight",
    "stages.1.0.layer_scale_1",
    "stages.1.0.layer_scale_2",
    "head.0.weight",
    "head.2.weight",
    "pred.weight",
    "pred.bias",
]


def test_parameters_have_the_names_and_shapes_of_the_authors():
    state = Conv2Former(SIZE, 3, 7, 0.0).state_dict()
    assert set(NAMES) <= state.keys()
    assert state["stages.3.0.attn.att.2.weight"].shape == (10, 1, 5, 5)
    assert state["stages.1.0.mlp.pos.weight"].shape == (24, 1, 3, 3)
    assert state["head.0.weight"].shape == (1280, 10, 1, 1)


def test_a_block_is_the_one_of_the_paper():
    block = Conv2Former(SIZE, 3, 7, 0.0).eval().stages[0][0]
    with torch.no_grad():
        for one in block.parameters():
            one.normal_(0, 0.3)
        x = torch.randn(2, 4, 8, 8)
        own = block.state_dict()

        def product(name, value, **options):
            return conv2d(value, own[f"{name}.weight"], own[f"{name}.bias"], **options)

        y = block.attn.norm(x)
        seen = product("attn.att.2", gelu(product("attn.att.0", y)), padding=2, groups=4)
        branch = product("attn.proj", seen * product("attn.v", y))
        middle = x + own["layer_scale_1"].view(-1, 1, 1) * branch
        y = gelu(product("mlp.fc1", block.mlp.norm(middle)))
        y = product("mlp.fc2", y + gelu(product("mlp.pos", y, padding=1, groups=16)))
        expected = middle + own["layer_scale_2"].view(-1, 1, 1) * y
        torch.testing.assert_close(block(x), expected)


def test_images_of_any_size_become_logits_and_branches_drop_more_towards_the_end():
    network = Conv2Former(SIZE, 1, 7, 0.4)
    assert network.eval()(torch.zeros(2, 1, 33, 64)).shape == (2, 7)
    rates = [block.drop_path.rate for stage in network.stages for block in stage]
    assert rates == pytest.approx([0.0, 0.1, 0.2, 0.3, 0.4])
    assert network.stages[0][0].layer_scale_1.detach().unique().tolist() == pytest.approx([1e-6])
