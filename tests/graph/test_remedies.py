"""Written otherwise, the same numbers: and right in OpenVINO."""

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from support.miscomputed import (
    ATTENTIONS_RIGHT,
    ATTENTIONS_WRONG,
    ATTENTIONS_WRONG_IN_BF16,
    CONCATS_RIGHT,
    CONCATS_WRONG,
    SCALES_RIGHT,
    SCALES_WRONG,
    attention_graph,
    concat_graph,
    is_wrong_in_openvino,
    scale_graph,
    standard,
)

from edge_convnext.graph.concat_pairs import find_signed_concats
from edge_convnext.graph.pooled_scale import find_pooled_scales
from edge_convnext.graph.qdq import Wiring
from edge_convnext.graph.remedies import (
    keep_pooled_axes,
    move_heads_in_five_axes,
    unsign_concats,
)
from edge_convnext.graph.square_attention import find_square_attention
from edge_convnext.runtimes.openvino.runner import supports_bf16

MOVED = {**ATTENTIONS_WRONG, **ATTENTIONS_WRONG_IN_BF16}


def found(find, proto):
    return list(find(proto, Wiring(proto)))


@pytest.mark.parametrize("name", CONCATS_WRONG)
def test_a_pair_made_unsigned_computes_the_same_and_is_right(tmp_path, name):
    proto = concat_graph(CONCATS_WRONG[name], "int8")
    before = standard(proto)
    convs = {one.conv.name for one in found(find_signed_concats, proto)}
    assert set(unsign_concats(proto)) == convs
    onnx.checker.check_model(proto, full_check=True)
    assert found(find_signed_concats, proto) == []
    assert np.array_equal(standard(proto), before)
    assert not is_wrong_in_openvino(proto, tmp_path)


@pytest.mark.parametrize("act", ["int8", "uint8"])
@pytest.mark.parametrize("name", SCALES_WRONG)
def test_a_reduction_that_keeps_its_axes_computes_the_same_and_is_right(tmp_path, name, act):
    proto = scale_graph(SCALES_WRONG[name], act)
    before = standard(proto)
    (one,) = found(find_pooled_scales, proto)
    assert keep_pooled_axes(proto) == (one.reduction.name,)
    onnx.checker.check_model(proto, full_check=True)
    assert found(find_pooled_scales, proto) == []
    assert np.array_equal(standard(proto), before)
    assert not is_wrong_in_openvino(proto, tmp_path)


@pytest.mark.parametrize("name", MOVED)
def test_heads_moved_in_five_axes_compute_the_same_and_are_right(tmp_path, name):
    proto = attention_graph(MOVED[name])
    before = standard(proto)
    (one,) = found(find_square_attention, proto)
    assert move_heads_in_five_axes(proto) == (one.softmax.name,)
    del proto.graph.value_info[:]
    onnx.checker.check_model(onnx.shape_inference.infer_shapes(proto), full_check=True)
    assert found(find_square_attention, proto) == []
    assert np.array_equal(standard(proto), before)
    assert not is_wrong_in_openvino(proto, tmp_path)
    if supports_bf16():
        assert not is_wrong_in_openvino(proto, tmp_path, "bf16", 25.0)


@pytest.mark.parametrize("name", ATTENTIONS_RIGHT)
def test_right_attention_stays_as_it_is(name):
    proto = attention_graph(ATTENTIONS_RIGHT[name])
    before = proto.SerializeToString()
    assert move_heads_in_five_axes(proto) == ()
    assert proto.SerializeToString() == before


@pytest.mark.parametrize("name", CONCATS_RIGHT)
def test_a_right_concat_stays_as_it_is(name):
    proto = concat_graph(CONCATS_RIGHT[name], "int8")
    before = proto.SerializeToString()
    assert unsign_concats(proto) == ()
    assert proto.SerializeToString() == before


@pytest.mark.parametrize("name", SCALES_RIGHT)
def test_a_right_reduction_stays_as_it_is(name):
    proto = scale_graph(SCALES_RIGHT[name], "int8")
    before = proto.SerializeToString()
    assert keep_pooled_axes(proto) == ()
    assert proto.SerializeToString() == before


def test_the_zero_point_moves_and_other_readers_of_it_do_not():
    def write(net):
        zero = net.put(np.int8(3))
        grid = [net.put(np.float32(0.05)), zero]
        pair = net.op("DequantizeLinear", net.op("QuantizeLinear", net.concat(), *grid), *grid)
        return net.op("Add", net.conv(pair), net.op("DequantizeLinear", zero, grid[0]))

    proto = concat_graph(write, "int8")
    before = standard(proto)
    (conv,) = unsign_concats(proto)
    assert conv.endswith("/Conv")
    zeros = [
        int(numpy_helper.to_array(one))
        for one in proto.graph.initializer
        if not one.dims and one.data_type != onnx.TensorProto.FLOAT
    ]
    assert sorted(zeros) == [3, 131]
    assert np.array_equal(standard(proto), before)
