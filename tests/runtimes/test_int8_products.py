"""Which products a file plans in INT8."""

import pytest
from support.miscomputed import CHANNELS, concat_graph
from support.tiny_qdq import quantized_product

from edge_convnext.graph.qdq import Wiring
from edge_convnext.runtimes.int8_products import planned_products


def planned(proto):
    return planned_products(proto, Wiring(proto))


@pytest.mark.parametrize("kind", ["Conv", "MatMul"])
def test_a_product_of_quantized_values_is_planned(kind):
    assert planned(quantized_product(kind)) == (f"product/{kind}",)
    assert planned(quantized_product(kind, quantize_input=False)) == ()


def test_attention_and_a_transposed_convolution_are_products_too():
    def write(net):
        left, right = (net.pair(one) for one in net.sources(CHANNELS))
        attention = net.op("MatMul", left, net.op("Transpose", right, perm=[0, 1, 3, 2]))
        wide = net.op("ConvTranspose", net.pair(attention), net.weight((CHANNELS, 8, 2, 2), 1))
        return net.op("MatMul", wide, wide)  # of floats

    assert [name.partition("/")[2] for name in planned(concat_graph(write, "int8"))] == [
        "MatMul", "ConvTranspose",
    ]  # fmt: skip
