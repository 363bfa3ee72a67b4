"""The rules alone; `test_int8_products` and `test_lint` hold them against ONNX Runtime itself."""

import pytest
from support.miscomputed import CHANNELS, concat_graph

from edge_convnext.graph.qdq import Wiring
from edge_convnext.runtimes.onnxruntime.int8_rules import why_in_float


def conv(net):
    return net.conv(net.pair(net.sources(CHANNELS)[0]))


def read_twice(net):
    made = conv(net)
    return net.op("Add", net.pair(made), made)


@pytest.mark.parametrize(
    ("write", "why"),
    [
        (lambda n: n.pair(conv(n)), None),
        (conv, "no pair of Q/DQ on its output"),
        (read_twice, "more than the pair of Q/DQ reads its output"),
        (lambda n: n.pair(n.op("Relu", conv(n))), "the pair behind its Relu is signed: it has to "
                                                  "be uint8, from 0 up"),
    ],
)  # fmt: skip
def test_what_a_convolution_lacks_is_told_or_nothing(write, why):
    proto = concat_graph(write, "int8")
    wiring = Wiring(proto)
    found = [why_in_float(node, wiring) for node in proto.graph.node if wiring.is_quantized(node)]
    assert found == [why]
