import numpy as np
import onnx
import onnx.reference
import pytest
from support.tiny_qdq import CHANNELS, Builder, quantized_product

from edge_convnext.core.errors import ArtifactError, QuantizationError
from edge_convnext.runtimes.lint import lint, require_runnable


def lint_graph(tmp_path, model, target):
    path = tmp_path / "graph.onnx"
    onnx.save(model, path)
    return lint(path, target)


@pytest.mark.parametrize("target", ["rtx", "tensorrt10", "onnxruntime", "openvino"])
def test_a_signed_symmetric_matmul_is_clean_everywhere(tmp_path, target):
    assert lint_graph(tmp_path, quantized_product(), target) == ()


@pytest.mark.parametrize(
    ("broken", "rule", "node"),
    [
        ({"activation_zero": 5}, "zero-point", "q/QuantizeLinear"),
        ({"weight_zero": 5}, "zero-point", "weights/DequantizeLinear"),
        ({"activation": np.uint8}, "unsigned", "q/QuantizeLinear"),
        ({"weight": np.uint8}, "unsigned", "weights/DequantizeLinear"),
        ({"quantize_bias": True}, "int32-bias", "bias/DequantizeLinear"),
        ({"activation_scales": CHANNELS}, "per-channel-activation", "q/QuantizeLinear"),
    ],
)
@pytest.mark.parametrize("kind", ["Conv", "MatMul"])
def test_rtx_refuses_what_tensorrt_gets_wrong(tmp_path, kind, broken, rule, node):
    (finding,) = lint_graph(tmp_path, quantized_product(kind, **broken), "rtx")
    assert (finding.rule, finding.severity, finding.node) == (rule, "error", node)


def test_a_refusal_names_node_rule_and_remedy(tmp_path):
    path = tmp_path / "graph.onnx"
    onnx.save(quantized_product(activation=np.uint8, activation_zero=128), path)
    with pytest.raises(QuantizationError, match=r"q/QuantizeLinear: zero-point: .*; quantize symm"):
        require_runnable(path, "rtx")


def test_warnings_do_not_refuse_a_graph(tmp_path):
    path = tmp_path / "graph.onnx"
    onnx.save(quantized_product("Conv", groups=CHANNELS), path)
    (finding,) = require_runnable(path, "rtx")
    assert (finding.rule, finding.node) == ("depthwise", "product/Conv")


@pytest.mark.parametrize("target", ["rtx", "tensorrt10", "onnxruntime", "openvino"])
@pytest.mark.parametrize("kind", ["Conv", "MatMul"])
def test_quantized_weights_alone_are_flagged_everywhere(tmp_path, kind, target):
    (finding,) = lint_graph(tmp_path, quantized_product(kind, quantize_input=False), target)
    assert (finding.rule, finding.severity) == ("weight-only", "warning")


@pytest.mark.parametrize(
    ("graph", "rule"),
    [
        ({"kind": "MatMul", "bias_rank": 1}, "float-gemm"),
        ({"kind": "MatMul", "activation_scales": CHANNELS}, "per-channel-activation"),
        ({"kind": "Conv"}, "float-kernel"),
    ],
)
def test_float_kernels_of_onnx_runtime_are_foreseen(tmp_path, graph, rule):
    import onnxruntime

    model = quantized_product(**graph)
    (finding,) = lint_graph(tmp_path, model, "onnxruntime")
    assert (finding.rule, finding.severity) == (rule, "warning")
    kinds = optimized_kinds(onnxruntime, tmp_path, model)
    assert kinds.isdisjoint({"MatMulIntegerToFloat", "QLinearConv", "ConvInteger"})


def test_the_kernel_of_a_clean_matmul_is_int8_in_onnx_runtime(tmp_path):
    import onnxruntime

    assert "MatMulIntegerToFloat" in optimized_kinds(onnxruntime, tmp_path, quantized_product())


@pytest.mark.parametrize(("opset", "rules"), [(20, []), (21, ["transposed-pair"])])
def test_onnx_runtime_cannot_load_transposed_pairs_of_newer_opsets(tmp_path, opset, rules):
    model = quantized_product()
    model.opset_import[0].version = opset
    transpose = onnx.helper.make_node("Transpose", ["dq"], ["turned"], "turn", perm=[0, 2, 1, 3])
    product = next(node for node in model.graph.node if node.op_type == "MatMul")
    product.input[0] = "turned"
    model.graph.node.insert(2, transpose)
    assert [found.rule for found in lint_graph(tmp_path, model, "onnxruntime")] == rules


@pytest.mark.parametrize("kind", ["Conv", "MatMul"])
def test_weights_with_a_zero_point_are_flagged_for_openvino(tmp_path, kind):
    (finding,) = lint_graph(tmp_path, quantized_product(kind, weight_zero=3), "openvino")
    assert (finding.rule, finding.severity) == ("zero-point", "warning")


@pytest.mark.parametrize(("sign", "rules"), [(1.0, []), (-1.0, ["negative-norm-scale"])])
def test_openvino_computes_a_quantized_norm_of_negative_scale_wrongly(tmp_path, sign, rules):
    import openvino

    model = quantized_head(sign)
    assert [found.rule for found in lint_graph(tmp_path, model, "openvino")] == rules
    images = np.random.default_rng(0).standard_normal((1, 64), dtype=np.float32)
    onnx.save(model, tmp_path / "head.onnx")
    (expected,) = onnx.reference.ReferenceEvaluator(model).run(None, {"x": images})
    compiled = openvino.Core().compile_model(
        tmp_path / "head.onnx", "CPU", {"INFERENCE_PRECISION_HINT": "f32"}
    )
    error = np.abs(compiled(images)[0] - expected).max() / np.abs(expected).max()
    assert (error > 0.1) == bool(rules)  # once OpenVINO is mended, the rule can go


def quantized_head(sign):
    """LayerNormalization, every third scale of the given sign, Q/DQ and Gemm."""
    build, draw = Builder(), np.random.default_rng(1)
    scale = np.where(np.arange(64) % 3 == 0, sign, 1.0) * (1.0 + np.arange(64) % 5)
    norm = [build.constant("gamma", scale.astype(np.float32))]
    norm.append(build.constant("beta", np.zeros(64, np.float32)))
    build.node("LayerNormalization", ["x", *norm], "n", axis=-1, epsilon=1e-6)
    grid = [build.constant("s", np.float32(0.1)), build.constant("z", np.int8(0))]
    build.node("QuantizeLinear", ["n", *grid], "q")
    build.node("DequantizeLinear", ["q", *grid], "dq")
    stored = draw.integers(-127, 127, (5, 64)).astype(np.int8)
    weight = [build.constant("w", stored), build.constant("ws", np.full(5, 0.01, np.float32))]
    weight.append(build.constant("wz", np.zeros(5, np.int8)))
    build.node("DequantizeLinear", weight, "wd", axis=0)
    build.node("Gemm", ["dq", "wd", build.constant("b", np.zeros(5, np.float32))], "y", transB=1)
    return build.model({"x": [1, 64]}, "y", 2)


def test_files_that_are_no_graph_are_one_line(tmp_path):
    with pytest.raises(ArtifactError, match="No such file"):
        lint(tmp_path / "absent.onnx", "rtx")
    (tmp_path / "noise.onnx").write_bytes(b"\xff" * 64)
    with pytest.raises(ArtifactError, match="truncated, or not ONNX"):
        lint(tmp_path / "noise.onnx", "rtx")
    (tmp_path / "empty.onnx").write_bytes(b"")  # a valid message of protobuf
    with pytest.raises(ArtifactError, match="empty, or not ONNX"):
        lint(tmp_path / "empty.onnx", "rtx")


def optimized_kinds(onnxruntime, tmp_path, model):
    """Operation types of the graph that ONNX Runtime really runs, with its own defaults."""
    settings = onnxruntime.SessionOptions()
    settings.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    settings.log_severity_level = 3  # it warns that such a file is for this machine only
    onnxruntime.InferenceSession(
        model.SerializeToString(), settings, providers=["CPUExecutionProvider"]
    )
    return {node.op_type for node in onnx.load(tmp_path / "optimized.onnx").graph.node}
