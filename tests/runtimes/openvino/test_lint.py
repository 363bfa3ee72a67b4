import numpy as np
import onnx
import onnx.reference
import pytest
from support.linted import lint_graph
from support.miscomputed import (
    ATTENTIONS_RIGHT,
    ATTENTIONS_WRONG,
    ATTENTIONS_WRONG_IN_BF16,
    CONCATS_RIGHT,
    CONCATS_WRONG,
    SCALES_RIGHT,
    SCALES_WRONG,
    attention_graph,
    concat_graph,
    is_wrong_in_openvino,
    scale_graph,
)
from support.tiny_qdq import Builder, quantized_product

from edge_convnext.runtimes.openvino.runner import supports_bf16

BF16_WRONG_DB = 25.0  # bfloat16 itself has 40 and more here


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


def errors(folder, proto):
    return [one.rule for one in lint_graph(folder, proto, "openvino") if one.severity == "error"]


@pytest.mark.parametrize("name", CONCATS_WRONG)
def test_signed_pairs_between_a_concat_and_a_conv_are_computed_wrongly(tmp_path, name):
    proto = concat_graph(CONCATS_WRONG[name], "int8")
    assert set(errors(tmp_path, proto)) == {"concat-int8"}
    assert is_wrong_in_openvino(proto, tmp_path)  # once OpenVINO is mended, the rule can go


@pytest.mark.parametrize("name", [*CONCATS_WRONG, *CONCATS_RIGHT])
def test_unsigned_pairs_behind_a_concat_are_right(tmp_path, name):
    proto = concat_graph({**CONCATS_WRONG, **CONCATS_RIGHT}[name], "uint8")
    assert errors(tmp_path, proto) == []
    assert not is_wrong_in_openvino(proto, tmp_path)


@pytest.mark.parametrize("name", CONCATS_RIGHT)
def test_neighbours_of_a_signed_concat_are_right_and_not_refused(tmp_path, name):
    proto = concat_graph(CONCATS_RIGHT[name], "int8")
    assert errors(tmp_path, proto) == []
    assert not is_wrong_in_openvino(proto, tmp_path)


@pytest.mark.parametrize("act", ["int8", "uint8"])
@pytest.mark.parametrize("name", SCALES_WRONG)
def test_a_constant_of_every_channel_at_a_quantized_mean_is_applied_wrongly(tmp_path, name, act):
    proto = scale_graph(SCALES_WRONG[name], act)
    assert errors(tmp_path, proto) == ["mean-scale"]
    assert is_wrong_in_openvino(proto, tmp_path)  # once OpenVINO is mended, the rule can go


@pytest.mark.parametrize("act", ["int8", "uint8"])
@pytest.mark.parametrize("name", SCALES_RIGHT)
def test_neighbours_of_a_scaled_mean_are_right_and_not_refused(tmp_path, name, act):
    proto = scale_graph(SCALES_RIGHT[name], act)
    assert errors(tmp_path, proto) == []
    assert not is_wrong_in_openvino(proto, tmp_path)


@pytest.mark.parametrize("name", ATTENTIONS_WRONG)
def test_moved_attention_of_as_many_heads_as_tokens_is_computed_wrongly(tmp_path, name):
    proto = attention_graph(ATTENTIONS_WRONG[name])
    assert errors(tmp_path, proto) == ["square-attention"]
    assert is_wrong_in_openvino(proto, tmp_path)  # once OpenVINO is mended, the rule can go


@pytest.mark.skipif(not supports_bf16(), reason="this CPU has no bfloat16")
@pytest.mark.parametrize("name", ATTENTIONS_WRONG_IN_BF16)
def test_attention_that_is_wrong_in_bfloat16_alone_is_refused_too(tmp_path, name):
    proto = attention_graph(ATTENTIONS_WRONG_IN_BF16[name])
    assert errors(tmp_path, proto) == ["square-attention"]
    assert not is_wrong_in_openvino(proto, tmp_path)
    assert is_wrong_in_openvino(proto, tmp_path, "bf16", BF16_WRONG_DB)


@pytest.mark.parametrize("name", ATTENTIONS_RIGHT)
def test_neighbours_of_square_attention_are_right_and_not_refused(tmp_path, name):
    proto = attention_graph(ATTENTIONS_RIGHT[name])
    assert errors(tmp_path, proto) == []
    assert not is_wrong_in_openvino(proto, tmp_path)
    if supports_bf16():
        assert not is_wrong_in_openvino(proto, tmp_path, "bf16", BF16_WRONG_DB)


def test_a_refused_pattern_names_its_nodes_and_its_remedy(tmp_path):
    (found,) = lint_graph(tmp_path, concat_graph(CONCATS_WRONG["conv 1x1"], "int8"), "openvino")
    assert found.node.endswith("/Conv")
    assert "/Concat and a dense convolution" in found.message
    assert found.remedy == (
        "quantize that value as uint8 (quantize.activation_type), or keep "
        f"{found.node} in float (quantize.ignored_names)"
    )
    (found,) = lint_graph(tmp_path, scale_graph(SCALES_WRONG["mean, add"], "int8"), "openvino")
    assert found.node.endswith("/ReduceMean")
    assert "/Add applies a constant" in found.message
