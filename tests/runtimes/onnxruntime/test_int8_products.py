"""What ONNX Runtime's optimized graph has in INT8, and why the rest is in float."""

import numpy as np
import onnx
import pytest
from support.miscomputed import CHANNELS, concat_graph

from edge_convnext.runtimes.interface import RuntimeOptions
from edge_convnext.runtimes.lint import lint
from edge_convnext.runtimes.onnxruntime.int8_products import int8_products

POOL = {"kernel_shape": [2, 2]}


def count(folder, write, act):
    path = folder / "g.onnx"
    onnx.save(concat_graph(write, act), path)
    return int8_products(path, RuntimeOptions(1))


def conv(net):
    return net.conv(net.pair(net.sources(CHANNELS)[0]))


def gemm(net, bias=None):
    """A Gemm of a pooled map, with a bias of float32, of int32, or without."""
    rows = net.mean(net.sources(CHANNELS)[0], (2, 3))
    given = [net.pair(rows), net.weight((10, CHANNELS), 0)]
    if bias == "float":
        given.append(net.row(10))
    if bias == "int32":
        stored = (np.arange(10, dtype=np.int32), np.full(10, 0.003 * 6 / 127, np.float32))
        given.append(net.op("DequantizeLinear", *map(net.put, stored), axis=0))
    return net.op("Gemm", *given, transB=1)


def grid(net, name, scale, zero):
    pair = [net.put(np.float32(scale)), net.put(zero)]
    return net.op("DequantizeLinear", net.op("QuantizeLinear", name, *pair), *pair)


def clip(net, name):
    return net.op("Clip", name, net.put(np.float32(0)), net.put(np.float32(6)))


@pytest.mark.parametrize(
    ("write", "act", "found"),
    [
        (lambda n: n.pair(conv(n)), "uint8", 1),
        (lambda n: n.pair(conv(n)), "int8", 1),
        (lambda n: n.pair(n.op("Relu", conv(n))), "int8", 0),
        (lambda n: grid(n, n.op("Relu", conv(n)), 0.02, np.uint8(0)), "uint8", 1),
        (lambda n: grid(n, clip(n, conv(n)), 6 / 255, np.uint8(0)), "uint8", 1),
        (lambda n: grid(n, clip(n, conv(n)), 6.4 / 255, np.uint8(0)), "uint8", 0),
        (conv, "uint8", 0),
        (lambda n: n.matmul(n.pair(n.sources(CHANNELS)[0])), "int8", 1),
        # Two grids, before and behind a MaxPool, cost that one an INT8 kernel and no product.
        (
            lambda n: grid(n, n.op("MaxPool", n.pair(conv(n)), **POOL), 0.04, np.uint8(128)),
            "uint8",
            1,
        ),
        (lambda n: n.pair(n.op("MaxPool", conv(n), **POOL)), "uint8", 1),
        # A Gemm may have a float output, but for a float bias, and for a Relu that stays.
        (gemm, "uint8", 1),
        (lambda n: gemm(n, "float"), "uint8", 0),
        (lambda n: gemm(n, "int32"), "int8", 1),
        (lambda n: n.op("Sigmoid", gemm(n, "int32")), "uint8", 1),
        (lambda n: n.pair(gemm(n, "float")), "uint8", 1),
        (lambda n: n.op("Softmax", n.op("Relu", gemm(n, "int32"))), "uint8", 0),
        (lambda n: n.pair(n.op("Relu", gemm(n, "int32"))), "int8", 0),
        (lambda n: grid(n, n.op("Relu", gemm(n, "float")), 0.02, np.uint8(0)), "uint8", 1),
        (lambda n: grid(n, clip(n, gemm(n)), 6.4 / 255, np.uint8(0)), "uint8", 0),
    ],
)
def test_what_is_planned_is_found_or_says_why_not(tmp_path, write, act, found):
    counted = count(tmp_path, write, act)
    assert (len(counted.planned), counted.found) == (1, found)
    assert [name for name, _ in counted.missing] == list(counted.planned)[found:]
    assert all("does not say why" not in why for _, why in counted.missing)
    told = [one.rule for one in lint(tmp_path / "g.onnx", "onnxruntime")]
    assert told == ["float-kernel"] * (1 - found)  # before it is loaded


def test_what_it_quantizes_unplanned_is_told_and_makes_up_for_nothing(tmp_path):
    def write(net):
        planned = net.conv(net.pair(net.sources(CHANNELS)[0]))
        own = net.pair(
            net.op("Conv", net.pair(planned), net.weight((CHANNELS,) * 2 + (1, 1), 0, whole=True))
        )
        return net.op("Sigmoid", net.conv(own))

    counted = count(tmp_path, write, "uint8")
    first, second = counted.planned
    assert (counted.found, [name for name, _ in counted.missing]) == (1, [second])
    ((name, why),) = counted.beyond
    assert name not in (first, second)
    assert "rounds the weights of a convolution between two pairs" in why


@pytest.mark.parametrize(
    ("write", "act", "why"),
    [
        (conv, "uint8", "no pair of Q/DQ on its output"),
        (
            lambda n: gemm(n, "float"),
            "uint8",
            "its bias is float, and no pair of Q/DQ on its output",
        ),
        (
            lambda n: n.op("Softmax", n.op("Relu", gemm(n))),
            "uint8",
            "no pair of Q/DQ on its output",
        ),
        (
            lambda n: n.pair(n.op("Sigmoid", conv(n))),
            "uint8",
            "no pair of Q/DQ on its output",
        ),
        (
            lambda n: n.pair(n.op("Relu", conv(n))),
            "int8",
            "the pair behind its Relu is signed: it has to be uint8, from 0 up",
        ),
        (
            lambda n: n.pair(n.op("Relu", conv(n))),
            "uint8",
            "the pair behind its Relu is with a zero point: it has to be uint8, from 0 up",
        ),
        (
            lambda n: grid(n, clip(n, conv(n)), 6.4 / 255, np.uint8(0)),
            "uint8",
            "its range reaches past the Clip: 6.4, and the Clip ends at 6",
        ),
        (
            lambda n: n.op("MaxPool", conv(n), kernel_shape=[2, 2]),
            "uint8",
            "no pair of Q/DQ on its output",
        ),
        (
            lambda n: n.op(
                "ConvTranspose",
                n.pair(n.sources(CHANNELS)[0]),
                n.weight((CHANNELS, 8, 2, 2), 1),
            ),
            "uint8",
            "ONNX Runtime has no INT8 ConvTranspose",
        ),
    ],
)
def test_each_rule_is_told_by_its_name(tmp_path, write, act, why):
    counted = count(tmp_path, write, act)
    assert counted.found == 0
    assert [told for _, told in counted.missing] == [why]


def test_of_several_the_one_in_float_is_named(tmp_path):
    def write(net):
        first = net.pair(conv(net))
        return net.conv(first)

    counted = count(tmp_path, write, "uint8")
    assert (len(counted.planned), counted.found) == (2, 1)
    assert counted.missing == ((counted.planned[1], "no pair of Q/DQ on its output"),)
