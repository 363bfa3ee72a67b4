"""The operations of opset 17 that take another's place, node by node."""

import json
import math

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from support.tiny_qdq import CHANNELS, Builder, quantized_product

from edge_convnext.core.artifacts import METADATA_KEY, OnnxModel
from edge_convnext.core.errors import ExportError
from edge_convnext.stages.to_opset17 import use_opset_17


def convert(folder, proto):
    onnx.save(proto, folder / "graph.onnx")
    model = OnnxModel(folder / "graph.onnx", "int8", "linear", "blocks", 3)
    made = use_opset_17(model, folder / "17.onnx")
    assert made == OnnxModel(folder / "17.onnx", "int8", "linear", "blocks", 3)
    return onnx.load(made.path)


def shape_of(proto):
    return [(node.op_type, list(node.input), list(node.output)) for node in proto.graph.node]


def constants_of(proto):
    return {one.name: numpy_helper.to_array(one) for one in proto.graph.initializer}


def attributes_of(node):
    return {item.name: helper.get_attribute_value(item) for item in node.attribute}


def refusal(folder, proto):
    with pytest.raises(ExportError) as caught:
        convert(folder, proto)
    start = f"{folder / 'graph.onnx'}: "
    assert str(caught.value).startswith(start)
    assert not (folder / "17.onnx").exists()
    return str(caught.value).removeprefix(start)


def two_gelus(**attributes):
    build = Builder()
    first = build.node("Gelu", ["images"], "a", **attributes)
    return build.model({"images": [2, 3]}, build.node("Gelu", [first], "b", **attributes), 2)


def test_gelu_is_written_out_with_erf(tmp_path):
    proto = convert(tmp_path, two_gelus())
    sqrt2 = f"gelu.{math.sqrt(2):.6g}"
    name = "a/Gelu"
    steps = [f"{name}.Div_0", f"{name}.Erf_1", f"{name}.Add_2", f"{name}.Mul_3"]
    assert shape_of(proto)[:5] == [
        ("Div", ["images", sqrt2], [steps[0]]),
        ("Erf", [steps[0]], [steps[1]]),
        ("Add", [steps[1], "gelu.1"], [steps[2]]),
        ("Mul", ["images", steps[2]], [steps[3]]),
        ("Mul", [steps[3], "gelu.0.5"], ["a"]),
    ]
    assert [node.name for node in proto.graph.node[:5]] == [*steps, "a"]
    stored = constants_of(proto)
    assert {name: float(value) for name, value in stored.items()} == {
        sqrt2: np.float32(math.sqrt(2)), "gelu.1": 1.0, "gelu.0.5": 0.5,
    }  # fmt: skip
    assert all(value.dtype == np.float32 and value.shape == () for value in stored.values())
    assert len(proto.graph.initializer) == 3  # the second reads the same ones


def test_gelu_is_written_out_with_tanh_where_the_graph_has_that(tmp_path):
    proto = convert(tmp_path, two_gelus(approximate="tanh"))
    root, name = f"gelu.{math.sqrt(2 / math.pi):.6g}", "a/Gelu"
    kinds = ("Pow", "Mul", "Add", "Mul", "Tanh", "Mul", "Add")
    at = [f"{name}.{kind}_{number}" for number, kind in enumerate(kinds)]
    assert shape_of(proto)[:8] == [
        ("Pow", ["images", "gelu.3"], [at[0]]),
        ("Mul", [at[0], "gelu.0.044715"], [at[1]]),
        ("Add", ["images", at[1]], [at[2]]),
        ("Mul", [at[2], root], [at[3]]),
        ("Tanh", [at[3]], [at[4]]),
        ("Mul", ["images", "gelu.0.5"], [at[5]]),
        ("Add", [at[4], "gelu.1"], [at[6]]),
        ("Mul", [at[5], at[6]], ["a"]),
    ]
    stored = {name: float(value) for name, value in constants_of(proto).items()}
    assert stored == {
        "gelu.3": 3.0, "gelu.0.044715": np.float32(0.044715), "gelu.0.5": 0.5, "gelu.1": 1.0,
        root: np.float32(math.sqrt(2 / math.pi)),
    }  # fmt: skip


def test_the_default_approximation_is_none(tmp_path):
    proto = convert(tmp_path, two_gelus(approximate="none"))
    assert proto.graph.node[0].op_type == "Div"


def reduction(kind="ReduceMean", axes=None, opset=20, **attributes):
    build = Builder()
    names = [] if axes is None else [build.constant("axes", np.array(axes, np.int64))]
    build.node(kind, ["images", *names], "y", **attributes)
    graph = build.model({"images": [2, 3, 4]}, "y", 3 if attributes.get("keepdims", 1) else 1)
    graph.opset_import[0].version = opset
    return graph


@pytest.mark.parametrize("kind", ["L1", "L2", "Max", "Mean", "Min", "SumSquare"])
def test_axes_that_are_an_input_become_an_attribute(tmp_path, kind):
    proto = convert(tmp_path, reduction(f"Reduce{kind}", [-1, 0], keepdims=0))
    assert shape_of(proto) == [(f"Reduce{kind}", ["images"], ["y"])]
    assert attributes_of(proto.graph.node[0]) == {"axes": [-1, 0], "keepdims": 0}
    assert list(proto.graph.initializer) == []


@pytest.mark.parametrize("axes", [None, []])
def test_without_axes_all_are_reduced(tmp_path, axes):
    proto = convert(tmp_path, reduction(axes=axes, noop_with_empty_axes=0))
    assert attributes_of(proto.graph.node[0]) == {}
    assert list(proto.graph.node[0].input) == ["images"]


def test_axes_are_kept_where_no_axes_would_mean_nothing_to_do(tmp_path):
    proto = convert(tmp_path, reduction(axes=[1], noop_with_empty_axes=1))
    assert attributes_of(proto.graph.node[0]) == {"axes": [1]}


def test_a_reduction_of_nothing_or_of_computed_axes_is_refused(tmp_path):
    told = (
        "y/ReduceMean computes its axes or reduces none, which opset 17 can't express; simplify "
        "the graph first"
    )
    assert refusal(tmp_path, reduction(noop_with_empty_axes=1)) == told
    assert refusal(tmp_path, reduction(axes=[], noop_with_empty_axes=1)) == told
    proto = reduction(axes=[1])
    del proto.graph.initializer[:]
    proto.graph.node.insert(0, helper.make_node("Shape", ["images"], ["axes"], name="s"))
    assert refusal(tmp_path, proto) == told


def weights(integers, scale, zero_point=None, **attributes):
    build = Builder()
    names = [build.constant("w", integers), build.constant("s", scale)]
    if zero_point is not None:
        names.append(build.constant("z", zero_point))
    build.node("DequantizeLinear", names, "floats", **attributes)
    build.node("Add", ["images", "floats"], "y")
    return build.model({"images": list(integers.shape)}, "y", integers.ndim)


RANDOM = np.random.default_rng(0)
INTEGERS = RANDOM.integers(-127, 128, (3, 5, 2)).astype(np.int8)


@pytest.mark.parametrize(("axis", "count"), [(0, 3), (1, 5), (2, 2), (None, 5)])
def test_integers_become_floats_and_a_quantizer_along_their_axis(tmp_path, axis, count):
    scale = np.geomspace(0.01, 1.0, count).astype(np.float32)
    attributes = {} if axis is None else {"axis": axis}
    proto = weights(INTEGERS, scale, np.zeros(count, np.int8), **attributes)
    found = convert(tmp_path, proto)
    assert shape_of(found) == [
        ("QuantizeLinear", ["floats/float", "s", "z"], ["floats/Quantize"]),
        ("DequantizeLinear", ["floats/Quantize", "s", "z"], ["floats"]),
        ("Add", ["images", "floats"], ["y"]),
    ]
    assert attributes_of(found.graph.node[0]) == attributes
    assert attributes_of(found.graph.node[1]) == attributes
    assert found.graph.node[0].name == "floats/Quantize"
    expected = np.moveaxis(INTEGERS, 1 if axis is None else axis, -1) * scale
    floats = constants_of(found)["floats/float"]
    assert floats.dtype == np.float32
    np.testing.assert_array_equal(
        floats, np.moveaxis(expected.astype(np.float32), -1, 1 if axis is None else axis)
    )
    assert constants_of(found).keys() == {"floats/float", "s", "z"}


@pytest.mark.parametrize("shape", [(), (1,)])
def test_one_scale_serves_a_whole_constant(tmp_path, shape):
    proto = weights(INTEGERS, np.full(shape, 0.5, np.float32))
    floats = constants_of(convert(tmp_path, proto))["floats/float"]
    np.testing.assert_array_equal(floats, INTEGERS.astype(np.float32) * np.float32(0.5))


def test_a_scalar_is_quantized_too(tmp_path):
    proto = weights(np.asarray(-7, np.int8), np.float32(0.5))
    found = constants_of(convert(tmp_path, proto))["floats/float"]
    assert (found.shape, float(found)) == ((), -3.5)


def test_integers_that_are_not_int8_or_not_constant_stay(tmp_path):
    bias = quantized_product(quantize_bias=True)  # of int32
    proto = convert(tmp_path, bias)
    kinds = [node.op_type for node in proto.graph.node]
    assert kinds.count("QuantizeLinear") == 2  # the activation's, and the weight's
    nodes = {node.output[0]: node for node in proto.graph.node}
    assert nodes["bias"].input[0] == "bias_q"
    assert nodes["weights"].input[0] == "weights/Quantize"
    assert nodes["dq"].input[0] == "q"
    np.testing.assert_allclose(
        constants_of(proto)["weights/float"], constants_of(bias)["weight"] * np.float32(0.01)
    )
    assert constants_of(proto)["weights/float"].shape == (CHANNELS, CHANNELS)


def test_a_scale_that_is_computed_leaves_the_integers_as_they_are(tmp_path):
    proto = weights(INTEGERS, np.float32(0.5))
    proto.graph.node.insert(0, helper.make_node("Identity", ["s"], ["scale"], name="i"))
    proto.graph.node[1].input[1] = "scale"
    assert "QuantizeLinear" not in [kind for kind, *_ in shape_of(convert(tmp_path, proto))]


def test_a_zero_point_that_is_not_zero_is_refused(tmp_path):
    proto = weights(INTEGERS, np.float32(0.5), np.int8(3))
    told = "floats/DequantizeLinear has a zero point, but TensorRT has only symmetric INT8"
    assert refusal(tmp_path, proto) == told


@pytest.mark.parametrize("kind", ["Cast", "QuantizeLinear"])
def test_saturation_is_not_said_of_what_always_saturates(tmp_path, kind):
    build = Builder()
    pair = [build.constant("s", np.float32(1)), build.constant("z", np.int8(0))]
    extra = {"to": TensorProto.INT8} if kind == "Cast" else {}
    build.node(kind, ["images", *([] if kind == "Cast" else pair)], "q", saturate=1, **extra)
    proto = build.model({"images": [2]}, build.node("DequantizeLinear", ["q", *pair], "y"), 1)
    assert attributes_of(convert(tmp_path, proto).graph.node[0]) == extra


@pytest.mark.parametrize("opset", [18, 19, 20])
def test_opsets_18_to_20_are_rewritten_and_what_they_say_of_themselves(tmp_path, opset):
    build = Builder()
    proto = build.model({"images": [2]}, build.node("Relu", ["images"], "y"), 1)
    proto.opset_import[0].version = opset
    proto.graph.value_info.append(helper.make_tensor_value_info("z", 1, [2]))
    proto.metadata_props.add(key=METADATA_KEY, value=json.dumps({"opset": opset, "a": 1}))
    found = convert(tmp_path, proto)
    assert [(one.domain, one.version) for one in found.opset_import] == [("", 17)]
    assert (found.ir_version, len(found.graph.value_info)) == (8, 0)
    assert json.loads(found.metadata_props[0].value) == {"opset": 17, "a": 1}


@pytest.mark.parametrize("opset", [17, 21])
def test_other_opsets_are_refused(tmp_path, opset):
    told = f"has opset {opset}, but only 18 to 20 can be rewritten; export again"
    assert refusal(tmp_path, reduction("ReduceSum", opset=opset)) == told


def test_float16_is_refused(tmp_path):
    build = Builder()
    half = build.node("Cast", ["images"], "half", to=TensorProto.FLOAT16)
    proto = build.model({"images": [2]}, build.node("Cast", [half], "y", to=TensorProto.FLOAT), 1)
    told = "has float16 in it, which TensorRT 8.6 chooses itself; pass float32"
    assert refusal(tmp_path, proto) == told


@pytest.mark.parametrize(
    ("kind", "domain"), [("Mish", ""), ("Relu", "com.microsoft"), ("No", ""), ("Relu", "ai.onnx")]
)
def test_an_operation_without_a_known_form_is_refused(tmp_path, kind, domain):
    proto = reduction("ReduceSum")
    proto.graph.node.append(helper.make_node(kind, ["y"], ["z"], name="it", domain=domain))
    if domain:
        proto.opset_import.append(helper.make_opsetid(domain, 1))
    told = (
        f"it is a {kind}, which has no known form in opset 17; pass a portable graph of this "
        "package"
    )
    assert refusal(tmp_path, proto) == told


@pytest.mark.parametrize("kind", ["Constant", "Identity", "Reshape", "Shape"])
def test_operations_that_only_take_more_types_stay(tmp_path, kind):
    build = Builder()
    if kind == "Constant":
        value = numpy_helper.from_array(np.ones(2, np.float32))
        other = build.node("Constant", [], "c", value=value)
        result = build.node("Add", ["images", other], "y")
    elif kind == "Reshape":
        result = build.node("Reshape", ["images", build.constant("s", np.array([2, 1]))], "y")
    elif kind == "Shape":
        build.node("Shape", ["images"], "s")
        result = build.node("Reshape", ["images", "s"], "y")
    else:
        result = build.node("Identity", ["images"], "y")
    proto = build.model({"images": [2]}, result, 2 if kind == "Reshape" else 1)
    assert kind in [node.op_type for node in convert(tmp_path, proto).graph.node]
