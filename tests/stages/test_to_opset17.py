import numpy as np
import onnx
import pytest
from onnx import TensorProto, numpy_helper
from onnx.reference import ReferenceEvaluator
from support.rtx_builds import build_rtx, needs_rtx
from support.small_exports import (
    FORMS,
    export_tiny,
    infer,
    largest_error,
    make_images,
    place_export,
    quantize_export,
)
from support.tiny_qdq import Builder

from edge_convnext.core.artifacts import METADATA_KEY, OnnxModel
from edge_convnext.core.errors import ArtifactError, ExportError
from edge_convnext.networks.convnext.gpu_forms import GPU_FORMS
from edge_convnext.runtimes.lint import lint
from edge_convnext.stages.approximate import use_hardswish, use_tanh_gelu
from edge_convnext.stages.fuse_for_onnxruntime import lower_for_onnxruntime
from edge_convnext.stages.to_float16 import halve_body
from edge_convnext.stages.to_opset17 import use_opset_17

IMAGES = make_images(4)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("opset17")


@pytest.fixture(scope="module")
def exports(folder):
    models = {(form, "fp32"): export_tiny(form, folder) for form in (*FORMS, *GPU_FORMS)}
    for form in ("linear", "conv", "nhwc"):
        models[form, "int8"] = quantize_export(models[form, "fp32"], [IMAGES])
    models["late", "blocks"] = place_export(models["late", "fp32"], [IMAGES])
    models["tanh", "fp32"] = use_tanh_gelu(models["linear", "fp32"], folder / "tanh.onnx")
    models["hardswish", "fp32"] = use_hardswish(models["conv", "fp32"], folder / "hardswish.onnx")
    return models


@pytest.fixture(scope="module")
def converted(folder, exports):
    return {
        key: use_opset_17(model, folder / f"{'.'.join(key)}.17.onnx")
        for key, model in exports.items()
    }


CASES = [
    *((form, "fp32") for form in (*FORMS, *GPU_FORMS, "tanh", "hardswish")),
    *((form, "int8") for form in ("linear", "conv", "nhwc")),
    ("late", "blocks"),
]


@pytest.mark.parametrize("case", CASES, ids=".".join)
@pytest.mark.parametrize("images", ["noise", "smooth"])
def test_logits_stay_what_they_were(exports, converted, case, images):
    batch = IMAGES
    if images == "smooth":  # as photographs are: neighbouring pixels are alike
        batch = np.cumsum(IMAGES, axis=2) / np.sqrt(np.arange(1, 33, dtype=np.float32))[:, None]
    expected = infer(exports[case].path, batch)
    assert largest_error(infer(converted[case].path, batch), expected) < 1e-6


@pytest.mark.parametrize("case", CASES, ids=".".join)
def test_the_graph_is_of_opset_17_throughout(exports, converted, case):
    before, after = (onnx.load(models[case].path) for models in (exports, converted))
    onnx.checker.check_model(after, full_check=True)
    assert [(entry.domain, entry.version) for entry in after.opset_import] == [("", 17)]
    assert after.ir_version == 8
    for node in after.graph.node:
        assert node.op_type != "Gelu"
        assert not node.op_type.startswith("Reduce") or len(node.input) == 1
    names = [node.name for node in after.graph.node]
    assert len(set(names)) == len(names)
    assert {node.name for node in before.graph.node if node.op_type != "Gelu"} <= set(names)
    assert converted[case].quantized_ops == exports[case].quantized_ops
    (entry,) = after.metadata_props
    assert entry.key == METADATA_KEY
    assert '"opset": 17' in entry.value


@pytest.mark.parametrize("case", [("linear", "int8"), ("conv", "int8")], ids=".".join)
def test_tensorrt_8_6_has_nothing_against_it(exports, converted, case):
    assert {one.rule for one in lint(exports[case].path, "tensorrt8.6")} == {
        "opset",
        "missing-operation",
        "axes-input",
        "int8-constant",
    }
    assert lint(converted[case].path, "tensorrt8.6") == ()


def test_gelu_is_in_the_order_of_operations_that_runtimes_fuse(converted):
    nodes = onnx.load(converted["linear", "fp32"].path).graph.node
    parts = [node.op_type for node in nodes if "blocks.0.act/" in node.name]
    assert parts[:5] == ["Div", "Erf", "Add", "Mul", "Mul"]


def test_equal_graphs_give_equal_bytes(folder, exports, converted):
    again = use_opset_17(exports["conv", "int8"], folder / "again.onnx")
    assert again.path.read_bytes() == converted["conv", "int8"].path.read_bytes()


@needs_rtx
@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_tensorrt_makes_the_same_kernels_of_it(exports, converted, precision):
    before, after = (build_rtx(models["linear", precision].path) for models in (exports, converted))
    assert after.error is None
    assert [one.kind for one in after.kernels] == [one.kind for one in before.kernels]
    assert after.int8_kernels == exports["linear", precision].quantized_ops


def convert(tmp_path, proto):
    onnx.save(proto, tmp_path / "graph.onnx")
    model = OnnxModel(tmp_path / "graph.onnx", "fp32", "linear")
    return onnx.load(use_opset_17(model, tmp_path / "17.onnx").path)


def one_node(kind, *constants, opset=20, **attributes):
    build = Builder()
    names = [build.constant(f"c{number}", value) for number, value in enumerate(constants)]
    build.node(kind, ["images", *names], "y", **attributes)
    proto = build.model({"images": [2, 3, 4]}, "y", 3)
    proto.opset_import[0].version = opset
    return proto


@pytest.mark.parametrize(
    "proto",
    [
        one_node("ReduceMean", np.array([1]), keepdims=1),
        one_node("ReduceL2", np.array([-1, 0]), keepdims=1),
        one_node("ReduceMean"),  # all axes
        one_node("ReduceSum", np.array([1])),  # its axes are an input since opset 13
        one_node("Cast", to=1, saturate=1),
        one_node("Gelu"),
        one_node("Gelu", approximate="tanh"),
    ],
    ids=lambda proto: proto.graph.node[0].op_type,
)
def test_an_operation_computes_the_same_in_its_older_version(tmp_path, proto):
    images = 3 * np.random.default_rng(0).standard_normal((2, 3, 4)).astype(np.float32)
    expected, found = (
        ReferenceEvaluator(one).run(None, {"images": images})[0]
        for one in (proto, convert(tmp_path, proto))
    )
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    ("proto", "message"),
    [
        (one_node("HardSwish"), None),
        (one_node("Mish"), r"y/Mish is a Mish, which has no known form in opset 17"),
        (one_node("ReduceMean", noop_with_empty_axes=1), "y/ReduceMean computes its axes or red"),
        (one_node("Neg", opset=17), "has opset 17, but only 18 to 20 can be rewritten"),
        (one_node("Neg", opset=21), "has opset 21, but only 18 to 20 can be rewritten"),
    ],
)
def test_what_opset_17_cannot_say_is_refused_by_name(tmp_path, proto, message):
    if message is None:  # unchanged since opset 14
        assert convert(tmp_path, proto).graph.node[0].op_type == "HardSwish"
        return
    with pytest.raises(ExportError, match=message):
        convert(tmp_path, proto)
    assert [path.name for path in tmp_path.iterdir()] == ["graph.onnx"]


def test_float16_graphs_and_those_of_one_runtime_are_refused(tmp_path, exports):
    target = tmp_path / "x.onnx"
    half = halve_body(exports["linear", "fp32"], tmp_path / "half.onnx")
    with pytest.raises(ExportError, match="has float16 in it"):
        use_opset_17(half, target)
    lowered = lower_for_onnxruntime(exports["nhwc", "int8"], tmp_path / "lowered.onnx")
    with pytest.raises(ExportError, match="is a MatMulIntegerToFloat, which has no known form"):
        use_opset_17(lowered, target)
    with pytest.raises(ArtifactError, match="No such file"):
        use_opset_17(OnnxModel(tmp_path / "gone.onnx", "fp32", "linear"), target)
    assert not target.exists()


def test_weights_are_stored_as_floats_and_quantized_to_the_same_integers(exports, converted):
    """TensorRT 8.6 fails on INT8 constants; the integers behind its own Q are the ones before."""
    for key in [key for key in exports if key[1] == "int8"]:
        proto = onnx.load(converted[key].path)
        constants = {
            tensor.name: numpy_helper.to_array(tensor) for tensor in proto.graph.initializer
        }
        for node in proto.graph.node:
            if node.op_type == "DequantizeLinear":
                assert node.input[0] not in constants
        before = onnx.load(exports[key].path)
        integer = {
            tensor.name: numpy_helper.to_array(tensor)
            for tensor in before.graph.initializer
            if tensor.data_type == TensorProto.INT8
        }
        stored = {
            node.output[0]: integer[node.input[0]]
            for node in before.graph.node
            if node.op_type == "DequantizeLinear" and node.input[0] in integer
        }
        quantizers = [
            n for n in proto.graph.node if n.input[0] in constants and "Quantize" in n.op_type
        ]
        assert len(quantizers) == len(stored) > 0
        for node in quantizers:
            floats, scale = (constants[name] for name in node.input[:2])
            axis = next((item.i for item in node.attribute if item.name == "axis"), 1)
            shape = [1] * floats.ndim
            if scale.size > 1:
                shape[axis] = -1
            integers = np.rint(floats / scale.reshape(shape)).astype(np.int8)
            assert np.array_equal(integers, stored[node.output[0].removesuffix("/Quantize")])
