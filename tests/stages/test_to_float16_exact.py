"""A float16 body, node by node: where casts go, which constants are there twice, which stay."""

import json

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from support.rtx_builds import build_rtx, needs_rtx
from support.small_exports import infer, largest_error
from support.tiny_qdq import CHANNELS, Builder, quantized_product
from support.written_networks import IMAGES, attention, gated

from edge_convnext.core.artifacts import METADATA_KEY, OnnxModel
from edge_convnext.core.errors import ExportError
from edge_convnext.graph.float16 import find_floats, round_to_float16
from edge_convnext.graph.float16_numbers import LARGEST, SMALLEST_NORMAL
from edge_convnext.graph.placements import find_placement
from edge_convnext.graph.placer import place
from edge_convnext.graph.roles import describe
from edge_convnext.runtimes.lint import lint
from edge_convnext.stages.to_float16 import halve_body

F16, F32 = np.float16, np.float32
FLOAT, HALF = TensorProto.FLOAT, TensorProto.FLOAT16
W = np.random.default_rng(0).standard_normal((4, 4)).astype(F32)


def halve(folder, proto, precision="fp32", border="float32"):
    onnx.save(proto, folder / "before.onnx")
    model = OnnxModel(folder / "before.onnx", precision, "linear", "blocks", 3)
    made = halve_body(model, folder / "half.onnx", border)
    after = "fp16" if precision == "fp32" else precision
    assert made == OnnxModel(folder / "half.onnx", after, "linear", "blocks", 3)
    return onnx.load(made.path)


def shape_of(proto):
    return [
        (node.op_type, list(node.input), node.output[0], node.name) for node in proto.graph.node
    ]


def constants_of(proto):
    return {one.name: numpy_helper.to_array(one) for one in proto.graph.initializer}


def types_of(proto):
    return {name: value.dtype for name, value in constants_of(proto).items()}


def borders_of(proto):
    values = (*proto.graph.input, *proto.graph.output)
    return {value.name: value.type.tensor_type.elem_type for value in values}


def casts_of(proto):
    return {node.name: node.attribute[0].i for node in proto.graph.node if node.op_type == "Cast"}


def network():
    build = Builder()
    for name, value in (("w", W), ("s", np.full(4, 3.0, F32)), ("c", np.full(4, 2.0, F32))):
        build.constant(name, value)
    build.node("MatMul", ["images", "w"], "p")
    build.node("LayerNormalization", ["p", "s"], "n")
    build.node("Add", ["n", "c"], "a")
    build.node("MatMul", ["a", "w"], "y")
    proto = build.model({"images": [2, 4]}, "y", 2)
    proto.graph.value_info.append(helper.make_tensor_value_info("p", FLOAT, [2, 4]))
    proto.metadata_props.add(key=METADATA_KEY, value=json.dumps({"precision": "fp32", "a": 1}))
    return proto


INNER = [
    ("Cast", ["p"], "p.float32", "p.float32"),
    ("LayerNormalization", ["p.float32", "s"], "n", "n/LayerNormalization"),
    ("Add", ["n", "c"], "a", "a/Add"),  # of wide values and constants alone: wide as well
    ("Cast", ["a"], "a.float16", "a.float16"),
]


def test_a_norm_stands_between_casts_and_the_border_is_cast(tmp_path):
    proto = halve(tmp_path, network())
    assert shape_of(proto) == [
        ("Cast", ["images"], "images.float16", "images.float16"),
        ("MatMul", ["images.float16", "w"], "p", "p/MatMul"),
        *INNER,
        ("MatMul", ["a.float16", "w"], "y.float16", "y/MatMul"),
        ("Cast", ["y.float16"], "y", "y/Cast"),
    ]
    assert types_of(proto) == {"w": F16, "s": F32, "c": F32}
    assert borders_of(proto) == {"images": FLOAT, "y": FLOAT}
    assert casts_of(proto) == {
        "images.float16": HALF, "p.float32": FLOAT, "a.float16": HALF, "y/Cast": FLOAT,
    }  # fmt: skip
    np.testing.assert_array_equal(constants_of(proto)["w"], W.astype(F16))
    assert len(proto.graph.value_info) == 0
    assert json.loads(proto.metadata_props[0].value) == {
        "precision": "fp16", "body": "float16", "a": 1,
    }  # fmt: skip


def test_a_float16_border_needs_no_casts(tmp_path):
    proto = halve(tmp_path, network(), border="float16")
    assert shape_of(proto) == [
        ("MatMul", ["images", "w"], "p", "p/MatMul"),
        *INNER,
        ("MatMul", ["a.float16", "w"], "y", "y/MatMul"),
    ]
    assert borders_of(proto) == {"images": HALF, "y": HALF}


def test_a_value_and_a_constant_that_both_types_read_are_there_once_in_each(tmp_path):
    build = Builder()
    build.constant("c", np.full(4, 2.1, F32))
    build.node("Add", ["images", "c"], "a")
    build.node("LayerNormalization", ["a", "c"], "n")
    build.node("LayerNormalization", ["a", "c"], "n2")
    build.node("Mul", ["a", "c"], "m")
    build.node("Add", ["n", "m"], "o")
    proto = halve(tmp_path, build.model({"images": [2, 4]}, build.node("Add", ["n2", "o"], "y"), 2))
    assert shape_of(proto) == [
        ("Cast", ["images"], "images.float16", "images.float16"),
        ("Add", ["images.float16", "c"], "a", "a/Add"),
        ("Cast", ["a"], "a.float32", "a.float32"),
        ("LayerNormalization", ["a.float32", "c.float32"], "n", "n/LayerNormalization"),
        ("LayerNormalization", ["a.float32", "c.float32"], "n2", "n2/LayerNormalization"),
        ("Mul", ["a", "c"], "m", "m/Mul"),
        ("Cast", ["n"], "n.float16", "n.float16"),
        ("Add", ["n.float16", "m"], "o", "o/Add"),
        ("Cast", ["n2"], "n2.float16", "n2.float16"),
        ("Add", ["n2.float16", "o"], "y.float16", "y/Add"),
        ("Cast", ["y.float16"], "y", "y/Cast"),
    ]
    assert types_of(proto) == {"c": F16, "c.float32": F32}
    np.testing.assert_array_equal(constants_of(proto)["c.float32"], np.full(4, 2.1, F32))


def test_what_ends_in_a_norm_is_wide_already(tmp_path):
    build = Builder()
    build.node("LayerNormalization", ["images", build.constant("s", np.ones(4, F32))], "y")
    proto = build.model({"images": [2, 4]}, "y", 2)
    assert [kind for kind, *_ in shape_of(halve(tmp_path, proto))] == ["LayerNormalization"]
    narrow = halve(tmp_path, proto, border="float16")
    assert shape_of(narrow) == [
        ("Cast", ["images"], "images.float32", "images.float32"),
        ("LayerNormalization", ["images.float32", "s"], "y.float32", "y/LayerNormalization"),
        ("Cast", ["y.float32"], "y", "y/Cast"),
    ]
    assert casts_of(narrow) == {"images.float32": FLOAT, "y/Cast": HALF}


def test_an_output_that_others_read_too_keeps_feeding_them(tmp_path):
    build = Builder()
    first = build.node("MatMul", ["images", build.constant("w", W)], "y")
    build.node("Relu", [first], "z")
    proto = build.model({"images": [2, 4]}, "y", 2)
    proto.graph.output.append(helper.make_tensor_value_info("z", FLOAT, [2, 4]))
    assert shape_of(halve(tmp_path, proto))[1:] == [
        ("MatMul", ["images.float16", "w"], "y.float16", "y/MatMul"),
        ("Relu", ["y.float16"], "z.float16", "z/Relu"),
        ("Cast", ["y.float16"], "y", "y/Cast"),
        ("Cast", ["z.float16"], "z", "z/Cast"),
    ]


def test_a_quantized_product_reads_what_is_there_and_writes_float16(tmp_path):
    before = quantized_product()
    proto = halve(tmp_path, before, "int8")
    assert shape_of(proto) == [
        ("QuantizeLinear", ["images", "scale", "zero_point"], "q", "q/QuantizeLinear"),
        ("DequantizeLinear", ["q", "scale.float16", "zero_point"], "dq", "dq/DequantizeLinear"),
        (
            "DequantizeLinear", ["weight", "weight_scale", "weight_zero"], "weights",
            "weights/DequantizeLinear",
        ),
        ("MatMul", ["dq", "weights"], "product", "product/MatMul"),
        ("Add", ["product", "bias"], "sum.float16", "sum/Add"),
        ("Cast", ["sum.float16"], "sum", "sum/Cast"),
    ]  # fmt: skip
    stored = constants_of(proto)
    assert {name: value.dtype for name, value in stored.items()} == {
        "weight": np.int8, "weight_zero": np.int8, "zero_point": np.int8, "scale": F32,
        "scale.float16": F16, "weight_scale": F16, "bias": F16,
    }  # fmt: skip
    # The same number in both halves of a pair: one that float16 has.
    assert float(stored["scale"]) == float(stored["scale.float16"]) == float(F16(0.02))
    np.testing.assert_array_equal(stored["weight"], constants_of(before)["weight"])


def test_behind_a_norm_a_quantizer_reads_float32(tmp_path):
    build = Builder()
    grid = [build.constant("s", F32(0.02)), build.constant("z", np.int8(0))]
    build.node("MatMul", ["images", build.constant("w", W)], "p")
    build.node("LayerNormalization", ["p", build.constant("one", np.full(4, 1.5, F32))], "n")
    turned = build.node("Transpose", ["n"], "t", perm=[1, 0])
    build.node("QuantizeLinear", [turned, *grid], "q")
    build.node("DequantizeLinear", ["q", *grid], "dq")
    proto = build.model({"images": [4, 4]}, build.node("MatMul", ["dq", "w"], "y"), 2)
    assert shape_of(halve(tmp_path, proto, "int8"))[3:] == [
        ("LayerNormalization", ["p.float32", "one"], "n", "n/LayerNormalization"),
        ("Transpose", ["n"], "t", "t/Transpose"),
        ("QuantizeLinear", ["t", "s", "z"], "q", "q/QuantizeLinear"),
        ("DequantizeLinear", ["q", "s.float16", "z"], "dq", "dq/DequantizeLinear"),
        ("MatMul", ["dq", "w"], "y.float16", "y/MatMul"),
        ("Cast", ["y.float16"], "y", "y/Cast"),
    ]


def test_what_float16_reads_too_is_transposed_as_float16(tmp_path):
    build = Builder()
    build.node("LayerNormalization", ["images", build.constant("s", np.ones(4, F32))], "n")
    build.node("Transpose", ["n"], "t", perm=[1, 0])
    build.node("MatMul", ["t", build.constant("w", W)], "y")
    assert shape_of(halve(tmp_path, build.model({"images": [4, 4]}, "y", 2))) == [
        ("LayerNormalization", ["images", "s"], "n", "n/LayerNormalization"),
        ("Cast", ["n"], "n.float16", "n.float16"),
        ("Transpose", ["n.float16"], "t", "t/Transpose"),
        ("MatMul", ["t", "w"], "y.float16", "y/MatMul"),
        ("Cast", ["y.float16"], "y", "y/Cast"),
    ]


@pytest.mark.parametrize("scale", [0.02, 1e-6])
def test_a_quantized_value_that_both_types_read_has_a_second_dequantizer(tmp_path, scale):
    """But of a scale that float16 can't hold, which is dequantized wide, and cast."""
    build = Builder()
    grid = [build.constant("s", F32(scale)), build.constant("z", np.int8(0))]
    build.node("QuantizeLinear", ["images", *grid], "q")
    build.node("DequantizeLinear", ["q", *grid], "dq")
    build.node("LayerNormalization", ["dq", build.constant("one", np.ones(4, F32))], "n")
    build.node("LayerNormalization", ["dq", "one"], "n2")
    build.node("Add", ["dq", "n"], "a")
    proto = halve(
        tmp_path, build.model({"images": [1, 4]}, build.node("Add", ["a", "n2"], "y"), 2), "int8"
    )
    tiny = scale < SMALLEST_NORMAL
    nodes = shape_of(proto)
    quantizers = [node for node in nodes if "Linear" in node[0]]
    if tiny:
        assert quantizers == [
            ("QuantizeLinear", ["images", "s", "z"], "q", "q/QuantizeLinear"),
            ("DequantizeLinear", ["q", "s", "z"], "dq", "dq/DequantizeLinear"),
        ]
        assert ("Cast", ["dq"], "dq.float16", "dq.float16") in nodes
        assert types_of(proto)["s"] == F32
        assert float(constants_of(proto)["s"]) == F32(scale)
    else:
        assert quantizers == [
            ("QuantizeLinear", ["images", "s", "z"], "q", "q/QuantizeLinear"),
            ("DequantizeLinear", ["q", "s.float16", "z"], "dq", "dq/DequantizeLinear"),
            ("DequantizeLinear", ["q", "s", "z"], "dq.float32", "dq.float32"),
        ]
        second = next(node for node in proto.graph.node if node.name == "dq.float32")
        assert second.op_type == "DequantizeLinear"
        assert ("LayerNormalization", ["dq.float32", "one"], "n2", "n2/LayerNormalization") in nodes


def with_weight(scale, column=3, zeros=False):
    """A quantized product one of whose weight scales is another one."""
    proto = quantized_product()
    stored = {one.name: one for one in proto.graph.initializer}
    scales = np.full(CHANNELS, 0.01, F32)
    scales[column] = scale
    weight = numpy_helper.to_array(stored["weight"]).copy()
    weight[weight == 0] = 1
    if zeros:
        weight[:, column] = 0
    stored["weight_scale"].CopyFrom(numpy_helper.from_array(scales, "weight_scale"))
    stored["weight"].CopyFrom(numpy_helper.from_array(weight, "weight"))
    return proto


def kinds_of(proto):
    from edge_convnext.graph.file import element_types

    types = element_types(proto)
    return {node.name: types[node.output[0]] for node in proto.graph.node}


@pytest.mark.parametrize(
    ("scale", "wide"), [(SMALLEST_NORMAL, False), (SMALLEST_NORMAL * 0.999, True), (1e-9, True)]
)
def test_a_product_whose_scale_float16_can_not_hold_is_wide_with_both_operands(
    tmp_path, scale, wide
):
    proto = halve(tmp_path, with_weight(scale), "int8")
    kind = FLOAT if wide else HALF
    kinds = kinds_of(proto)
    assert kinds["product/MatMul"] == kinds["dq/DequantizeLinear"] == kind
    assert kinds["weights/DequantizeLinear"] == kind
    assert types_of(proto)["weight_scale"] == (F32 if wide else F16)
    stored = constants_of(proto)
    expected = np.full(CHANNELS, 0.01, F32)
    expected[3] = scale
    np.testing.assert_array_equal(
        stored["weight_scale"], expected if wide else expected.astype(F16)
    )


def test_an_activation_scale_that_float16_can_not_hold_makes_its_pair_wide(tmp_path):
    proto = quantized_product()
    for one in proto.graph.initializer:
        if one.name == "scale":
            one.CopyFrom(numpy_helper.from_array(F32(1e-6), "scale"))
    made = halve(tmp_path, proto, "int8", "float16")
    assert shape_of(made)[:3] == [
        ("Cast", ["images"], "images.float32", "images.float32"),
        ("QuantizeLinear", ["images.float32", "scale", "zero_point"], "q", "q/QuantizeLinear"),
        ("DequantizeLinear", ["q", "scale", "zero_point"], "dq", "dq/DequantizeLinear"),
    ]
    assert kinds_of(made)["product/MatMul"] == FLOAT
    assert types_of(made)["scale"] == F32


@pytest.mark.parametrize("column", [0, 3])
def test_a_tiny_scale_of_nothing_but_zeros_is_raised(tmp_path, column):
    proto = halve(tmp_path, with_weight(1e-9, column, zeros=True), "int8")
    expected = np.full(CHANNELS, 0.01, F16)
    expected[column] = SMALLEST_NORMAL
    np.testing.assert_array_equal(constants_of(proto)["weight_scale"], expected)
    assert kinds_of(proto)["product/MatMul"] == HALF


def test_a_tiny_scale_that_others_read_too_is_not_raised(tmp_path):
    before = with_weight(1e-9, zeros=True)
    before.graph.node.append(helper.make_node("Relu", ["weight_scale"], ["other"], name="other"))
    proto = halve(tmp_path, before, "int8")
    assert constants_of(proto)["weight_scale"][3] == F32(1e-9)
    assert kinds_of(proto)["product/MatMul"] == FLOAT


@pytest.mark.parametrize("kind", ["Conv", "MatMul"])
def test_zeros_are_looked_for_along_the_axis_of_the_scales(tmp_path, kind):
    proto = quantized_product(kind)
    stored = {one.name: one for one in proto.graph.initializer}
    scales = np.full(CHANNELS, 0.01, F32)
    scales[2] = 1e-9
    weight = np.ones(numpy_helper.to_array(stored["weight"]).shape, np.int8)
    along = 0 if kind == "Conv" else 1
    np.moveaxis(weight, 1 - along, 0)[2] = 0  # along the other axis: no scale's
    stored["weight"].CopyFrom(numpy_helper.from_array(weight, "weight"))
    stored["weight_scale"].CopyFrom(numpy_helper.from_array(scales, "weight_scale"))
    assert constants_of(halve(tmp_path, proto, "int8"))["weight_scale"][2] == F32(1e-9)
    np.moveaxis(weight, along, 0)[2] = 0
    stored["weight"].CopyFrom(numpy_helper.from_array(weight, "weight"))
    raised = constants_of(halve(tmp_path, proto, "int8"))["weight_scale"]
    assert (raised.dtype, float(raised[2])) == (F16, SMALLEST_NORMAL)


def test_one_tiny_scale_of_a_weight_of_zeros_is_raised_and_of_any_other_is_not(tmp_path):
    for value, expected in ((0, SMALLEST_NORMAL), (1, float(F32(1e-9)))):
        build = Builder()
        weight = np.zeros((4, 4), np.int8)
        weight[1, 2] = value
        pair = [build.constant("i", weight), build.constant("s", F32(1e-9))]
        build.node("DequantizeLinear", pair, "w")
        proto = build.model({"images": [2, 4]}, build.node("MatMul", ["images", "w"], "y"), 2)
        assert float(constants_of(halve(tmp_path, proto, "int8"))["s"]) == expected


def test_a_scale_that_a_dequantizer_has_to_itself_is_an_activations_all_the_same(tmp_path):
    proto = quantized_product()
    for one in proto.graph.initializer:
        if one.name == "scale":
            one.CopyFrom(numpy_helper.from_array(F32(1e-6), "scale"))
    proto.graph.initializer.append(numpy_helper.from_array(F32(1e-6), "own"))
    proto.graph.node[1].input[1] = "own"
    made = halve(tmp_path, proto, "int8")
    assert float(constants_of(made)["own"]) == F32(1e-6)
    assert kinds_of(made)["product/MatMul"] == FLOAT


def test_scales_without_an_axis_are_along_the_second(tmp_path):
    build = Builder()
    weight = np.ones((4, 4, 2), np.int8)
    weight[:, 2] = 0
    scale = np.array([0.1, 0.1, 1e-9, 0.1], F32)
    build.node("DequantizeLinear", [build.constant("i", weight), build.constant("s", scale)], "w")
    proto = build.model({"images": [4, 4, 2]}, build.node("Add", ["images", "w"], "y"), 3)
    assert float(constants_of(halve(tmp_path, proto, "int8"))["s"][2]) == SMALLEST_NORMAL


def test_a_weight_beyond_float16_is_refused_by_name(tmp_path):
    proto = network()
    proto.graph.initializer[0].CopyFrom(numpy_helper.from_array(W * F32(1e6), "w"))
    with pytest.raises(ExportError, match=r"before.onnx: w reaches .*, and float16 ends at 65504"):
        halve(tmp_path, proto)


def test_a_cast_between_norms_and_a_transposed_end_stay_float32(tmp_path):
    build = Builder()
    scale = build.constant("s", np.full(4, 1.5, F32))
    build.node("LayerNormalization", ["images", scale], "n")
    build.node("Cast", ["n"], "c", to=FLOAT)
    build.node("LayerNormalization", ["c", scale], "n2")
    proto = build.model({"images": [4, 4]}, build.node("Transpose", ["n2"], "y", perm=[1, 0]), 2)
    made = halve(tmp_path, proto)
    assert [(kind, name) for kind, _, name, _ in shape_of(made)] == [
        ("LayerNormalization", "n"), ("Cast", "c"), ("LayerNormalization", "n2"),
        ("Transpose", "y"),
    ]  # fmt: skip
    assert casts_of(made)["c/Cast"] == FLOAT


def test_pixels_stay_integers_and_are_normalised_in_float32(tmp_path):
    build = Builder()
    build.node("Cast", ["images"], "floats", to=FLOAT)
    build.node("Mul", ["floats", build.constant("s", np.full(4, 0.004, F32))], "scaled")
    build.node("MatMul", ["scaled", build.constant("w", W)], "y")
    shape = [helper.make_tensor_value_info("images", TensorProto.UINT8, [2, 4])]
    result = [helper.make_tensor_value_info("y", FLOAT, [2, 4])]
    graph = helper.make_graph(build.nodes, "g", shape, result, build.constants)
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    made = halve(tmp_path, proto)
    assert shape_of(made) == [
        ("Cast", ["images"], "floats", "floats/Cast"),
        ("Mul", ["floats", "s"], "scaled", "scaled/Mul"),
        ("Cast", ["scaled"], "scaled.float16", "scaled.float16"),
        ("MatMul", ["scaled.float16", "w"], "y.float16", "y/MatMul"),
        ("Cast", ["y.float16"], "y", "y/Cast"),
    ]
    assert borders_of(made) == {"images": TensorProto.UINT8, "y": FLOAT}
    assert casts_of(made)["floats/Cast"] == FLOAT
    assert types_of(made)["s"] == F32


def test_a_cast_of_floats_to_floats_casts_to_what_is_wanted(tmp_path):
    build = Builder()
    build.node("MatMul", ["images", build.constant("w", W)], "p")
    build.node("Cast", ["p"], "c", to=FLOAT)
    proto = build.model({"images": [2, 4]}, build.node("MatMul", ["c", "w"], "y"), 2)
    made = halve(tmp_path, proto)
    assert ("Cast", ["p"], "c", "c/Cast") in shape_of(made)
    assert casts_of(made)["c/Cast"] == HALF


@pytest.mark.parametrize("value", [LARGEST, -LARGEST])
def test_the_largest_float16_is_kept_and_the_next_larger_refused(value):
    assert round_to_float16("w", np.array([1.0, value], F32)).tolist() == [1.0, value]
    with pytest.raises(ExportError) as caught:
        round_to_float16("w", np.array([1.0, value * 1.0001], F32))
    assert str(caught.value) == (
        "w reaches 6.551e+04, and float16 ends at 65504; keep the body of this model in float32"
    )
    assert round_to_float16("w", np.zeros(0, F32)).dtype == F16


def test_the_floats_of_a_graph_are_named_and_nothing_else():
    assert find_floats(quantized_product()) == {
        "images", "scale", "dq", "weight_scale", "weights", "product", "bias", "sum",
    }  # fmt: skip


def refusal(proto):
    with pytest.raises(ExportError) as caught:
        find_floats(proto)
    return str(caught.value)


def test_what_can_not_have_a_float16_body_is_refused_by_name():
    proto = network()
    proto.opset_import[0].version = 19
    assert refusal(proto) == (
        "has opset 19, and a float16 body is written in 20; export with --opset 20"
    )
    proto = network()
    proto.graph.node[1].op_type = "Nobody"
    assert refusal(proto).startswith(
        "n/LayerNormalization is a Nobody, whose type ONNX can't infer"
    )
    for value in (np.nan, -np.inf):
        proto = network()
        proto.graph.initializer[0].CopyFrom(numpy_helper.from_array(W * F32(value), "w"))
        assert refusal(proto) == (
            "w has NaN or infinite values; build again from a sound checkpoint"
        )


@pytest.mark.parametrize(
    ("kind", "name"),
    [(HALF, "float16"), (TensorProto.BFLOAT16, "bfloat16"), (TensorProto.DOUBLE, "double")],
)
def test_other_floats_are_refused_by_name(kind, name):
    proto = network()
    proto.graph.node.append(helper.make_node("Cast", ["p"], ["other"], name="c", to=kind))
    assert refusal(proto) == f"other is {name}; pass a graph that is float32 throughout"


def test_a_refusal_names_the_file(tmp_path):
    proto = network()
    proto.opset_import[0].version = 19
    with pytest.raises(ExportError, match=f"^{tmp_path}/before.onnx: has opset 19, "):
        halve(tmp_path, proto)
    assert not (tmp_path / "half.onnx").exists()


NETWORKS = {
    "attention": attention(),
    "any batch": attention("batch"),
    "mask": attention(mask=-100.0),
    "mask beyond float16": attention(mask=-3e38),
    "infinite mask": attention(mask=-np.inf),
    "gated": gated(),
    "clip": gated(activation="Clip", bound=6.0),
    "clip without a bound": gated(activation="Clip", bound=3.4e38),
    "h-swish": gated(activation="HardSwish"),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_of_other_families_are_halved(tmp_path, name):
    proto = NETWORKS[name]
    after = halve(tmp_path, proto)
    before = infer(tmp_path / "before.onnx", IMAGES)
    assert largest_error(infer(tmp_path / "half.onnx", IMAGES), before) < 1e-2
    assert lint(tmp_path / "half.onnx", "rtx") == ()
    for node in after.graph.node:
        if node.op_type in ("Softmax", "LayerNormalization", "ReduceMean"):
            made = {item.name: item.type.tensor_type.elem_type for item in typed(after)}
            assert made[node.output[0]] == FLOAT, node.name


def typed(proto):
    return onnx.shape_inference.infer_shapes(proto).graph.value_info


@needs_rtx
@pytest.mark.parametrize("name", ["attention", "infinite mask", "gated", "h-swish"])
@pytest.mark.parametrize("placement", [None, "fused", "attention"])
def test_tensorrt_builds_networks_of_other_families(tmp_path, name, placement):
    proto, roles = NETWORKS[name], describe(NETWORKS[name])
    if placement is not None:
        batches = np.split(IMAGES, len(IMAGES))
        proto = place(proto, roles, find_placement(placement), "int8", batches)
    halve(tmp_path, proto, "fp32" if placement is None else "int8")
    assert not [one for one in lint(tmp_path / "half.onnx", "rtx") if one.severity == "error"]
    built = build_rtx(tmp_path / "half.onnx")
    assert built.error is None
    assert bool(built.int8_kernels) == (placement is not None)


def test_a_mask_beyond_float16_is_added_in_float32(tmp_path):
    after = halve(tmp_path, NETWORKS["mask beyond float16"])
    assert types_of(after)["mask"] == F32
    saturated = constants_of(halve(tmp_path, NETWORKS["clip without a bound"]))
    assert saturated["stem_act_high"] == F16(LARGEST)


def test_the_scales_of_a_resize_stay_float32_and_pieces_of_a_split_are_typed(tmp_path):
    build = Builder()
    scales = build.constant("scales", np.array([1, 1, 2, 2], F32))
    build.nodes.append(
        helper.make_node("Resize", ["images", "", scales], ["large"], name="r", mode="linear")
    )
    node = helper.make_node("Split", ["large"], ["a", "b"], name="s", axis=1, num_outputs=2)
    build.nodes.append(node)
    added = build.node("Add", ["a", "b"], "y")
    proto = build.model({"images": [1, 4, 3, 3]}, added, 4)
    after = halve(tmp_path, proto)
    assert types_of(after)["scales"] == F32
    images = np.random.default_rng(0).standard_normal((1, 4, 3, 3)).astype(F32)
    found, expected = (infer(tmp_path / name, images) for name in ("half.onnx", "before.onnx"))
    assert largest_error(found, expected) < 1e-2
