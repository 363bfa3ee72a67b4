"""1x1 convolutions as matrix products and back: the same function, and few Transposes."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import helper
from support.pointwise_nets import IMAGES, SIZE, Net, count, draw, error
from support.timm_exports import export_module, export_timm
from support.written_graphs import attending, branched, excited
from support.written_networks import attention, gated

from edge_convnext.graph.file import copy_message
from edge_convnext.graph.pair_writer import Weighing
from edge_convnext.graph.placements import PLACEMENTS
from edge_convnext.graph.placer import place
from edge_convnext.graph.pointwise import (
    FORMS,
    convolutions_to_products,
    products_to_convolutions,
    write_in_form,
)
from edge_convnext.graph.qdq import Wiring
from edge_convnext.graph.roles import describe
from edge_convnext.networks.family import find_model
from edge_convnext.networks.generic import GenericFamily

ROUNDING = 1e-5
KINDS = ("Conv", "MatMul", "Transpose")


def rewritten(rewrite, proto, images=IMAGES):
    """What a rewriting makes, with all that holds for any graph."""
    before = proto.SerializeToString(deterministic=True)
    made = rewrite(proto)
    assert proto.SerializeToString(deterministic=True) == before
    assert rewrite(proto) == made
    onnx.checker.check_model(made, full_check=True)
    assert error(proto, made, images) <= ROUNDING
    assert (list(made.graph.input), list(made.graph.output)) == (
        list(proto.graph.input), list(proto.graph.output),
    )  # fmt: skip
    names = [node.name for node in made.graph.node]
    assert len(set(names)) == len(names)
    read = {name for node in made.graph.node for name in node.input}
    assert {tensor.name for tensor in made.graph.initializer} <= read
    assert sum(one.macs for one in describe(made).products) == sum(
        one.macs for one in describe(proto).products
    )
    return made


def there_and_back(proto, convolutions, products, transposes, images=IMAGES):
    made = rewritten(convolutions_to_products, proto, images)
    assert count(made, *KINDS) == (convolutions, products, transposes)
    back = rewritten(products_to_convolutions, made, images)
    assert count(back, *KINDS) == count(proto, *KINDS)
    return made


def test_a_block_of_pointwise_and_depthwise_convolutions():
    net = Net()
    x = net.node("Relu", ["stem"], "stem_relu")
    y = net.node("HardSwish", [net.conv(x, "expand", 6, 12)], "act")
    y = net.node("HardSwish", [net.depthwise(y, "window", 12)], "window_act")
    y = net.conv(y, "project", 12, 6, bias=False)
    # To the first product, to and from the depthwise one; the sum shares the first.
    made = there_and_back(net.head(net.node("Add", [x, y], "sum")), 2, 2, 3)
    assert count(made, "Add", "GlobalAveragePool", "ReduceMean") == (2, 0, 1)
    roles = describe(made).by_name
    assert roles["expand/MatMul"].kind == roles["project/MatMul"].kind == "linear"
    assert (roles["expand/MatMul"].behind, roles["expand/MatMul"].axis) == ("act", -1)


def test_neighbours_need_no_transposes_between_them():
    net = Net()
    x = "stem"
    for at in range(4):
        x = net.node("Relu", [net.conv(x, f"one{at}", 6, 6, bias=at % 2 == 0)], f"relu{at}")
    there_and_back(net.head(x), 1, 4, 1)


def test_gates_of_one_position_are_left():
    for proto in (gated(), excited(), branched()):
        size = proto.graph.input[0].type.tensor_type.shape.dim[2].dim_value
        images = draw(1, 3, size, size)
        made = rewritten(convolutions_to_products, proto, images)
        before, after = describe(proto), describe(made)
        assert [one.gate for one in before.products] == [one.gate for one in after.products]
        assert [one.kind for one in after.products] == [
            "linear" if one.kind == "pointwise" and not one.gate else one.kind
            for one in before.products
        ]
        assert [one.stage for one in before.products] == [one.stage for one in after.products]
        assert [one.first for one in before.products] == [one.first for one in after.products]
        assert [one.behind for one in before.products] == [one.behind for one in after.products]
        assert error(proto, products_to_convolutions(made), images) <= ROUNDING


def test_a_gate_scales_the_map_in_either_layout():
    net = Net()
    x = net.conv("stem", "expand", 6, 8)
    s = net.node("GlobalAveragePool", [x], "squeezed")
    s = net.node("Sigmoid", [net.conv(s, "gate", 8, 8)], "factor")
    x = net.conv(net.node("Mul", [x, s], "scaled"), "project", 8, 6)
    # The map stays [N, H, W, C]; what is pooled is turned there and back.
    there_and_back(net.head(x), 2, 2, 3)


def written_norm(net, x, channels=6):
    """Norm over channels in nine operations."""
    axes = net.constant("axes", np.array([1]))
    mean = net.node("ReduceMean", [x, axes], "mean")
    away = net.node("Sub", [x, mean], "away")
    spread = net.node("Pow", [away, net.constant("two", np.float32(2))], "square")
    spread = net.node("ReduceMean", [spread, axes], "spread")
    spread = net.node("Add", [spread, net.constant("epsilon", np.float32(1e-3))], "plus")
    x = net.node("Div", [away, net.node("Sqrt", [spread], "root")], "divided")
    x = net.node("Mul", [net.constant("scale", draw(channels, 1, 1)), x], "factor")
    return net.node("Add", [x, net.constant("shift", draw(1, channels, 1, 1))], "normed")


def test_a_norm_that_is_written_out_goes_along():
    net = Net()
    y = net.node("Gelu", [net.conv(written_norm(net, "stem"), "expand", 6, 12)], "act")
    y = net.node("Add", [net.conv(y, "project", 12, 6), "stem"], "sum")
    there_and_back(net.head(y), 1, 2, 1)


def test_concat_split_softmax_and_slopes_go_along():
    net = Net()
    x = net.conv("stem", "one", 6, 6)
    net.nodes.append(
        helper.make_node("Split", [x], ["left", "right"], name="halves/Split", axis=-3,
                         num_outputs=2)
    )  # fmt: skip
    slope = net.constant("slope", np.abs(draw(3, 1, 1)))
    left = net.node("PRelu", ["left", slope], "sloped")
    right = net.node("Softmax", ["right"], "shares", axis=1)
    low, high = net.constant("low", np.float32(-0.5)), net.constant("high", np.float32(0.5))
    left = net.node("Clip", [left, low, high], "clipped")
    x = net.node("Concat", [right, left, x], "joined", axis=1)
    made = there_and_back(net.head(net.conv(x, "two", 12, 6)), 1, 2, 1)
    axes = {node.op_type: helper.get_node_attr_value(node, "axis") for node in made.graph.node
            if node.op_type in ("Concat", "Softmax", "Split")}  # fmt: skip
    assert set(axes.values()) == {3}


@pytest.mark.parametrize(
    ("kind", "named"),
    [
        ("MaxPool", {"kernel_shape": [2, 2], "strides": [2, 2]}),
        ("LRN", {"size": 3}),
        ("DepthToSpace", {"blocksize": 1}),
        ("Transpose", {"perm": [0, 1, 3, 2]}),
        ("Transpose", {"perm": [1, 0, 2, 3]}),
        ("Softmax", {"axis": 2}),
    ],
)
def test_what_stands_between_two_products_has_the_map_that_it_had(kind, named):
    net = Net()
    x = net.node(kind, [net.conv("stem", "one", 6, 6)], "between", **named)
    if named.get("perm") == [1, 0, 2, 3]:
        x = net.node(kind, [x], "again", **named)
    own = count(proto := net.head(net.conv(x, "two", 6, 6)), "Transpose")[0]
    made = there_and_back(proto, 1, 2, own + (1 if kind == "Softmax" else 3))
    assert count(made, kind)[0] > 0


def test_batch_norms_and_sizes_that_others_ask_for():
    net = Net()
    x = net.conv("stem", "one", 6, 6)
    rows = [net.constant(f"norm{at}", np.abs(draw(6, seed=at)) + 0.5) for at in range(4)]
    x = net.node("BatchNormalization", [x, *rows], "norm")
    scale = net.constant("scale", np.array([1, 1, 2, 2], np.float32))
    x = net.node("Resize", [x, "", scale], "larger", mode="nearest")
    shape = net.node("Shape", [x], "shape")
    x = net.node("Reshape", [net.conv(x, "two", 6, 6), shape], "same")
    there_and_back(net.head(x), 1, 2, 4)


def test_several_readers_share_a_transpose():
    net = Net()
    x = net.node("Relu", ["stem"], "relu")
    made = [net.conv(x, f"branch{at}", 6, 6) for at in range(3)]
    x = net.node("Sum", [*made, net.depthwise(x, "window")], "sum")
    # One to the products, and one each to the sum, which may not be moved.
    there_and_back(net.head(x), 2, 3, 4)


@pytest.mark.parametrize("kept", ["relu", "one", "images", "stem"])
def test_maps_that_the_graph_returns_are_as_they_were(kept):
    net = Net()
    x = net.conv(net.node("Relu", ["stem"], "relu"), "one", 6, 6)
    proto = net.head(net.node("Tanh", [x], "act"))
    proto.graph.output.append(
        helper.make_tensor_value_info(kept, onnx.TensorProto.FLOAT, [None] * 4)
    )
    if kept == "images":  # an input may not be an output: it is handed through
        proto.graph.node.append(helper.make_node("Identity", ["images"], ["copy"], name="copy"))
        proto.graph.output[-1].name = "copy"
    there_and_back(proto, 1, 1, 2 if kept == "one" else 1)


@pytest.mark.parametrize(
    ("returned", "copies"), [(("one", "tokens", "again"), 1), (("again",), 0), (("tokens",), 0)]
)
def test_one_map_under_several_names_and_layouts_is_returned_under_each(returned, copies):
    net = Net()
    x = net.conv("stem", "one", 6, 6)
    x = net.first(net.last(x, "tokens"), "again")
    proto = net.head(net.conv(x, "two", 6, 6))
    for name in returned:
        proto.graph.output.append(
            helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [None] * 4)
        )
    made = rewritten(convolutions_to_products, proto)
    transposes = 1 if returned == ("tokens",) else 2
    assert count(made, *KINDS, "Identity") == (1, 2, transposes, copies)


def test_shared_weights_stay_shared():
    net = Net()
    x = net.conv("stem", "one", 6, 6)
    x = net.node("Conv", [net.node("Relu", [x], "relu"), "one.weight", "one.bias"], "two")
    proto = net.head(net.node("Conv", [x, "one.weight"], "three"))
    made = there_and_back(proto, 1, 3, 1)
    assert sum(tensor.name.startswith("one.") for tensor in made.graph.initializer) == 2


def test_a_weight_that_another_operation_reads_is_kept_for_it():
    net = Net()
    x = net.conv("stem", "one", 6, 6)
    total = net.node("ReduceSum", ["one.weight", net.constant("all", np.arange(4))], "total")
    made = there_and_back(net.head(net.node("Mul", [x, total], "scaled")), 1, 1, 2)
    assert {"one.weight"} < {tensor.name for tensor in made.graph.initializer}


def conv_that_stays(**named):
    net = Net()
    return net.head(net.conv("stem", "one", 6, 6, **named))


def stored_elsewhere(position):
    """A convolution whose weight, or bias, an operation makes."""
    net = Net()
    names = ["stem", net.constant("w", draw(6, 6, 1, 1)), net.constant("b", draw(6))]
    names[position] = net.node("Neg", [names[position]], "made")
    return net.head(net.node("Conv", names, "one"))


def in_another_domain():
    net = Net()
    proto = net.head(net.conv("stem", "one", 6, 6))
    for node in proto.graph.node:
        if node.name == "one/Conv":
            node.domain, node.op_type = "com.microsoft", "FusedConv"
            node.attribute.append(helper.make_attribute("activation", "Relu"))
    proto.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    return proto


def with_inner_graph():
    """An If whose branches read a map by name."""
    net = Net()
    x = net.conv("stem", "one", 6, 6)
    branches = [
        helper.make_graph(
            [helper.make_node(kind, [x], [f"{kind}_out"])], kind, [],
            [helper.make_tensor_value_info(f"{kind}_out", onnx.TensorProto.FLOAT, [None] * 4)],
        )
        for kind in ("Relu", "Neg")
    ]  # fmt: skip
    always, (then, otherwise) = net.constant("always", np.array(True)), branches
    x = net.node("If", [always], "chosen", then_branch=then, else_branch=otherwise)
    return net.head(x)


STAYS = {
    "strides": lambda: conv_that_stays(strides=[2, 2]),
    "one stride": lambda: conv_that_stays(strides=[1, 2]),
    "groups": lambda: conv_that_stays(group=2),
    "pads": lambda: conv_that_stays(pads=[0, 0, 1, 0]),
    "3x3": lambda: conv_that_stays(side=3),
    "weight": lambda: stored_elsewhere(1),
    "bias": lambda: stored_elsewhere(2),
    "no pointwise one": attention,
    "tokens": attending,
}


@pytest.mark.parametrize("name", STAYS)
def test_other_convolutions_stay_and_with_them_the_whole_graph(name):
    proto = STAYS[name]()
    made = rewritten(convolutions_to_products, proto, images_of(proto))
    assert made == proto
    assert made is not proto


def images_of(proto):
    return draw(1, *(one.dim_value for one in
                     proto.graph.input[0].type.tensor_type.shape.dim[1:]))  # fmt: skip


@pytest.mark.parametrize("make", [in_another_domain, with_inner_graph])
def test_what_onnx_does_not_know_and_inner_graphs_stay(make):
    proto = make()
    for rewrite in FORMS.values():
        assert rewrite(proto) == proto


def test_the_batch_and_the_sides_may_be_free():
    net = Net()
    x = net.node("Relu", [net.conv("stem", "one", 6, 9)], "relu")
    x = net.conv(net.depthwise(x, "window", 9), "two", 9, 6)
    x = net.node("Add", [x, "stem"], "sum")
    x = net.node("ReduceMean", [x, net.constant("axes", np.array([-1, -2]))], "pool", keepdims=0)
    proto = net.done(net.node("MatMul", [x, net.constant("wh", draw(6, 4))], "logits"),
                     sides=("height", "width"))  # fmt: skip
    made = there_and_back(proto, 2, 3, 3)
    for shape in ((1, 3, 5, 9), (3, 3, 16, 4)):
        assert error(proto, made, draw(*shape)) <= ROUNDING


def test_an_older_opset_has_axes_of_its_own():
    net = Net()
    x = net.node("ReduceMean", [net.conv("stem", "one", 6, 6)], "mean", axes=[2, 3], keepdims=1)
    x = net.conv(net.node("Mul", [x, "one"], "scaled"), "two", 6, 6)
    x = net.node("ReduceMean", [net.node("GlobalAveragePool", [x], "pool")], "row", axes=[2, 3],
                 keepdims=0)  # fmt: skip
    nodes, constants = net.nodes, net.constants
    values = [
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)
        for name, shape in (("images", ["batch", 3, SIZE, SIZE]), ("row", [None, 6]))
    ]
    graph = helper.make_graph(nodes, "old", values[:1], values[1:], constants)
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    there_and_back(proto, 1, 2, 1)


def test_names_that_are_taken_are_not_taken_again():
    net = Net()
    x = net.node("Relu", ["stem"], "stem.last")
    x = net.conv(x, "two", 6, 6)
    x = net.node("Neg", [x], "one.row")
    net.constant("one.weight.matrix", draw(2))  # nothing reads it
    proto = net.head(net.conv(x, "one", 6, 6))
    for node in proto.graph.node[:3]:
        node.name = "same/Conv"
    there = convolutions_to_products(proto)
    onnx.checker.check_model(there, full_check=True)
    for at, node in enumerate(proto.graph.node):
        node.name = str(at)  # ONNX Runtime refuses names that are there twice
    assert error(proto, there) <= ROUNDING
    assert len({node.name for node in there.graph.node}) == len(there.graph.node)


# ---- the way back ---------------------------------------------------------------------------


def test_a_hidden_layer_between_transposes_becomes_two_convolutions():
    net = Net()
    y = net.norm(net.last(net.depthwise("stem", "window"), "tokens"), "norm")
    y = net.node("Gelu", [net.linear(y, "expand", 6, 12)], "act")
    y = net.first(net.linear(y, "project", 12, 6, bias=False), "map")
    proto = net.head(net.node("Add", [y, "stem"], "sum"))
    made = rewritten(products_to_convolutions, proto)
    # Those of the norm are left: it needs the channels last.
    assert count(made, *KINDS, "Add") == (4, 0, 2, 1)
    kinds = [one.kind for one in describe(made).products]
    assert kinds == ["conv", "depthwise", "pointwise", "pointwise", "linear"]


@pytest.mark.parametrize("transposed", [0, 1])
@pytest.mark.parametrize("bias", [(), (9,), (1, 9), (1,), (1, 1)])
def test_a_gemm_on_the_rows_of_a_map_becomes_a_convolution(transposed, bias):
    net = Net()
    x = net.node("Reshape", [net.last("stem", "tokens"), net.constant("s0", np.array([-1, 6]))],
                 "rows")  # fmt: skip
    names = [x, net.constant("w", draw(9, 6) if transposed else draw(6, 9))]
    names += [net.constant("b", draw(*bias))] if bias else []
    x = net.node("Gemm", names, "product", transB=transposed)
    x = net.node("Reshape", [x, net.constant("s1", np.array([-1, SIZE, SIZE, 9]))], "again")
    made = rewritten(products_to_convolutions, net.head(net.first(x, "map"), 9))
    assert count(made, *KINDS, "Gemm", "Reshape") == (2, 0, 0, 1, 0)


def test_a_gemm_that_writes_its_defaults_out_is_one_too():
    net = Net()
    x = net.node("Reshape", [net.last("stem", "t"), net.constant("s0", np.array([-1, 6]))], "r")
    names = [x, net.constant("w", draw(6, 6)), net.constant("b", draw(6))]
    x = net.node("Gemm", names, "product", alpha=1.0, beta=1.0, transA=0, transB=0)
    x = net.node("Reshape", [x, net.constant("s1", np.array([-1, SIZE, SIZE, 6]))], "again")
    made = rewritten(products_to_convolutions, net.head(net.first(x, "map")))
    assert count(made, *KINDS, "Gemm") == (2, 0, 0, 1)


def test_two_products_may_read_one_weight_in_two_ways():
    net = Net()
    weight = net.constant("w", draw(6, 6))
    x = net.last("stem", "t")
    for name, turned in (("one", 0), ("two", 1)):
        rows = net.node("Reshape", [x, net.constant(f"{name}.r", np.array([-1, 6]))], f"{name}r")
        y = net.node("Gemm", [rows, weight], name, transB=turned)
        sides = net.constant(f"{name}.s", np.array([-1, SIZE, SIZE, 6]))
        x = net.node("Reshape", [y, sides], f"{name}s")
    made = rewritten(products_to_convolutions, net.head(net.first(x, "map")))
    assert count(made, *KINDS, "Gemm") == (3, 0, 0, 1)


def test_products_of_two_widths_may_share_a_bias_of_one_number():
    net = Net()
    half, x = net.constant("half", np.float32(0.5)), net.last("stem", "t")
    for name, read, made in (("wide", 6, 8), ("narrow", 8, 6)):
        product = net.node("MatMul", [x, net.constant(f"{name}.w", draw(read, made))], f"{name}p")
        x = net.node("Add", [product, half], name)
    rewritten(products_to_convolutions, net.head(net.first(x, "map")))


@pytest.mark.parametrize(
    "named", [{"alpha": 0.5}, {"beta": 2.0}, {"transA": 1}, {"rows": [-1, SIZE * 6]}, {}]
)
def test_another_gemm_stays(named):
    net, rows = Net(), named.pop("rows", [-1, 6])
    if named.get("transA"):
        x = net.node("Reshape", [net.last("stem", "t"), net.constant("s0", np.array([6, -1]))], "r")
    else:
        x = net.node("Reshape", [net.last("stem", "t"), net.constant("s0", np.array(rows))], "r")
    weight = net.constant("w", draw(rows[-1], rows[-1]))
    x = net.node("Gemm", [x, weight, net.constant("b", draw(rows[-1]))], "product", **named)
    sides = [-1, SIZE, SIZE, 6] if named or rows[-1] > 6 else [-1, SIZE * 2, SIZE // 2, 6]
    x = net.node("Reshape", [x, net.constant("s1", np.array(sides))], "again")
    proto = net.head(net.first(x, "map"))
    assert products_to_convolutions(proto) == proto


@pytest.mark.parametrize("bias", [(6,), (1, 6), (1, 1, 1, 6), (), (1,)])
def test_a_bias_of_any_shape_goes_into_the_convolution(bias):
    net = Net()
    x = net.node("MatMul", [net.last("stem", "t"), net.constant("w", draw(6, 6))], "p")
    x = net.node("Add", [net.constant("b", draw(*bias)), x], "biased")
    made = rewritten(products_to_convolutions, net.head(net.first(x, "map")))
    assert count(made, *KINDS, "Add") == (2, 0, 0, 0)


@pytest.mark.parametrize("shape", [(SIZE, 1, 1), (SIZE, 6), (2, SIZE, SIZE, 6)])
def test_a_sum_by_position_is_no_bias(shape):
    net = Net()
    x = net.node("MatMul", [net.last("stem", "t"), net.constant("w", draw(6, 6))], "p")
    x = net.node("Add", [x, net.constant("b", draw(*shape))], "sum")
    made = rewritten(products_to_convolutions, net.head(net.first(x, "map")))
    assert count(made, *KINDS, "Add") == (2, 0, 0, 1)


def test_a_sum_by_column_is_no_bias_where_there_are_as_many_columns_as_channels():
    net = Net()
    x = net.node("MatMul", [net.last("stem", "t"), net.constant("w", draw(6, SIZE))], "p")
    x = net.node("Add", [x, net.constant("b", draw(SIZE, 1))], "sum")
    made = rewritten(products_to_convolutions, net.head(net.first(x, "map"), SIZE))
    assert count(made, *KINDS, "Add") == (2, 0, 0, 1)


def test_a_product_that_others_read_before_its_bias_keeps_the_sum():
    net = Net()
    x = net.node("MatMul", [net.last("stem", "t"), net.constant("w", draw(6, 6))], "p")
    y = net.node("Add", [x, net.constant("b", draw(6))], "sum")
    x = net.first(net.node("Mul", [x, y], "scaled"), "map")
    made = rewritten(products_to_convolutions, net.head(x))
    assert count(made, *KINDS, "Add") == (2, 0, 0, 1)


def test_a_network_that_stays_channels_last_is_left():
    net = Net()
    x = net.last("stem", "tokens")
    for at in range(3):
        x = net.norm(x, f"norm{at}")
        x = net.linear(net.norm(net.linear(x, f"one{at}", 6, 6), f"mid{at}"), f"two{at}", 6, 6)
    proto = net.head(net.first(x, "map"))
    assert rewritten(products_to_convolutions, proto) == proto


def test_tokens_and_attention_are_no_maps():
    for proto in (attention(), attending()):
        assert products_to_convolutions(proto) == proto


def test_a_form_of_no_rewriting_is_the_graph_itself():
    proto = branched()
    assert write_in_form(proto, "raw") is proto
    assert count(write_in_form(proto, "linear"), *KINDS)[1] == 3
    assert write_in_form(proto, "conv") == proto
    assert GenericFamily.forms == tuple(FORMS)


# ---- networks of the field ------------------------------------------------------------------

TIMM = {  # 1x1 convolutions of maps, and the Transposes that are left around their products
    "mobilenetv1_100": (13, 26),
    "mobilenetv2_100": (34, 34),
    "mobilenetv3_small_100": (22, 22),
    "efficientnet_b0": (32, 32),
    "mobilevit_xxs": (21, 70),
    "convnext_atto": (24, 30),
}


def conv2former():
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return export_module(find_model("conv2former_n", 7).make(image_size=64).eval(), 64)


@pytest.mark.parametrize("name", [*TIMM, "conv2former_n"])
def test_networks_of_the_field(name):
    proto = conv2former() if name == "conv2former_n" else export_timm(name)
    products, transposes = TIMM.get(name, (71, 63))
    images = draw(1, 3, 64, 64)
    made = rewritten(convolutions_to_products, proto, images)
    before, after = describe(proto), describe(made)
    assert count(made, "MatMul")[0] - count(proto, "MatMul")[0] == products
    assert count(made, "Transpose")[0] == transposes
    assert [one.gate for one in after.products] == [one.gate for one in before.products]
    assert [one.stage for one in after.products] == [one.stage for one in before.products]
    back = rewritten(products_to_convolutions, made, images)
    assert count(back, "Transpose")[0] <= count(proto, "Transpose")[0]


@pytest.mark.parametrize("kind", ["int8", "uint8"])
def test_products_are_quantized_by_output_channel(kind):
    net = Net()
    x = net.node("Relu", ["stem"], "relu")
    y = net.conv(net.depthwise(net.conv(x, "one", 6, 9), "window", 9), "two", 9, 6)
    made = convolutions_to_products(net.head(net.node("Add", [x, y], "sum")))
    placed = place(
        copy_message(made), describe(made), PLACEMENTS["weighted"], kind, [IMAGES], (),
        Weighing(clip=False),
    )  # fmt: skip
    wiring = Wiring(placed)
    found = [node for node in placed.graph.node if node.op_type == "MatMul"]
    assert len(found) == 2
    for node in found:
        assert wiring.is_quantized(node)
        dequantize = wiring.quantizer(node.input[1])
        weight, scale = (wiring.constants[name].dims for name in dequantize.input[:2])
        axis = helper.get_node_attr_value(dequantize, "axis")
        assert (axis, list(scale)) == (1, [weight[1]])
    assert error(made, placed) < 0.1
