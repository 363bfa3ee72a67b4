import pytest

from edge_convnext.networks.convnext.parts import PARTS
from edge_convnext.networks.parts import part_of_nodes


def test_parts_are_named_once_and_those_with_weights_are_among_them():
    assert len(set(PARTS.names)) == len(PARTS.names)
    assert PARTS.weighted < set(PARTS.names)
    assert {"quantize", "reorder", "other"} <= set(PARTS.names)
    assert not {"norm", "gelu", "grn", "residual"} & PARTS.weighted


@pytest.mark.parametrize(
    ("nodes", "part"),
    [
        (["stages.0.blocks.0.norm/Mul", "stages.0.blocks.0.pwconv1/MatMul"], "pwconv1"),
        (["stages.0.blocks.0.act/Gelu", "stages.0.blocks.0.act/Mul", "head.fc/Add"], "gelu"),
        ([], "other"),
        (["x_q"], "quantize"),
    ],
)
def test_fused_nodes_count_for_their_product_or_most_of_them(nodes, part):
    assert part_of_nodes(nodes, PARTS) == part
