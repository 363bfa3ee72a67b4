"""Roles: on ConvNeXt what its module names say, on other networks what is known of them."""

from __future__ import annotations

from typing import get_args

import numpy as np
import onnx
import pytest
from support.small_exports import TINY, export_tiny
from support.timm_exports import export_timm
from support.written_graphs import draw, excited, write

from edge_convnext.graph.placements import quantized
from edge_convnext.graph.roles import describe
from edge_convnext.graph.structure import PRODUCTS
from edge_convnext.networks.convnext.form_names import CpuFormName, GpuFormName
from edge_convnext.networks.convnext.placements import quantized_nodes

FORMS = ("raw", *get_args(CpuFormName), *get_args(GpuFormName))
# By the name that ConvNeXt's placements have.
SAME = {
    "weighted": "weighted",
    "pointwise": "dense",
    "inner": "inner",
    "blocks": "blocks",
    "late_blocks": "late_blocks",
    "last_blocks": "last_blocks",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("roles")


@pytest.mark.parametrize("form", FORMS)
def test_on_convnexts_forms_the_sets_are_those_of_its_module_names(form, folder):
    proto = onnx.load(export_tiny(form, folder).path)
    weighted = [node.name for node in proto.graph.node if node.op_type in PRODUCTS]
    roles = describe(proto)
    # Some forms write the sums of GRN as products, which are no part of the network's work.
    sums = set(weighted) - {one.name for one in roles.products}
    assert all(name.rpartition("/")[0].endswith(".grn") for name in sums)
    assert len(roles.products) == len(set(weighted) - sums)
    assert [one.name.rpartition("/")[0] for one in roles.products if one.first] == ["stem.conv"]
    assert [one.name.rpartition("/")[0] for one in roles.products if one.last] == ["head.fc"]
    for old, new in SAME.items():
        assert quantized(roles, new) == quantized_nodes(weighted, old), old


def test_macs_are_those_of_the_architecture(folder):
    roles = describe(onnx.load(export_tiny("raw", folder).path))
    assert sum(one.macs for one in roles.products) == TINY.count_macs(32)


@pytest.mark.parametrize("form", ["late", "weights_mixed", "late_product_mixed"])
def test_a_weight_that_is_scaled_per_image_is_one_and_no_attention(form, folder):
    roles = describe(onnx.load(export_tiny(form, folder).path))
    computed = [one.name for one in roles.products if one.computed]
    assert computed
    assert all("pwconv2" in name for name in computed)
    assert all(one.kind != "attention" for one in roles.products)


def kinds(roles):
    """How many products there are of each kind."""
    found = [one.kind for one in roles.products]
    return {kind: found.count(kind) for kind in dict.fromkeys(sorted(found))}


# Counted in the papers' tables and in timm's modules: convolutions and linears, of them 1x1, and
# two products an attention (of MobileViT's nine, three are of one token at this size).
NETWORKS = {
    "mobilenetv2_100": ({"conv": 1, "depthwise": 17, "linear": 1, "pointwise": 34}, 0),
    "mobilenetv3_small_100": ({"conv": 1, "depthwise": 11, "linear": 1, "pointwise": 41}, 18),
    "efficientnet_b0": ({"conv": 1, "depthwise": 16, "linear": 1, "pointwise": 64}, 32),
    "resnet18": ({"conv": 17, "linear": 1, "pointwise": 3}, 0),
    "regnety_002": ({"conv": 1, "grouped": 13, "linear": 1, "pointwise": 56}, 26),
    "mobilevit_xxs": (
        {"attention": 12, "conv": 7, "depthwise": 7, "linear": 37, "pointwise": 21}, 0,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", NETWORKS)
def test_kinds_and_gates_of_convolutional_networks(name):
    roles = describe(export_timm(name))
    expected, gates = NETWORKS[name]
    assert kinds(roles) == expected
    assert sum(one.gate for one in roles.products) == gates
    assert [one.first for one in roles.products] == [True] + [False] * (len(roles.products) - 1)
    assert [one.last for one in roles.products] == [False] * (len(roles.products) - 1) + [True]


@pytest.mark.parametrize(
    ("name", "options", "blocks"),
    [
        ("vit_tiny_patch16_224", {"img_size": 64, "depth": 2, "embed_dim": 32, "num_heads": 2}, 2),
        (
            "swin_tiny_patch4_window7_224",
            {
                "img_size": 64,
                "window_size": 4,
                "depths": (2, 2),
                "embed_dim": 16,
                "num_heads": (1, 2),
            },
            4,
        ),
    ],
)
def test_kinds_of_transformers(name, options, blocks):
    roles = describe(export_timm(name, **options))
    merging = 1 if "swin" in name else 0
    assert kinds(roles) == {
        "attention": 2 * blocks, "conv": 1, "linear": 4 * blocks + 1 + merging,
    }  # fmt: skip
    assert not any(one.gate or one.computed for one in roles.products)
    assert roles.products[0].first
    assert roles.products[-1].last
    assert roles.stages == 1 + merging


def test_squeeze_and_excitation_is_a_gate_and_the_classifier_is_none():
    roles = describe(excited())
    assert [(one.name, one.kind) for one in roles.products] == [
        ("stem", "conv"),
        ("reduce", "pointwise"),
        ("expand", "pointwise"),
        ("window", "depthwise"),
        ("logits", "linear"),
    ]
    assert [one.name for one in roles.products if one.gate] == ["reduce", "expand"]
    assert [one.behind for one in roles.products] == ["relu", "relu", "act", "add", "nothing"]
    assert [one.macs for one in roles.products] == [64 * 27 * 8, 32, 32, 64 * 9 * 8, 40]


def test_roles_are_the_same_with_quantizers_in_the_graph():
    proto = write(
        [
            ("QuantizeLinear", ("images", "s", "z"), "q"),
            ("DequantizeLinear", ("q", "s", "z"), "x"),
            ("DequantizeLinear", ("w", "s", "z"), "weight"),
            ("Conv", ("x", "weight"), "y", {"group": 3}),
            ("Relu", ("y",), "logits"),
        ],
        {"s": np.float32(0.1), "z": np.int8(0), "w": np.ones((3, 1, 3, 3), np.int8)},
    )
    (found,) = describe(proto).products
    assert (found.kind, found.first, found.last, found.behind) == ("depthwise", True, True, "relu")
    assert found.macs == 36 * 9 * 3


def test_squeezenets_branches_are_concatenated():
    nodes = [
        ("Conv", ("images", "w1"), "squeeze"),
        ("Relu", ("squeeze",), "squeezed"),
        ("Conv", ("squeezed", "w2"), "left"),
        ("Conv", ("squeezed", "w3"), "right", {"pads": [1, 1, 1, 1]}),
        ("Concat", ("left", "right"), "both", {"axis": 1}),
        ("Conv", ("both", "w4"), "classes"),
        ("GlobalAveragePool", ("classes",), "pool"),
        ("Flatten", ("pool",), "logits"),
    ]
    weights = {
        "w1": draw(4, 3, 1, 1),
        "w2": draw(6, 4, 1, 1),
        "w3": draw(6, 4, 3, 3),
        "w4": draw(5, 12, 1, 1),
    }
    roles = describe(write(nodes, weights))
    assert [one.kind for one in roles.products] == ["pointwise", "pointwise", "conv", "pointwise"]
    assert [one.behind for one in roles.products] == ["relu", "concat", "concat", "nothing"]
    assert [one.name for one in roles.products if one.last] == ["classes"]


def test_a_sum_over_positions_is_no_product_and_token_mixing_is_one():
    def products(rows):
        nodes = [("Reshape", ("images", "shape"), "tokens"), ("MatMul", ("w", "tokens"), "logits")]
        constants = {"shape": np.array([1, 64, 3]), "w": draw(rows, 64)}
        return describe(write(nodes, constants)).products

    assert products(1) == ()
    (mixing,) = products(8)
    assert (mixing.kind, mixing.activation, mixing.weight) == ("linear", "tokens", "w")
    assert (mixing.axis, mixing.macs) == (-2, 8 * 64 * 3)


def test_a_mean_that_a_norm_subtracts_is_one_and_a_pool_is_none():
    def behind(last):
        nodes = [
            ("Conv", ("images", "w"), "y"),
            ("ReduceMean", ("y", "axes"), "mean"),
            (last, ("y", "mean"), "logits"),
        ]
        constants = {"w": draw(4, 3, 1, 1), "axes": np.array([1])}
        (found,) = describe(write(nodes, constants)).products
        return found.behind

    assert behind("Sub") == "norm"
    assert behind("Div") == "nothing"


def test_shares_of_the_work_are_by_kind():
    roles = describe(excited())
    assert roles.share("conv", "depthwise", "pointwise", "linear") == pytest.approx(1.0)
    assert roles.share("linear") == pytest.approx(40 / sum(one.macs for one in roles.products))
    assert roles.has("Gelu", "HardSigmoid")
    assert not roles.has("Gelu")
    assert roles.by_name["stem"].first
