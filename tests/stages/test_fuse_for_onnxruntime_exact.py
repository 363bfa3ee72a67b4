"""The lowered graph, node by node, of products small enough to write down."""

import json

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper, numpy_helper
from support.tiny_qdq import CHANNELS, Builder, quantized_product

from edge_convnext.core.artifacts import METADATA_KEY, OnnxModel
from edge_convnext.core.errors import ArtifactError, QuantizationError
from edge_convnext.stages.fuse_for_onnxruntime import has_products, lower_for_onnxruntime

IMAGES = np.random.default_rng(1).standard_normal((1, 4, 4, CHANNELS), dtype=np.float32)


def saved(folder, proto, **metadata):
    for key, value in metadata.items():
        proto.metadata_props.add(key=key, value=value)
    onnx.save(proto, folder / "before.onnx")
    return OnnxModel(folder / "before.onnx", "int8", "nhwc", "pointwise", 1)


def lower(folder, proto, *, dynamic=False, **metadata):
    made = lower_for_onnxruntime(
        saved(folder, proto, **metadata), folder / "after.onnx", dynamic=dynamic
    )
    return made, onnx.load(made.path)


def shape_of(proto):
    """Kind, inputs and outputs of every node."""
    return [(node.op_type, list(node.input), list(node.output)) for node in proto.graph.node]


def constants_of(proto):
    return {one.name: numpy_helper.to_array(one) for one in proto.graph.initializer}


def test_a_product_and_its_bias_become_one_operation_of_unsigned_integers(tmp_path):
    before = quantized_product()
    made, after = lower(tmp_path, before)
    assert shape_of(after) == [
        ("QuantizeLinear", ["images", "scale", "q/QuantizeLinear.zero_point_uint8"], ["q"]),
        (
            "MatMulIntegerToFloat",
            [
                "q", "weight", "scale", "weight_scale", "q/QuantizeLinear.zero_point_uint8",
                "weight_zero", "bias.row",
            ],
            ["sum"],
        ),
    ]  # fmt: skip
    fused = after.graph.node[1]
    assert (fused.name, fused.domain) == ("product/MatMul", "com.microsoft")
    assert {(one.domain, one.version) for one in after.opset_import} == {
        ("", 20), ("com.microsoft", 1),
    }  # fmt: skip
    old, new = constants_of(before), constants_of(after)
    assert new.keys() == {
        "scale", "weight", "weight_scale", "weight_zero", "q/QuantizeLinear.zero_point_uint8",
        "bias.row",
    }  # fmt: skip
    zero_point = new["q/QuantizeLinear.zero_point_uint8"]
    assert (zero_point.dtype, zero_point.shape, int(zero_point)) == (np.uint8, (), 128)
    np.testing.assert_array_equal(new["bias.row"], old["bias"][0])
    assert (made.path, made.placement, made.form) == (tmp_path / "after.onnx", "pointwise", "nhwc")


def expected_sum(proto):
    """In float64, from the integers."""
    stored = constants_of(proto)
    steps = np.clip(np.rint(IMAGES / stored["scale"]), -128, 127).astype(np.float64)
    scales = stored["scale"].astype(np.float64) * stored["weight_scale"]
    return (steps @ stored["weight"].astype(np.float64)) * scales + stored["bias"]


def test_the_lowered_product_computes_the_sum_of_integers(tmp_path):
    proto = quantized_product()
    expected = expected_sum(proto)
    made, _ = lower(tmp_path, proto)
    session = onnxruntime.InferenceSession(made.path, providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"images": IMAGES})
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_a_dynamic_product_reads_what_the_quantizer_read(tmp_path):
    _, after = lower(tmp_path, quantized_product(), dynamic=True)
    assert shape_of(after) == [
        (
            "DynamicQuantizeMatMul",
            ["images", "weight", "weight_scale", "weight_zero", "bias.row"],
            ["sum"],
        )
    ]
    assert after.graph.node[0].domain == "com.microsoft"
    assert constants_of(after).keys() == {"weight", "weight_scale", "weight_zero", "bias.row"}


def test_an_unsigned_activation_keeps_its_zero_point(tmp_path):
    _, after = lower(tmp_path, quantized_product(activation=np.uint8, activation_zero=7))
    assert after.graph.node[1].input[4] == "zero_point"
    assert int(constants_of(after)["zero_point"]) == 7


def test_a_signed_zero_point_that_is_not_zero_moves_by_128(tmp_path):
    _, after = lower(tmp_path, quantized_product(activation_zero=-100))
    assert int(constants_of(after)["q/QuantizeLinear.zero_point_uint8"]) == 28


@pytest.mark.parametrize("rank", [1, 2])
def test_the_first_constant_row_is_taken_along(tmp_path, rank):
    before = quantized_product(bias_rank=rank)
    after = lower(tmp_path, before)[1]
    assert constants_of(after)["bias.row"].shape == (CHANNELS,)


def with_ending(kind, other):
    """A product with something other than a bias behind it."""
    proto = quantized_product()
    (addition,) = [node for node in proto.graph.node if node.op_type == "Add"]
    addition.op_type = kind
    if other is not None:
        addition.input[1] = "other"
        proto.graph.initializer.append(numpy_helper.from_array(other, "other"))
    return proto


@pytest.mark.parametrize(
    ("kind", "other"),
    [
        ("Mul", None),
        ("Add", np.ones((4, CHANNELS), np.float32)),  # a row for every position
        ("Add", np.float32(1.0)),  # no row at all
    ],
)
def test_what_is_no_bias_stays_behind_the_product(tmp_path, kind, other):
    after = lower(tmp_path, with_ending(kind, other))[1]
    assert [node.op_type for node in after.graph.node] == [
        "QuantizeLinear", "MatMulIntegerToFloat", kind,
    ]  # fmt: skip
    assert len(after.graph.node[1].input) == 6
    assert list(after.graph.node[1].output) == ["product"]


def test_a_sum_with_the_input_is_no_bias(tmp_path):
    proto = quantized_product()
    proto.graph.node[-1].input[1] = "images"
    after = lower(tmp_path, proto)[1]
    assert shape_of(after)[-1] == ("Add", ["product", "images"], ["sum"])


def test_a_product_that_is_read_twice_keeps_its_bias_apart(tmp_path):
    proto = quantized_product()
    proto.graph.node.append(helper.make_node("Relu", ["product"], ["again"], name="again"))
    proto.graph.output.append(helper.make_tensor_value_info("again", 1, [None] * 4))
    after = lower(tmp_path, proto)[1]
    assert [node.op_type for node in after.graph.node] == [
        "QuantizeLinear", "MatMulIntegerToFloat", "Add", "Relu",
    ]  # fmt: skip


def test_a_product_that_is_an_output_is_fused_all_the_same(tmp_path):
    proto = quantized_product()
    del proto.graph.node[-1]
    proto.graph.output[0].name = "product"
    after = lower(tmp_path, proto)[1]
    assert list(after.graph.node[-1].output) == ["product"]


def two_products():
    """Two products of one quantized tensor."""
    proto = quantized_product()
    for node in list(proto.graph.node)[-2:]:
        copy = onnx.NodeProto.FromString(node.SerializeToString())
        copy.name = f"second/{node.name}"
        copy.input[:] = ["product.2" if name == "product" else name for name in copy.input]
        copy.output[:] = [f"{copy.output[0]}.2"]
        proto.graph.node.append(copy)
    proto.graph.output.append(helper.make_tensor_value_info("sum.2", 1, [None] * 4))
    return proto


def test_a_tensor_that_two_products_read_is_shifted_once(tmp_path):
    after = lower(tmp_path, two_products())[1]
    fused = [node for node in after.graph.node if node.op_type == "MatMulIntegerToFloat"]
    assert [node.name for node in fused] == ["product/MatMul", "second/product/MatMul"]
    assert {node.input[4] for node in fused} == {"q/QuantizeLinear.zero_point_uint8"}
    names = [tensor.name for tensor in after.graph.initializer]
    assert names.count("q/QuantizeLinear.zero_point_uint8") == 1


def test_a_product_of_constants_and_a_reshaped_one_stay_as_they_are(tmp_path):
    build = Builder()
    pair = [build.constant("s", np.float32(0.1)), build.constant("z", np.int8(0))]
    weight = build.constant("w", np.ones((CHANNELS, CHANNELS), np.int8))
    left = build.node("DequantizeLinear", [weight, *pair], "left")
    right = build.node("DequantizeLinear", [weight, *pair], "right")
    product = build.node("MatMul", [left, right], "product")
    quantized = build.node("QuantizeLinear", ["images", *pair], "q")
    activation = build.node("DequantizeLinear", [quantized, *pair], "dq")
    moved = build.node("Transpose", [activation], "moved", perm=[0, 1, 3, 2])
    second = build.node("MatMul", [moved, right], "second")
    proto = build.model(
        {"images": [1, 4, CHANNELS, CHANNELS]}, build.node("Add", [second, product], "sum"), 4
    )
    model = saved(tmp_path, proto)
    assert not has_products(model.path)
    with pytest.raises(QuantizationError) as caught:
        lower_for_onnxruntime(model, tmp_path / "after.onnx")
    assert str(caught.value) == (
        f"{model.path}: has no MatMul with quantized inputs to fuse; "
        "use the form nhwc or linear, or the format qdq"
    )
    onnx.save(quantized_product(), model.path)
    assert has_products(model.path)


def test_a_graph_that_is_not_there_is_told(tmp_path):
    model = OnnxModel(tmp_path / "none.onnx", "int8", "nhwc")
    with pytest.raises(ArtifactError) as caught:
        lower_for_onnxruntime(model, tmp_path / "after.onnx")
    assert str(caught.value) == f"{model.path}: no such ONNX file; quantize the model first"


def test_the_metadata_keep_what_they_said_in_one_order_and_get_the_format(tmp_path):
    said = {METADATA_KEY: json.dumps({"precision": "int8", "body": "float32"}), "author": "me"}
    _, after = lower(tmp_path, quantized_product(), **said)
    found = {entry.key: entry.value for entry in after.metadata_props}
    assert found == {
        METADATA_KEY: '{"body": "float32", "format": "onnxruntime", "precision": "int8"}',
        "author": "me",
    }


def test_a_quantized_convolution_is_nothing_to_fuse(tmp_path):
    assert not has_products(saved(tmp_path, quantized_product("Conv")).path)
