import pytest

from edge_convnext.networks.convnext.placements import quantized_nodes

POINTWISE = {
    "stem.conv/Conv",
    "stages.0.blocks.0.pwconv1/MatMul",
    "stages.0.blocks.0.pwconv2/Conv",
    "stages.1.downsample.conv/Conv",
    "head.fc/Gemm",
}
DEPTHWISE = {"stages.0.blocks.0.dwconv/Conv"}
STRANGERS = {"conv/Conv", "MatMul", "features.dwconv1/Conv", "head/Gemm"}


@pytest.mark.parametrize(
    ("placement", "expected"),
    [("pointwise", POINTWISE), ("weighted", POINTWISE | DEPTHWISE), ("all", None)],
)
def test_a_placement_is_a_set_of_modules(placement, expected):
    assert quantized_nodes(POINTWISE | DEPTHWISE | STRANGERS, placement) == expected
