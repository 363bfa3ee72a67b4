"""Which pooled rows have a constant [C] and Q/DQ beside them."""

import pytest
from support.miscomputed import (
    SCALES_RIGHT,
    SCALES_WRONG,
    scale_graph,
)

from edge_convnext.graph.pooled_scale import find_pooled_scales, is_pooled
from edge_convnext.graph.qdq import Wiring


def found(proto):
    return list(find_pooled_scales(proto, Wiring(proto)))


@pytest.mark.parametrize("act", ["int8", "uint8"])
@pytest.mark.parametrize("name", SCALES_WRONG)
def test_a_constant_of_every_channel_beside_a_reduction_is_found(name, act):
    (one,) = found(scale_graph(SCALES_WRONG[name], act))
    assert one.reduction.op_type in ("ReduceMean", "ReduceMax")
    assert one.scale.op_type in ("Mul", "Div", "Add", "Sub", "BatchNormalization")


@pytest.mark.parametrize("act", ["int8", "uint8"])
@pytest.mark.parametrize("name", SCALES_RIGHT)
def test_its_neighbours_are_not(name, act):
    assert found(scale_graph(SCALES_RIGHT[name], act)) == []


@pytest.mark.parametrize(
    ("name", "told"),
    [("mean", True), ("mean, mul by one number", True), ("kept axes, mul, flatten", False)],
)
def test_whether_a_value_is_pooled_is_told_of_what_is_quantized(name, told):
    proto = scale_graph(SCALES_RIGHT[name], "int8")
    (quantize,) = [one for one in proto.graph.node if one.op_type == "QuantizeLinear"]
    assert is_pooled(Wiring(proto), quantize.input[0]) == told


def test_an_image_is_not_pooled():
    proto = scale_graph(SCALES_RIGHT["mean"], "int8")
    assert not is_pooled(Wiring(proto), "x")
