import onnx
import onnx.reference
import pytest
from support.linted import lint_graph
from support.tiny_qdq import CHANNELS, quantized_product


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


def optimized_kinds(onnxruntime, tmp_path, model):
    """Operation types of the graph that ONNX Runtime really runs, with its own defaults."""
    settings = onnxruntime.SessionOptions()
    settings.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    settings.log_severity_level = 3  # it warns that such a file is for this machine only
    onnxruntime.InferenceSession(
        model.SerializeToString(), settings, providers=["CPUExecutionProvider"]
    )
    return {node.op_type for node in onnx.load(tmp_path / "optimized.onnx").graph.node}
