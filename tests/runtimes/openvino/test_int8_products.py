"""What OpenVINO's own graph has in INT8."""

import numpy as np
import onnx
import pytest
from support.miscomputed import CHANNELS, concat_graph, scale_graph

pytest.importorskip("openvino", reason="the openvino extra is not installed")

from edge_convnext.runtimes.interface import RuntimeOptions
from edge_convnext.runtimes.openvino.int8_products import int8_products


def count(folder, proto):
    onnx.save(proto, folder / "g.onnx")
    return int8_products(folder / "g.onnx", RuntimeOptions(1))


def source(net):
    return net.pair(net.sources(CHANNELS)[0])


@pytest.mark.parametrize("act", ["int8", "uint8"])
@pytest.mark.parametrize(
    "write",
    [
        lambda n: n.conv(source(n)),
        lambda n: n.pair(n.op("Relu", n.conv(source(n)))),
        lambda n: n.conv(source(n), side=3, group=CHANNELS),
        lambda n: n.matmul(source(n)),
        lambda n: n.op("Add", n.matmul(source(n)), n.row(1, 8)),
    ],
)
def test_a_quantized_product_is_found(tmp_path, write, act):
    counted = count(tmp_path, concat_graph(write, act))
    assert (len(counted.planned), counted.found, counted.missing) == (1, 1, ())


def test_so_is_a_gemm(tmp_path):
    counted = count(tmp_path, scale_graph(lambda n: n.gemm(n.pair(n.mean())), "int8"))
    assert (len(counted.planned), counted.found) == (1, 1)


def with_a_zero_point(net, name):
    """A convolution of weights with a zero point, which OpenVINO runs in float."""
    stored = net.draw.integers(-127, 128, (CHANNELS, CHANNELS, 1, 1)).astype(np.int8)
    scales, zeros = np.full(CHANNELS, 0.003, np.float32), np.full(CHANNELS, 3, np.int8)
    return net.op(
        "Conv", name, net.op("DequantizeLinear", *map(net.put, (stored, scales, zeros)), axis=0)
    )


def test_what_runs_in_float_is_named(tmp_path):
    proto = concat_graph(lambda n: with_a_zero_point(n, n.pair(n.conv(source(n)))), "uint8")
    counted = count(tmp_path, proto)
    assert (len(counted.planned), counted.found) == (2, 1)
    assert counted.missing == (
        (counted.planned[1], "OpenVINO runs it in float, and does not say why"),
    )
