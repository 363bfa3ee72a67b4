from pathlib import Path

import pytest
from support import open_family

pytest.importorskip("torch", reason="the build extra is not installed")

import torch

from edge_convnext.core.artifacts import ModelInfo, Preprocess
from edge_convnext.core.errors import LoadError, RecipeError
from edge_convnext.networks.convnext.sizes import find_architecture
from edge_convnext.networks.generic import PARTS, check_open_name
from edge_convnext.networks.parts import part_of_node, part_of_nodes
from edge_convnext.networks.tensors import read_state
from edge_convnext.networks.weights import save_weights

FAMILY = open_family.FAMILY
SHAPE = open_family.OpenShape(open_family.MODEL, 5)


def save(folder):
    info = ModelInfo(SHAPE.name, 5, 3, (), Preprocess(image_size=32), "random", "0" * 64, None)
    state = FAMILY.draw(SHAPE, 0)
    return save_weights(state, SHAPE, info, folder / "w.safetensors"), state


@pytest.fixture(autouse=True)
def known(monkeypatch):
    open_family.install(monkeypatch)


def test_forms_are_made_of_the_graph_and_there_is_nothing_to_fold():
    assert (FAMILY.placer, FAMILY.folds, FAMILY.gpu_forms) == ("roles", False, ())
    assert FAMILY.forms == ("linear", "conv")
    assert FAMILY.portable == ("raw", "dense")
    assert not FAMILY.is_folded(())
    assert FAMILY.quick_forms("onnxruntime") == ("raw",)
    assert FAMILY.source_graph(None) is None


def test_the_ends_are_read_off_the_module():
    assert FAMILY.first_convolution(SHAPE) == "0.weight"
    assert FAMILY.classifier(SHAPE) == ("7.weight", "7.bias")


def test_counts_are_those_of_the_module():
    # 3x3 of 3 to 8; norm; depthwise; 1x1; linear, with their biases but the first.
    assert SHAPE.count_params() == 216 + 16 + 80 + 144 + 85
    assert SHAPE.count_macs(32) == 256 * (216 + 72 + 128) + 80
    assert SHAPE.count_macs((16, 64)) == SHAPE.count_macs(32)  # as many pixels
    assert SHAPE.count_macs((16, 32)) == 128 * (216 + 72 + 128) + 80


def test_what_is_built_is_what_was_saved_and_only_runs(tmp_path):
    weights, state = save(tmp_path)
    stored = read_state(weights.path)
    assert all(torch.equal(stored[name], state[name]) for name in state)
    assert stored["1.num_batches_tracked"].dtype == torch.int64
    network = FAMILY.build(weights, "raw")
    assert not network.training
    assert not any(one.requires_grad for one in network.parameters())
    assert torch.equal(network.state_dict()["1.running_var"], state["1.running_var"])
    for form in FAMILY.forms:
        again = FAMILY.build(weights, form).state_dict()
        assert all(torch.equal(again[name], one) for name, one in network.state_dict().items())
    with pytest.raises(ValueError, match="no form 'nhwc'"):
        FAMILY.build(weights, "nhwc")


def test_a_new_network_is_made_for_training():
    assert FAMILY.make_trainable(SHAPE, 0.1, 64).training
    with pytest.raises(
        LoadError, match="convnextv2_atto: is not a Open network; pass weights of one"
    ):
        FAMILY.make_trainable(find_architecture("atto"), 0.1)


def test_nothing_is_published():
    assert FAMILY.find_published(Path("w.pth"), SHAPE.name) is None
    assert FAMILY.published_top1(SHAPE.name) is None


@pytest.mark.parametrize(
    ("name", "short"),
    [("open:some/net", "net"), ("open:/home/me/my net.v2/", "my_net.v2"), ("conv_n", "conv_n")],
)
def test_a_short_name_can_name_a_folder(name, short):
    assert FAMILY.short_name(name) == short


def test_a_name_is_kept_as_it_is_behind_its_prefix():
    assert check_open_name("open: A/b:c ", "open:NAME") == "open:A/b:c"
    with pytest.raises(RecipeError, match="'open:' names no model: open:NAME"):
        check_open_name("open:", "open:NAME")


@pytest.mark.parametrize(
    ("node", "part"),
    [
        ("blocks.0.1.conv/Conv_3", "conv"), ("head/Gemm", "linear"), ("MatMul", "linear"),
        ("a/HardSwish", "activation"), ("a/Softmax", "attention"), ("b/Add_2", "residual"),
        ("a/Gelu", "activation"), ("x/QuantizeLinear", "quantize"), ("a/ReduceMean", "pool"),
        ("a/LayerNormalization", "norm"), ("a/Transpose", "reorder"), ("a/Mul", None), ("", None),
    ],
)  # fmt: skip
def test_parts_go_by_the_operation(node, part):
    assert part_of_node(node, PARTS) == part
    assert part is None or part in PARTS.names


def test_what_is_fused_with_a_product_counts_for_it():
    assert part_of_nodes(["a/Relu", "a/Clip", "b/Conv"], PARTS) == "conv"
