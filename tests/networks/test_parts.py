import pytest

from edge_convnext.measure.profile import find_part
from edge_convnext.networks.convnext.parts import PARTS
from edge_convnext.networks.parts import PLAIN, part_of_node, part_of_nodes, parts_by_role
from edge_convnext.runtimes.profiler import LayerTimes


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("stem.conv/Conv", "stem"),
        ("stages.1.downsample.norm/ReduceMean_1", "downsample"),
        ("stages.0.blocks.0.act/Gelu", "gelu"),
        ("stages.0.blocks.0/Add", "residual"),
        ("stages.0.blocks.0/Transpose_1", "reorder"),
        ("head/ReduceMean", "head"),
        ("QuantizeLinear_stages.0.blocks.0.norm/Equalize_1", "quantize"),
        ("images_q", "quantize"),
        ("Multiply_17493", None),
    ],
)
def test_the_part_of_a_node_is_its_module(name, part):
    assert part_of_node(name, PARTS) == part


@pytest.mark.parametrize(
    ("nodes", "operation", "part"),
    [
        (("stages.0.blocks.0.act/Gelu", "stages.0.blocks.0.pwconv1/Add"), "BiasGelu", "gelu"),
        (("stages.0.blocks.0.act/Gelu", "stages.0.blocks.0.pwconv1/MatMul"), "Conv", "pwconv1"),
        (("stages.0.blocks.0.grn/Mul", "QuantizeLinear_a_1"), "Subgraph", "grn"),
        (("QuantizeLinear_a_1",), "Subgraph", "quantize"),
        (("stages.0.blocks.0.grn/Mul",), "QuantizeLinear", "quantize"),
        ((), "Reorder", "reorder"),
        ((), "Subgraph", "other"),
    ],
)
def test_a_fused_layer_counts_for_its_weights_or_most_of_its_nodes(nodes, operation, part):
    layer = LayerTimes("fused", nodes, operation, "jit", "f32", 0, (1.0,))
    assert find_part(layer, PARTS) == part


ROLES = {
    "a/Conv": ("first", None),
    "b": ("depthwise", 1),  # a name that tells nothing
    "c/Relu": ("activation", 1),
    "d/MatMul": ("linear", 0),
    "e/Gemm": ("last", None),
    "f/Reshape": ("reorder", None),
    "g": ("quantize", None),
}


def test_parts_by_role_are_in_the_order_of_the_network():
    parts = parts_by_role(ROLES)
    assert parts.names == (
        "first", "stage 1 linear", "stage 2 depthwise", "stage 2 activation", "last", "quantize",
        "reorder", "other",
    )  # fmt: skip
    assert parts.weighted == {"first", "stage 1 linear", "stage 2 depthwise", "last"}
    assert part_of_node("b", parts) == "stage 2 depthwise"
    assert part_of_node("g", parts) == "quantize"
    assert part_of_node("of/nobody", parts) is None
    assert part_of_node("QuantizeLinear_of_nobody", parts) == "quantize"


def test_a_product_is_known_by_its_role_and_not_by_its_name():
    parts = parts_by_role(ROLES)
    assert part_of_nodes(["c/Relu", "f/Reshape", "b"], parts) == "stage 2 depthwise"
    assert part_of_nodes(["c/Relu", "f/Reshape", "c/Relu", "g"], parts) == "stage 2 activation"


def test_depthwise_nodes_and_blocks_are_told_by_role_or_by_name():
    parts = parts_by_role(ROLES)
    assert [node for node in ROLES if parts.is_depthwise(node)] == ["b"]
    assert PARTS.is_depthwise("stages.0.blocks.0.dwconv/Conv")
    assert not PARTS.is_depthwise("b")
    assert PARTS.is_in_block("stages.0.blocks.0.dwconv/Conv")
    for other in (parts, PLAIN):
        assert not other.is_in_block("stages.0.blocks.0.dwconv/Conv")
    assert not PLAIN.is_depthwise("stages.0.blocks.0.dwconv/Conv")
