"""Which convolutions read a Concat through signed pairs."""

import pytest
from support.miscomputed import (
    CONCATS_RIGHT,
    CONCATS_WRONG,
    Net,
    concat_graph,
)

from edge_convnext.graph.concat_pairs import (
    comes_from_concat,
    find_signed_concats,
)
from edge_convnext.graph.qdq import Wiring


def found(proto):
    return list(find_signed_concats(proto, Wiring(proto)))


@pytest.mark.parametrize("name", CONCATS_WRONG)
def test_a_signed_pair_between_a_concat_and_a_convolution_is_found(name):
    assert found(concat_graph(CONCATS_WRONG[name], "int8"))
    assert found(concat_graph(CONCATS_WRONG[name], "uint8")) == []


@pytest.mark.parametrize("name", CONCATS_RIGHT)
def test_its_neighbours_are_not(name):
    assert found(concat_graph(CONCATS_RIGHT[name], "int8")) == []


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
