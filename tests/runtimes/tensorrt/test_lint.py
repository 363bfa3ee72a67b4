"""Each rule beside what the real parser and builder make of the graph that breaks it."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from support.rtx_builds import build_rtx, dtypes, needs_rtx
from support.small_exports import export_tiny, make_images, quantize_export
from support.tiny_qdq import CHANNELS, quantized_product

from edge_convnext.runtimes.lint import lint
from edge_convnext.stages.to_float16 import halve_body
from edge_convnext.stages.to_opset17 import use_opset_17

TARGETS = ["rtx", "tensorrt10", "tensorrt8.6", "tensorrt8.5"]
FLOAT, HALF, UINT8 = TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.UINT8


def rules(tmp_path, model, target="rtx"):
    path = tmp_path / "graph.onnx"
    onnx.save(model, path)
    return [(one.rule, one.severity) for one in lint(path, target)]


def graph(*nodes, kind=HALF, shape=(4, 64), result=HALF, opset=20, **constants):
    """`x` to `y`; a node is (operation, inputs, output, attributes)."""
    made = []
    for operation, inputs, output, *attributes in nodes:
        more = attributes[0] if attributes else {}
        made.append(helper.make_node(operation, inputs, [output], name=output, **more))
    return helper.make_model(
        helper.make_graph(
            made,
            "small",
            [helper.make_tensor_value_info("x", kind, shape)],
            [helper.make_tensor_value_info("y", result, None)],
            [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
        ),
        opset_imports=[helper.make_opsetid("", opset)],
        ir_version=8,
    )


@needs_rtx
@pytest.mark.parametrize("kind", ["Conv", "MatMul"])
@pytest.mark.parametrize(
    ("broken", "rule", "words"),
    [
        ({"activation_zero": 5}, "zero-point", "Non-zero zero point is not supported"),
        ({"weight_zero": 5}, "zero-point", "Non-zero zero point is not supported"),
        ({"weight": np.uint8}, "unsigned", "unsupported input type of UINT8"),
        ({"quantize_bias": True}, "int32-bias", "input has type Int32 but must have type"),
    ],
)
def test_the_parser_refuses_these_pairs(tmp_path, kind, broken, rule, words):
    model = quantized_product(kind, **broken)
    assert rules(tmp_path, model) == [(rule, "error")]
    assert words in build_rtx(model).error


@needs_rtx
def test_the_parser_takes_uint8_activations_for_int8_ones(tmp_path):
    """Values above 127 steps are cut off, half of the range, without a word."""
    model = quantized_product(activation=np.uint8)
    assert rules(tmp_path, model) == [("unsigned", "error")]
    signed, unsigned = build_rtx(quantized_product()), build_rtx(model)
    assert unsigned.error is None
    assert dtypes(unsigned.kernels[0].outputs) == ("Int8",)
    assert [one.kind for one in unsigned.kernels] == [one.kind for one in signed.kernels]


@needs_rtx
@pytest.mark.parametrize("kind", ["Conv", "MatMul"])
@pytest.mark.parametrize(
    ("slow", "rule"),
    [
        ({"quantize_input": False}, ("weight-only", "warning")),
        ({"activation_scales": CHANNELS}, ("per-channel-activation", "error")),
    ],
)
def test_the_builder_computes_these_products_in_float(tmp_path, kind, slow, rule):
    model = quantized_product(kind, **slow)
    assert rules(tmp_path, model) == [rule]
    built = build_rtx(model)
    assert built.error is None
    assert not [one for one in built.kernels if one.kind == "gemm"]
    convolutions = [one for one in built.kernels if one.kind == "correlation"]
    assert "Int8" not in {kind for one in convolutions for kind in dtypes(one.inputs)}


@needs_rtx
def test_the_builder_pads_the_groups_of_a_depthwise(tmp_path):
    model = quantized_product("Conv", groups=CHANNELS)
    assert rules(tmp_path, model) == [("depthwise", "warning")]
    assert [1, 4 * CHANNELS, 4, 4] in build_rtx(model).dimensions("correlation")


@needs_rtx
@pytest.mark.parametrize(
    "model",
    [
        graph(("Cast", ["x"], "h", {"to": HALF}), ("Add", ["x", "h"], "y"), kind=FLOAT),
        graph(("MatMul", ["x", "w"], "y"), kind=FLOAT, w=np.ones((64, 8), np.float16)),
        graph(("LayerNormalization", ["x", "w"], "y"), w=np.ones(64, np.float32)),
        graph(("Cast", ["x"], "b", {"to": TensorProto.BFLOAT16}), ("Mul", ["x", "b"], "y")),
        graph(("Cast", ["x"], "f", {"to": FLOAT}), ("Concat", ["x", "f"], "y", {"axis": 0})),
    ],
    ids=["Add", "MatMul", "LayerNormalization", "bfloat16", "Concat"],
)
def test_the_parser_casts_nothing_by_itself(tmp_path, model):
    for target in ("rtx", "tensorrt10"):
        assert rules(tmp_path, model, target) == [("mixed-types", "error")]
    assert "must" in build_rtx(model).error  # have the same type


AXES = {"axes": np.array([1])}


@needs_rtx
@pytest.mark.parametrize(
    ("model", "widens"),
    [
        (graph(("Mul", ["x", "x"], "s"), ("ReduceMean", ["s", "axes"], "y"), **AXES), False),
        (graph(("ReduceSumSquare", ["x", "axes"], "y"), **AXES), False),
        (graph(("Pow", ["x", "two"], "y"), two=np.float16(2)), False),
        (graph(("ReduceMean", ["x", "axes"], "y"), **AXES), False),
        (graph(("ReduceL2", ["x", "axes"], "y"), **AXES), True),
        (graph(("LayerNormalization", ["x", "w"], "y"), w=np.ones(64, np.float16)), True),
    ],
    ids=["squares", "ReduceSumSquare", "Pow", "ReduceMean", "ReduceL2", "LayerNormalization"],
)
def test_some_float16_reductions_are_computed_in_float16(tmp_path, model, widens):
    """The name of a generated kernel lists its steps; a safe one begins with a Cast."""
    found = set(rules(tmp_path, model))
    assert found == (set() if widens else {("float16-range", "warning")})
    (kernel,) = build_rtx(model).kernels
    assert (dtypes(kernel.inputs), dtypes(kernel.outputs)[0]) == (("Half",), "Half")
    assert kernel.name.startswith("__myl_Cast") == widens


@needs_rtx
def test_axes_that_are_computed_are_refused(tmp_path):
    model = graph(
        ("Cast", ["x"], "axes", {"to": TensorProto.INT64}),
        ("ReduceMean", ["w", "axes"], "y"),
        kind=FLOAT,
        shape=(1,),
        result=FLOAT,
        w=np.ones((4, 4), np.float32),
    )
    assert rules(tmp_path, model) == [("axes-input", "error")]
    assert "Axis input must resolve to a build-time constant" in build_rtx(model).error


@needs_rtx
def test_pixels_have_to_be_cast_before_anything_else(tmp_path):
    model = graph(
        ("Transpose", ["x"], "t", {"perm": [1, 0]}), ("Cast", ["t"], "y", {"to": HALF}), kind=UINT8
    )
    for target in TARGETS[:2]:
        assert rules(tmp_path, model, target) == [("uint8-images", "error")]
    assert "input has type UInt8 but must have type" in build_rtx(model).error


def product(scale, weight_scale=0.01, kind=HALF):
    """The scales are float16, whatever the images are."""
    return graph(
        ("QuantizeLinear", ["x", "s", "z"], "q"),
        ("DequantizeLinear", ["q", "s", "z"], "dq"),
        ("DequantizeLinear", ["w", "ws"], "wd", {"axis": 1}),
        ("MatMul", ["dq", "wd"], "y"),
        s=np.float16(scale),
        z=np.int8(0),
        w=np.ones((64, 8), np.int8),
        ws=np.full(8, weight_scale, np.float16),
        kind=kind,
    )


@needs_rtx
def test_a_scale_may_be_of_another_type_than_what_it_quantizes(tmp_path):
    model = product(0.01, kind=FLOAT)
    assert rules(tmp_path, model) == []
    built = build_rtx(model)
    assert (built.error, built.int8_kernels) == (None, 1)


@needs_rtx
def test_a_scale_that_underflowed_is_refused(tmp_path):
    model = product(1e-8)  # 0 in float16
    assert rules(tmp_path, model) == [("scale", "error")] * 2
    assert "Scale coefficients must all be positive" in build_rtx(model).error
    assert rules(tmp_path, product(-0.01)) == [("scale", "error")] * 2


@needs_rtx
def test_a_scale_that_lost_most_bits_passes_silently(tmp_path):
    model = product(0.01, 1e-7)  # 1.2e-7 in float16
    assert rules(tmp_path, model) == [("tiny-scale", "warning")]
    built = build_rtx(model)
    assert built.error is None
    assert dtypes(built.kernels[-1].constants) == ("Half",)  # it is what dequantizes


@pytest.mark.parametrize(
    ("target", "missing"),
    [("rtx", 0), ("tensorrt10", 0), ("tensorrt8.6", 1), ("tensorrt8.5", 2)],
)
def test_older_versions_lack_operations(tmp_path, target, missing):
    model = graph(
        ("LayerNormalization", ["x", "w"], "n"),
        ("Gelu", ["n"], "y"),
        kind=FLOAT,
        result=FLOAT,
        w=np.ones(64, np.float32),
    )
    found = [rule for rule, _ in rules(tmp_path, model, target)]
    assert found.count("missing-operation") == missing
    assert found.count("opset") == (1 if missing else 0)


def test_older_versions_do_not_see_axes_that_are_an_input(tmp_path):
    """NVIDIA/TensorRT#3467."""
    new = graph(("ReduceMean", ["x", "axes"], "y"), kind=FLOAT, result=FLOAT, **AXES)
    old = graph(("ReduceMean", ["x"], "y", {"axes": [1]}), kind=FLOAT, result=FLOAT, opset=17)
    total = graph(("ReduceSum", ["x", "axes"], "y"), kind=FLOAT, result=FLOAT, opset=17, **AXES)
    for target in TARGETS[2:]:
        found = [("opset", "error"), ("axes-input", "error")]
        assert rules(tmp_path, new, target) == found
        assert rules(tmp_path, old, target) == []
        assert rules(tmp_path, total, target) == []


def test_tensorrt_8_fails_on_weights_stored_as_int8(tmp_path, exports):
    """Seen in 8.6 on an H200: `params.weights.type() != DataType::kINT8`."""
    _, quantized = exports
    for target in TARGETS[2:]:
        assert ("int8-constant", "error") in rules(tmp_path, onnx.load(quantized.path), target)
    for target in TARGETS[:2]:
        assert rules(tmp_path, onnx.load(quantized.path), target) == []


@pytest.fixture(scope="module")
def exports(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lint")
    model = export_tiny("linear", folder)
    return model, quantize_export(model, [make_images(2)])


def test_what_this_package_makes_for_each_version_is_clean(tmp_path, exports):
    for model in exports:
        half = halve_body(model, tmp_path / "half.onnx")
        assert lint(half.path, "rtx") == lint(half.path, "tensorrt10") == ()
        assert lint(model.path, "rtx") == lint(model.path, "tensorrt10") == ()
        assert lint(use_opset_17(model, tmp_path / "17.onnx").path, "tensorrt8.6") == ()


def test_a_mean_that_the_float16_export_has_is_found(tmp_path):
    """`export` writes the mean before the head in float16."""
    half = export_tiny("linear", tmp_path, "fp16")
    (finding,) = lint(half.path, "rtx")
    assert (finding.rule, finding.node) == ("float16-range", "head/ReduceMean")
