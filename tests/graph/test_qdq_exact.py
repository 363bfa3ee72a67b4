"""Who reads what in a Q/DQ graph, and what each pass leaves alone."""

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from support.tiny_qdq import CHANNELS, Builder, quantized_product

from edge_convnext.core.errors import QuantizationError
from edge_convnext.graph.qdq import (
    Wiring,
    channel_scales,
    drop_unread_constants,
    force_signed,
    guard_biases,
    is_transposed,
    scale_constant,
)


def graph_of(build, outputs=()):
    values = [helper.make_tensor_value_info(name, 1, None) for name in outputs]
    return helper.make_model(helper.make_graph(build.nodes, "g", [], values, build.constants))


def node_of(proto, name):
    (node,) = [node for node in proto.graph.node if node.name == name]
    return node


def test_a_value_is_private_to_one_reader_unless_the_graph_returns_it():
    build = Builder()
    build.node("Relu", ["x"], "a")
    build.node("Relu", ["a"], "b")
    build.node("Add", ["b", "b"], "c")
    build.node("Relu", ["a.2"], "d")
    wiring = Wiring(graph_of(build, ["a.2", "d"]))
    private = [name for name in ("x", "a", "b", "c", "a.2", "d") if wiring.is_private(name)]
    assert private == ["x", "a"]
    assert [node.name for node in wiring.readers["b"]] == ["c/Add", "c/Add"]


def test_a_constant_has_a_value_and_nothing_else_does():
    wiring = Wiring(quantized_product())
    assert wiring.value("dq") is None
    assert wiring.value("images") is None
    np.testing.assert_array_equal(wiring.value("weight_scale"), np.full(CHANNELS, 0.01, np.float32))


def moved_product(kinds):
    """A product whose activation passes through other nodes first."""
    proto = quantized_product()
    product = node_of(proto, "product/MatMul")
    name = "dq"
    for kind in kinds:
        node = helper.make_node(kind, [name], [f"{name}.{kind}"], name=f"{name}.{kind}")
        proto.graph.node.insert(len(proto.graph.node) - 2, node)
        name = node.output[0]
    product.input[0] = name
    return proto, product


@pytest.mark.parametrize(
    ("kinds", "found"),
    [((), True), (("Transpose",), True), (("Reshape", "Transpose"), True), (("Relu",), False)],
)
def test_a_quantizer_is_found_behind_what_only_moves_its_values(kinds, found):
    proto, product = moved_product(kinds)
    wiring = Wiring(proto)
    quantizer = wiring.quantizer(product.input[0])
    assert (quantizer.name if quantizer is not None else None) == (
        "dq/DequantizeLinear" if found else None
    )
    assert wiring.is_quantized(product) is found
    assert wiring.has_quantized_weight(product)


def test_a_product_is_quantized_where_both_of_its_operands_are():
    wiring = Wiring(quantized_product(quantize_input=False))
    product = wiring.producer["product"]
    assert wiring.has_quantized_weight(product)
    assert not wiring.is_quantized(product)
    assert wiring.quantizer("images") is None
    full = Wiring(quantized_product())
    assert not full.has_quantized_weight(full.producer["sum"])  # an Add, of a bias
    sum_of_weights = helper.make_node("Add", ["dq", "weights"], ["s"])
    assert not full.has_quantized_weight(sum_of_weights)


def test_every_unsigned_quantizer_becomes_signed_once():
    proto = quantized_product(activation=np.uint8)
    quantize = node_of(proto, "q/QuantizeLinear")
    second = helper.make_node("QuantizeLinear", list(quantize.input), ["q2"], name="q2")
    proto.graph.node.append(second)  # of the same scale and zero point
    build = Builder()
    build.constant("s3", np.float32(0.5))
    build.constant("z3", np.zeros((), np.uint8))
    proto.graph.initializer.extend(build.constants)
    proto.graph.node.append(helper.make_node("QuantizeLinear", ["images", "s3", "z3"], ["q3"]))
    assert force_signed(proto) == 2
    wiring = Wiring(proto)
    assert float(wiring.value("scale")) == np.float32(np.float64(np.float32(0.02)) * 255 / 127)
    assert float(wiring.value("s3")) == np.float32(0.5 * 255 / 127)
    for name in ("zero_point", "z3"):
        assert wiring.value(name).dtype == np.int8
        assert wiring.value(name).shape == ()
        assert int(wiring.value(name)) == 0
    assert wiring.value("scale").dtype == np.float32


def test_quantizers_without_a_constant_unsigned_zero_point_are_left_as_they_are():
    proto = quantized_product()
    proto.graph.node.append(helper.make_node("QuantizeLinear", ["images", "scale"], ["q2"]))
    proto.graph.node.append(helper.make_node("QuantizeLinear", ["images", "scale", "t"], ["q3"]))
    before = proto.SerializeToString()
    assert force_signed(proto) == 0
    assert proto.SerializeToString() == before


def test_a_later_unsigned_quantizer_is_found_behind_those_that_are_not():
    proto = quantized_product(activation=np.uint8)
    first = helper.make_node("QuantizeLinear", ["images", "scale"], ["q0"], name="q0")
    proto.graph.node.insert(0, first)
    assert force_signed(proto) == 1


def test_the_zero_point_that_can_not_be_signed_is_told():
    proto = quantized_product(activation=np.uint8, activation_zero=3)
    with pytest.raises(QuantizationError) as caught:
        force_signed(proto)
    assert str(caught.value) == (
        "q/QuantizeLinear: zero point 3 is not 0; only symmetric quantizers can be made signed"
    )


def test_a_bias_that_others_read_or_that_is_a_row_keeps_its_shape():
    proto = quantized_product(bias_rank=1)
    proto.graph.node.append(helper.make_node("Relu", ["bias"], ["other"], name="other"))
    assert guard_biases(proto) == 0
    assert Wiring(proto).value("bias").shape == (CHANNELS,)
    assert guard_biases(quantized_product(bias_rank=2)) == 0


def test_only_sums_behind_matrix_products_get_rows():
    proto = quantized_product(bias_rank=1)
    node_of(proto, "sum/Add").op_type = "Mul"
    assert guard_biases(proto) == 0
    assert guard_biases(quantized_product("Conv")) == 0


def test_the_bias_is_found_on_either_side_of_every_sum():
    proto = quantized_product(bias_rank=1)
    addition = node_of(proto, "sum/Add")
    addition.input[:] = reversed(addition.input)
    proto.graph.node.append(helper.make_node("Add", ["product", "bias2"], ["sum2"], name="sum2"))
    values = np.arange(CHANNELS, dtype=np.float32)
    proto.graph.initializer.append(numpy_helper.from_array(values, "bias2"))
    proto.graph.node.insert(0, helper.make_node("MatMul", ["a", "b"], ["c"], name="float"))
    assert guard_biases(proto) == 2
    assert Wiring(proto).value("bias2").tolist() == [values.tolist()]


def grn(order=(0, 1, 0, 1, 0, 1)):
    """Mul(x, Add(Mul(gamma, n), 1)), with the operands of each in either order."""
    build = Builder()
    build.constant("gamma", np.arange(4, dtype=np.float32))
    build.constant("one", np.float32(1))

    def pair(left, right, turned):
        return [right, left] if turned else [left, right]

    build.node("Mul", pair("gamma", "n", order[0]), "scaled")
    build.node("Add", pair("scaled", "one", order[2]), "total")
    build.node("Mul", pair("x", "total", order[4]), "y")
    return build


@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("second", [0, 1])
@pytest.mark.parametrize("third", [0, 1])
def test_the_constants_of_a_grn_are_found_in_every_order(first, second, third):
    proto = graph_of(grn((first, 0, second, 0, third)), ["y"])
    found = channel_scales(Wiring(proto), node_of(proto, "y/Mul"))
    assert [(node.name, at) for node, at in found] == [
        ("scaled/Mul", first), ("total/Add", 1 - second),
    ]  # fmt: skip


def without(change, outputs=("y",)):
    build = grn()
    nodes = {node.name: node for node in build.nodes}
    change(build, nodes)
    proto = graph_of(build, outputs)
    return channel_scales(Wiring(proto), nodes["y/Mul"])


def test_what_is_not_quite_a_grn_has_no_constants_to_scale():
    def rename(name, kind):
        return lambda build, nodes: setattr(nodes[name], "op_type", kind)

    def read_again(name):
        return lambda build, nodes: build.node("Relu", [name], f"{name}.again")

    def unknown(name, at):
        return lambda build, nodes: nodes[name].input.__setitem__(at, "elsewhere")

    assert without(lambda build, nodes: None)
    for change in (
        rename("y/Mul", "Div"), rename("total/Add", "Sub"), rename("scaled/Mul", "Div"),
        read_again("total"), read_again("scaled"), unknown("total/Add", 0),
        unknown("total/Add", 1), unknown("scaled/Mul", 0), unknown("y/Mul", 1),
    ):  # fmt: skip
        assert without(change) == []
    assert without(lambda build, nodes: None, ["y", "total"]) == []
    assert without(lambda build, nodes: None, ["y", "scaled"]) == []


def test_the_grn_may_be_either_factor_of_several():
    build = grn()
    build.constant("two", np.float32(2))
    build.node("Add", ["z", "two"], "other")
    nodes = {node.name: node for node in build.nodes}
    nodes["y/Mul"].input[:] = ["other", "total"]
    found = channel_scales(Wiring(graph_of(build, ["y"])), nodes["y/Mul"])
    assert [node.name for node, _ in found] == ["scaled/Mul", "total/Add"]


def test_a_scaled_constant_is_the_nodes_own_and_is_scaled_again_in_place():
    build = Builder()
    build.constant("w", np.array([1.0, 2.0], np.float16))
    build.node("Mul", ["x", "w"], "a")
    build.node("Mul", ["x", "w"], "b")
    proto = graph_of(build)
    node = node_of(proto, "a/Mul")
    for _ in range(2):
        scale_constant(proto, Wiring(proto), node, 1, np.array([3.0, 0.5], np.float32))
    wiring = Wiring(proto)
    assert list(node.input) == ["x", "a/Mul.equalized_1"]
    assert list(node_of(proto, "b/Mul").input) == ["x", "w"]
    scaled = wiring.value("a/Mul.equalized_1")
    assert (scaled.dtype, scaled.tolist()) == (np.float16, [9.0, 0.5])
    assert wiring.value("w").tolist() == [1.0, 2.0]
    assert [tensor.name for tensor in proto.graph.initializer] == ["w", "a/Mul.equalized_1"]


@pytest.mark.parametrize(
    ("kind", "attributes", "expected"),
    [
        ("Gemm", {"transB": 1}, True),
        ("Gemm", {"transB": 0}, False),
        ("Gemm", {}, False),
        ("Gemm", {"transA": 1}, False),
        ("MatMul", {"transB": 1}, False),
    ],
)
def test_a_transposed_weight_is_that_of_a_gemm_that_says_so(kind, attributes, expected):
    assert is_transposed(helper.make_node(kind, ["x", "w"], ["y"], **attributes)) is expected


def test_constants_that_nobody_reads_go_and_the_others_stay_in_order():
    build = Builder()
    for name in "abc":
        build.constant(name, np.float32(1))
    build.node("Add", ["c", "a"], "y")
    proto = graph_of(build)
    drop_unread_constants(proto)
    assert [tensor.name for tensor in proto.graph.initializer] == ["a", "c"]
    assert isinstance(proto, onnx.ModelProto)
