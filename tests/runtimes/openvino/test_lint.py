import numpy as np
import onnx
import onnx.reference
import pytest
from support.linted import lint_graph
from support.tiny_qdq import Builder, quantized_product


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
