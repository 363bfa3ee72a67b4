import pytest
import torch

from edge_convnext.networks.convnext.names import find_networks, make_dense, rename


@pytest.mark.parametrize(
    ("name", "dialect", "ours"),
    [
        ("downsample_layers.0.0.weight", "reference", "stem.conv.weight"),
        ("downsample_layers.2.1.bias", "reference", "stages.2.downsample.conv.bias"),
        ("stages.1.0.gamma", "reference", "stages.1.blocks.0.layer_scale.gamma"),
        ("norm.weight", "reference", "head.norm.weight"),
        ("stages.1.0.pointwise_conv2.weight", "mmpretrain", "stages.1.blocks.0.pwconv2.weight"),
        ("norm3.weight", "mmpretrain", "head.norm.weight"),
        ("stages.1.blocks.0.mlp.grn.weight", "timm", "stages.1.blocks.0.grn.gamma"),
        ("stages.1.blocks.0.mlp.fc1.weight", "timm", "stages.1.blocks.0.pwconv1.weight"),
        ("convnextv2.encoder.stages.1.layers.0.grn.bias", "transformers",
         "stages.1.blocks.0.grn.beta"),
        ("embeddings.layernorm.weight", "transformers", "stem.norm.weight"),
        ("features.3.0.block.5.weight", "torchvision", "stages.1.blocks.0.pwconv2.weight"),
        ("features.2.1.weight", "torchvision", "stages.1.downsample.conv.weight"),
        ("classifier.2.weight", "torchvision", "head.fc.weight"),
        ("anything.weight", "timm", "anything.weight"),
    ],
)  # fmt: skip
def test_names_of_every_dialect_become_ours(name, dialect, ours):
    assert rename(name, dialect) == ours


def test_networks_are_found_by_one_name_and_their_prefix():
    names = ["student.stages.0.0.dwconv.weight", "features.1.0.block.0.weight", "other.weight"]
    assert find_networks(names) == [("reference", "student."), ("torchvision", "")]


def test_a_network_without_the_weight_that_marks_it_is_found_by_its_bias():
    assert find_networks(["a.stages.0.0.dwconv.bias"]) == [("reference", "a.")]
    assert find_networks(["stages.0.0.dwconv.bias", "stages.0.0.dwconv.weight"]) == [
        ("reference", "")
    ]
    assert find_networks(["stages.0.0.dwconv.bias.scale"]) == []


def test_sparse_kernels_become_dense_ones():
    kernel = torch.arange(4 * 2 * 3.0).reshape(4, 2, 3)  # [k * k, in, out]
    dense = make_dense({"down.kernel": kernel, "down.linear.bias": 1, "a.ln.weight": 2})
    assert list(dense) == ["down.weight", "down.bias", "a.weight"]
    weight = dense["down.weight"]
    assert weight.shape == (3, 2, 2, 2)
    for row in range(2):
        for column in range(2):  # columns first
            assert torch.equal(weight[:, :, row, column], kernel[column * 2 + row].T)
    depthwise = make_dense({"dw.kernel": torch.arange(9 * 4.0).reshape(9, 4)})["dw.weight"]
    assert depthwise.shape == (4, 1, 3, 3)


def test_without_a_kernel_nothing_is_touched():
    named = {"a.linear.weight": 1}
    assert make_dense(named) == named
