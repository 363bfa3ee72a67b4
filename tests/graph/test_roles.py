"""Roles: on ConvNeXt they are what its module names say, on other networks what is known of them."""

from __future__ import annotations

from typing import get_args

import numpy as np
import onnx
import pytest
from support.small_exports import TINY, export_tiny
from support.timm_exports import export_timm

from edge_convnext.graph.placements import quantized
from edge_convnext.graph.qdq import WEIGHTED_OPS
from edge_convnext.graph.roles import describe
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
    weighted = [node.name for node in proto.graph.node if node.op_type in WEIGHTED_OPS]
    roles = describe(proto)
    assert {one.name for one in roles.products} == set(weighted)
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
# two products an attention.
NETWORKS = {
    "mobilenetv2_100": ({"conv": 1, "depthwise": 17, "linear": 1, "pointwise": 34}, 0),
    "mobilenetv3_small_100": ({"conv": 1, "depthwise": 11, "linear": 1, "pointwise": 40}, 18),
    "efficientnet_b0": ({"conv": 1, "depthwise": 16, "linear": 1, "pointwise": 64}, 32),
    "resnet18": ({"conv": 17, "linear": 1, "pointwise": 3}, 0),
    "regnety_002": ({"conv": 1, "grouped": 13, "linear": 1, "pointwise": 56}, 26),
    "mobilevit_xxs": ({"attention": 18, "conv": 10, "depthwise": 7, "linear": 37, "pointwise": 21}, 0),
}  # fmt: skip


@pytest.mark.parametrize("name", NETWORKS)
def test_kinds_and_gates_of_convolutional_networks(name):
    roles = describe(export_timm(name))
    print(kinds(roles), sum(one.gate for one in roles.products))
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
