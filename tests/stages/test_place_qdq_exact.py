"""Where each pair of Q/DQ goes, and with which numbers, in a graph that is written down."""

import json

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from support.tiny_qdq import Builder

from edge_convnext.core.artifacts import METADATA_KEY, OnnxModel
from edge_convnext.core.errors import QuantizationError
from edge_convnext.graph.activations import Activations
from edge_convnext.graph.ranges import choose_grid
from edge_convnext.stages.place_qdq import place_qdq

C = 4
RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.standard_normal((2, C, 3, 3)).astype(np.float32)
PW1, PW2, HEAD = "stages.0.blocks.0.pwconv1", "stages.0.blocks.0.pwconv2", "head.fc"
W1 = RANDOM.standard_normal((C, 6)).astype(np.float32)
W2 = RANDOM.standard_normal((C, 6, 1, 1)).astype(np.float32)
W3 = RANDOM.standard_normal((5, C)).astype(np.float32)
FACTOR = np.linspace(0.5, 3.0, 6, dtype=np.float32).reshape(1, 6, 1, 1)


def network(*, computed=False, kind="Mul"):
    """A product over NHWC, a convolution over NCHW, and a transposed Gemm."""
    build = Builder()
    build.constant("w1", W1)
    build.constant("w3", W3)
    rows = build.node("Transpose", ["images"], "rows", perm=[0, 2, 3, 1])
    first = build.node("MatMul", [rows, "w1"], PW1)
    act = build.node("Relu", [first], "act")
    back = build.node("Transpose", [act], "back", perm=[0, 3, 1, 2])
    weight = build.constant("w2", W2)
    if computed:
        scale = build.node("Relu", [build.constant("factor", FACTOR)], "scale")
        weight = build.node(kind, [scale, "w2"], "scaled")
    second = build.node("Conv", [back, weight], PW2)
    pooled = build.node("GlobalAveragePool", [second], "pooled")
    flat = build.node("Flatten", [pooled], "flattened")
    proto = build.model(
        {"images": ["n", C, 3, 3]}, build.node("Gemm", [flat, "w3"], HEAD, transB=1), 2
    )
    facts = {"model": "convnextv2_atto", "precision": "fp32", "a": 1}
    proto.metadata_props.add(key=METADATA_KEY, value=json.dumps(facts))
    return proto


def place(folder, proto, placement="blocks"):
    onnx.save(proto, folder / "float.onnx")
    model = OnnxModel(folder / "float.onnx", "fp32", "mixed")
    made = place_qdq(model, [IMAGES[:1], IMAGES[1:]], placement, folder / "int8.onnx")
    return made, onnx.load(made.path)


def shape_of(proto):
    return [(node.op_type, list(node.input), node.output[0]) for node in proto.graph.node]


def constants_of(proto):
    return {one.name: numpy_helper.to_array(one) for one in proto.graph.initializer}


def quantize_weight(weight, largest):
    scale = np.asarray(largest, np.float32) / np.float32(127)
    return np.rint(weight / scale).astype(np.int8), scale


def test_pairs_stand_behind_the_tensor_before_all_that_moves_it(tmp_path):
    made, proto = place(tmp_path, network())
    pair = lambda name: [name, f"{name}/scale", f"{name}/zero_point"]  # noqa: E731
    weight = lambda name: [f"{name}.int8", f"{name}.scale", f"{name}.zero_point"]  # noqa: E731
    assert shape_of(proto) == [
        ("QuantizeLinear", pair("images"), "images/Quantize"),
        ("DequantizeLinear", ["images/Quantize", *pair("images")[1:]], "images/Dequantize"),
        ("Transpose", ["images/Dequantize"], "rows"),
        ("DequantizeLinear", weight("w1"), "w1/Dequantize"),
        ("MatMul", ["rows", "w1/Dequantize"], PW1),
        ("Relu", [PW1], "act"),
        ("QuantizeLinear", pair("act"), "act/Quantize"),
        ("DequantizeLinear", ["act/Quantize", *pair("act")[1:]], "act/Dequantize"),
        ("Transpose", ["act/Dequantize"], "back"),
        ("DequantizeLinear", weight("w2"), "w2/Dequantize"),
        ("Conv", ["back", "w2/Dequantize"], PW2),
        ("GlobalAveragePool", [PW2], "pooled"),
        ("Flatten", ["pooled"], "flattened"),
        ("Gemm", ["flattened", "w3"], HEAD),
    ]
    assert all(node.name for node in proto.graph.node)
    assert (made.precision, made.form, made.placement, made.quantized_ops) == (
        "int8", "mixed", "blocks", 2,
    )  # fmt: skip
    (entry,) = proto.metadata_props
    facts = {"model": "convnextv2_atto", "precision": "int8", "placement": "blocks", "a": 1}
    assert json.loads(entry.value) == facts


def test_a_weight_has_a_scale_per_output_of_a_product_and_one_of_a_convolution(tmp_path):
    proto = place(tmp_path, network(), "pointwise")[1]
    stored = constants_of(proto)
    cases = {
        "w1": np.abs(W1).max(axis=0, keepdims=True),
        "w2": np.abs(W2).max(),
        "w3": np.abs(W3).max(axis=1, keepdims=True),
    }
    for name, largest in cases.items():
        integers, scale = quantize_weight({"w1": W1, "w2": W2, "w3": W3}[name], largest)
        np.testing.assert_array_equal(stored[f"{name}.int8"], integers)
        assert stored[f"{name}.int8"].dtype == np.int8
        np.testing.assert_array_equal(
            stored[f"{name}.scale"], scale.reshape(-1) if scale.ndim else scale
        )
        assert stored[f"{name}.scale"].dtype == np.float32
        zero_point = stored[f"{name}.zero_point"]
        assert (zero_point.dtype, zero_point.shape) == (np.int8, stored[f"{name}.scale"].shape)
        assert not zero_point.any()
        assert name not in stored
    nodes = {node.output[0]: node for node in proto.graph.node}
    axes = {
        name: [item.i for item in nodes[f"{name}/Dequantize"].attribute if item.name == "axis"]
        for name in cases
    }
    assert axes == {"w1": [1], "w2": [], "w3": [0]}


def activations(channels_last):
    """As `observe` sees two batches of one image: ranges of the first, rows of the second."""
    first, second = (one.reshape(-1, channels_last.shape[-1]) for one in channels_last)
    return Activations(first.min(axis=0), first.max(axis=0), second)


def hidden():
    return np.maximum(np.moveaxis(IMAGES, 1, -1) @ W1, 0)


def test_an_activation_gets_the_range_that_costs_its_reader_least(tmp_path):
    stored = constants_of(place(tmp_path, network())[1])
    images = activations(np.moveaxis(IMAGES, 1, -1))
    for name, seen, energy in (
        ("images", images, np.square(W1).sum(axis=1)),
        ("act", activations(hidden()), np.square(W2).sum(axis=(0, 2, 3))),
    ):
        expected = choose_grid(seen, energy, "int8", clip=True).scale
        scale, zero_point = stored[f"{name}/scale"], stored[f"{name}/zero_point"]
        assert (scale.dtype, scale.shape) == (np.float32, ())
        assert float(scale) == pytest.approx(expected, rel=1e-6)
        assert (zero_point.dtype, zero_point.shape, int(zero_point)) == (np.int8, (), 0)


def test_a_tensor_that_two_products_read_has_one_pair_for_both_energies(tmp_path):
    proto = network()
    other = (100 * np.eye(C, dtype=np.float32))[:, :1] * np.ones((1, 6), np.float32)
    proto.graph.initializer.append(numpy_helper.from_array(other, "w4"))
    nodes = list(proto.graph.node)
    extra = onnx.helper.make_node("MatMul", ["rows", "w4"], ["extra"], name=f"{PW1}/Second")
    nodes.insert(2, extra)
    del proto.graph.node[:]
    proto.graph.node.extend(nodes)
    made, found = place(tmp_path, proto)
    assert made.quantized_ops == 3
    energy = np.square(W1).sum(axis=1) + np.square(other).sum(axis=1)
    expected = choose_grid(activations(np.moveaxis(IMAGES, 1, -1)), energy, "int8", clip=True)
    assert float(constants_of(found)["images/scale"]) == pytest.approx(expected.scale, rel=1e-6)
    assert [name for *_, name in shape_of(found)].count("images/Quantize") == 1


def test_a_computed_weight_gets_the_largest_value_seen(tmp_path):
    made, proto = place(tmp_path, network(computed=True))
    stored = constants_of(proto)
    largest = np.abs(W2 * FACTOR).max()
    assert float(stored["scaled/scale"]) == pytest.approx(largest / 127, rel=1e-6)
    assert ("Conv", ["back", "scaled/Dequantize"], PW2) in shape_of(proto)
    assert (
        "QuantizeLinear",
        ["scaled", "scaled/scale", "scaled/zero_point"],
        "scaled/Quantize",
    ) in (shape_of(proto))
    # What reads the activation is weighed by the weight before it is scaled.
    expected = choose_grid(
        activations(hidden()), np.square(W2[:, :, 0, 0]).sum(axis=0), "int8", clip=True
    )
    assert float(stored["act/scale"]) == pytest.approx(expected.scale, rel=1e-6)
    assert made.quantized_ops == 2


def test_a_computed_weight_whose_largest_value_is_negative_counts_it_too(tmp_path):
    proto = network(computed=True)
    for one in proto.graph.initializer:
        if one.name == "w2":
            one.CopyFrom(numpy_helper.from_array(-np.abs(W2), "w2"))
    stored = constants_of(place(tmp_path, proto)[1])
    assert float(stored["scaled/scale"]) == pytest.approx(np.abs(W2 * FACTOR).max() / 127, rel=1e-6)


def test_a_weight_that_is_zero_throughout_has_a_scale_that_is_not(tmp_path):
    for computed in (False, True):
        proto = network(computed=computed)
        for one in proto.graph.initializer:
            if one.name == "w2":
                one.CopyFrom(numpy_helper.from_array(np.zeros_like(W2), "w2"))
        stored = constants_of(place(tmp_path, proto)[1])
        scale = stored["scaled/scale" if computed else "w2.scale"]
        assert float(scale) == pytest.approx(1e-12 / 127, rel=1e-6)


def test_a_weight_that_is_computed_otherwise_is_refused(tmp_path):
    with pytest.raises(QuantizationError) as caught:
        place(tmp_path, network(computed=True, kind="Add"))
    assert str(caught.value) == (
        f"{PW2}/Conv: its weight, scaled, is neither a constant nor a scaled constant; choose "
        "another form"
    )


def test_a_placement_without_products_is_refused(tmp_path):
    with pytest.raises(QuantizationError) as caught:
        place(tmp_path, network(), "late_blocks")
    assert str(caught.value) == (
        f"{tmp_path / 'float.onnx'}: the placement 'late_blocks' selects no product; it needs the "
        "module names of this package's export"
    )


def test_a_graph_that_is_quantized_is_refused(tmp_path):
    made, _ = place(tmp_path, network())
    with pytest.raises(QuantizationError) as caught:
        place_qdq(made, [IMAGES], "blocks", tmp_path / "again.onnx")
    assert str(caught.value) == f"{made.path}: is int8; quantize the FP32 graph"


def test_every_product_is_quantized_where_all_are_asked_for(tmp_path):
    made, _ = place(tmp_path, network(), "all")
    assert made.quantized_ops == 3
