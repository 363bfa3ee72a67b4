import pytest

from edge_convnext.measure.profile import find_part
from edge_convnext.networks.convnext.parts import PARTS
from edge_convnext.networks.parts import part_of_node
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
