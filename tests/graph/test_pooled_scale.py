"""Which pooled rows have a constant [C] and Q/DQ beside them, and the exact way around."""

import numpy as np
import onnx
import pytest
from support.miscomputed import (
    SCALES_RIGHT,
    SCALES_WRONG,
    is_wrong_in_openvino,
    scale_graph,
    standard,
)

from edge_convnext.core.metrics import sqnr_db
from edge_convnext.graph.pooled_scale import find_pooled_scales, is_pooled, keep_pooled_axes
from edge_convnext.graph.qdq import Wiring


def found(proto):
    return list(find_pooled_scales(proto, Wiring(proto)))


@pytest.mark.parametrize("act", ["int8", "uint8"])
@pytest.mark.parametrize("name", SCALES_WRONG)
def test_with_its_axes_kept_and_squeezed_behind_it_is_right(tmp_path, name, act):
    proto = scale_graph(SCALES_WRONG[name], act)
    before = standard(proto)
    (one,) = found(proto)
    assert one.scale.op_type in ("Mul", "Div", "Add", "Sub", "BatchNormalization")
    assert keep_pooled_axes(proto) == (one.reduction.name,)
    onnx.checker.check_model(proto, full_check=True)
    assert found(proto) == []
    assert np.array_equal(standard(proto), before)
    assert sqnr_db(standard(proto), before) is None
    assert not is_wrong_in_openvino(proto, tmp_path)


@pytest.mark.parametrize("name", SCALES_RIGHT)
def test_what_is_right_stays_as_it_is(name):
    proto = scale_graph(SCALES_RIGHT[name], "int8")
    before = proto.SerializeToString()
    assert keep_pooled_axes(proto) == ()
    assert proto.SerializeToString() == before


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
