"""Which convolutions read a Concat through signed pairs, and pairs made unsigned: the same."""

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from support.miscomputed import (
    CONCATS_RIGHT,
    CONCATS_WRONG,
    Net,
    concat_graph,
    is_wrong_in_openvino,
    standard,
)

from edge_convnext.graph.concat_pairs import (
    comes_from_concat,
    find_signed_concats,
    unsign_concats,
)
from edge_convnext.graph.qdq import Wiring


def found(proto):
    return list(find_signed_concats(proto, Wiring(proto)))


@pytest.mark.parametrize("name", CONCATS_WRONG)
def test_a_pair_made_unsigned_computes_the_same_and_is_right(tmp_path, name):
    proto = concat_graph(CONCATS_WRONG[name], "int8")
    before, convs = standard(proto), {one.conv.name for one in found(proto)}
    assert set(unsign_concats(proto)) == convs
    onnx.checker.check_model(proto, full_check=True)
    assert found(proto) == []
    assert np.array_equal(standard(proto), before)
    assert not is_wrong_in_openvino(proto, tmp_path)


@pytest.mark.parametrize("name", CONCATS_RIGHT)
def test_what_is_right_stays_as_it_is(name):
    proto = concat_graph(CONCATS_RIGHT[name], "int8")
    before = proto.SerializeToString()
    assert unsign_concats(proto) == ()
    assert proto.SerializeToString() == before


def test_the_zero_point_moves_and_other_readers_of_it_do_not():
    def write(net):
        left, right = net.sources()
        zero = net.put(np.int8(3))
        grid = [net.put(np.float32(0.05)), zero]
        pair = net.op(
            "DequantizeLinear", net.op("QuantizeLinear", net.concat(left, right), *grid), *grid
        )
        return net.op("Add", net.conv(pair), net.op("DequantizeLinear", zero, grid[0]))

    proto = concat_graph(write, "int8")
    before = standard(proto)
    (conv,) = unsign_concats(proto)
    assert conv.endswith("/Conv")
    zeros = {
        one.name: int(numpy_helper.to_array(one))
        for one in proto.graph.initializer
        if numpy_helper.to_array(one).shape == () and one.data_type != onnx.TensorProto.FLOAT
    }
    assert sorted(zeros.values()) == [3, 131]
    assert np.array_equal(standard(proto), before)


def test_a_found_one_names_the_convolution_the_concat_and_the_pairs():
    (one,) = found(concat_graph(CONCATS_WRONG["pairs before, none behind"], "int8"))
    assert (one.conv.op_type, one.concat.op_type) == ("Conv", "Concat")
    assert [pair.op_type for pair in one.pairs] == ["DequantizeLinear"] * 2


@pytest.mark.parametrize(
    ("write", "told"),
    [
        (lambda net: net.concat(), True),
        (lambda net: net.op("Relu", net.concat()), True),
        (lambda net: net.op("Mul", net.row(1), net.concat()), True),
        (lambda net: net.op("Sub", net.concat(), net.row(1)), True),
        (lambda net: net.op("Sub", net.row(1), net.concat()), False),
        (lambda net: net.op("Sigmoid", net.concat()), False),
        (lambda net: net.op("Add", net.concat(), net.sources(16)[0]), False),
        (lambda net: net.concat(net.sources()[0]), False),
        (lambda net: net.sources()[0], False),
        (lambda net: "x", False),
    ],
)
def test_whether_a_value_comes_from_a_concat_is_told_of_a_float_graph(write, told):
    net = Net()
    name = write(net)
    proto = concat_graph(lambda _: name, "int8")
    proto.graph.node.extend(net.nodes)
    proto.graph.initializer.extend(net.constants)
    net.op("Conv", name)
    proto.graph.node.append(net.nodes[-1])
    del proto.graph.output[:]
    assert comes_from_concat(Wiring(proto), name) == told
