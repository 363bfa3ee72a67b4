import numpy as np
import pytest
from support.tiny_qdq import Builder
from support.written_networks import IMAGES, attention, gated

from edge_convnext.graph.node_parts import NodePart, find_node_parts
from edge_convnext.graph.placements import find_placement
from edge_convnext.graph.placer import place
from edge_convnext.graph.roles import describe


def told(proto):
    return {name.partition("/")[0]: part for name, part in find_node_parts(proto).items()}


def test_a_gate_reaches_from_its_pool_to_its_product():
    parts = told(gated())
    assert {name for name, part in parts.items() if part.role == "gate"} == {
        "squeezed", "reduce", "low", "expand", "gate", "excited",
    }  # fmt: skip
    assert parts["stem"] == NodePart("first", None)
    assert parts["dw"].role == "depthwise"
    assert parts["left"].role == "pointwise"
    assert parts["dw_act"] == NodePart("activation", parts["dw"].stage)
    assert parts["joined"] == NodePart("reorder", None)
    assert [parts[name].role for name in ("pooled", "mean", "logits")] == ["pool", "pool", "last"]


def test_what_attention_does_is_told_from_what_only_moves_values():
    parts = told(attention(mask=-100.0))
    roles = {name: part.role for name, part in parts.items()}
    assert {name for name, role in roles.items() if role == "attention"} == {
        "scores", "scaled", "masked", "weights", "values",
    }  # fmt: skip
    assert roles["norm"] == "norm"
    assert roles["qkv"] == roles["qkv_biased"] == roles["projected"] == "linear"
    assert roles["residual"] == "residual"
    assert roles["embed"] == "first"
    assert all(roles[name] == "reorder" for name in ("flat", "turned", "q", "kt", "joined"))


@pytest.mark.parametrize("proto", [gated(), attention()], ids=["gated", "attention"])
def test_quantized_nodes_keep_their_parts(proto):
    batches = np.split(IMAGES, 4)
    after = place(proto, describe(proto), find_placement("weighted"), "int8", batches)
    before, found = find_node_parts(proto), find_node_parts(after)
    assert {name: found[name] for name in before} == dict(before)
    added = {part.role for name, part in found.items() if name not in before}
    assert added == {"quantize"}


def test_a_norm_that_is_written_out_is_a_norm():
    build = Builder()
    axes = build.constant("axes", np.array([1]))
    mean = build.node("ReduceMean", ["images", axes], "mean")
    off = build.node("Sub", ["images", mean], "off")
    square = build.node("Pow", [off, build.constant("two", np.float32(2))], "square")
    variance = build.node("ReduceMean", [square, axes], "variance")
    root = build.node("Sqrt", [variance], "root")
    scaled = build.node("Div", [off, root], "scaled")
    affine = build.node("Mul", [scaled, build.constant("g", np.ones((4, 1, 1), np.float32))], "g_")
    w = build.constant("w", np.ones((5, 4, 1, 1), np.float32))
    y = build.node("Conv", [affine, w], "y")
    roles = {
        name: part.role for name, part in told(build.model({"images": [1, 4, 3, 3]}, y, 4)).items()
    }
    names = ("mean", "off", "square", "root", "scaled", "g_")
    assert {roles[name] for name in names} == {"norm"}
