import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx.reference import ReferenceEvaluator
from support.exports import export_onnx, quantize
from support.graph_pairs import IMAGES, make_graphs
from support.tiny_qdq import Builder
from support.torch_exports import INFO, TINY

from edge_convnext.core.sections import ExportConfig, QuantizeConfig
from edge_convnext.networks.convnext.build import random_state
from edge_convnext.networks.weights import save_weights
from edge_convnext.runtimes import RuntimeOptions
from edge_convnext.runtimes.load import load_runtime
from edge_convnext.stages.fold import fold_weights
from edge_convnext.stages.keep_float import find_fallback, keep_float, quantized_operations


@pytest.fixture(scope="module", params=["nhwc", "conv"])
def graphs(request, tmp_path_factory):
    return make_graphs(request.param, tmp_path_factory.mktemp("fallback"))


def infer(proto, path):
    onnx.save(proto, path)
    return load_runtime("onnxruntime", path, RuntimeOptions()).infer(IMAGES)


def test_all_in_float_is_the_float_graph(graphs, tmp_path):
    reference, quantized = (onnx.load(path) for path in graphs)
    names = quantized_operations(quantized)
    restored = keep_float(quantized, reference, names)
    assert {node.op_type for node in restored.graph.node} == {
        node.op_type for node in reference.graph.node
    }
    expected = infer(reference, tmp_path / "a.onnx")
    assert np.abs(infer(restored, tmp_path / "b.onnx") - expected).max() < 1e-6
    onnx.checker.check_model(restored, full_check=True)


def test_a_transpose_behind_the_quantizer_is_kept(tmp_path):
    raw = save_weights(random_state(TINY, 0), TINY, INFO, tmp_path / "raw.safetensors")
    folded = fold_weights(raw, tmp_path / "folded.safetensors")
    model = export_onnx(folded, "nhwc", "fp32", ExportConfig(), tmp_path / "fp32.onnx")
    made = quantize(model, [IMAGES], "all", QuantizeConfig(), tmp_path / "int8.onnx")
    reference, quantized = onnx.load(model.path), onnx.load(made.path)
    makers = {name: node for node in quantized.graph.node for name in node.output}
    names = quantized_operations(quantized)
    operations = [node for node in quantized.graph.node if node.name in names]
    assert any(makers[node.input[0]].op_type == "Transpose" for node in operations)
    restored = keep_float(quantized, reference, names)
    onnx.checker.check_model(restored, full_check=True)
    assert quantized_operations(restored) == ()
    assert np.isfinite(infer(restored, tmp_path / "b.onnx")).all()


def moved(kind, axes, *, paired):
    """Images that lose their axes of one position before a Gemm reads them, perhaps in INT8."""
    build = Builder()
    value, weight = np.random.default_rng(0).standard_normal((5, 8)).astype(np.float32), "w"
    x = "images"
    if paired:
        grid = [build.constant("s", np.float32(0.03)), build.constant("z", np.int8(0))]
        x = build.node("DequantizeLinear", [build.node("QuantizeLinear", [x, *grid], "q"), *grid],
                       "dq")  # fmt: skip
        steps = np.abs(value).max() / 127
        stored = [
            build.constant("w_q", np.rint(value / steps).astype(np.int8)),
            build.constant("w_s", np.float32(steps)),
            build.constant("w_z", np.int8(0)),
        ]
        weight = build.node("DequantizeLinear", stored, "w_dq")
    else:
        build.constant("w", value)
    given = [] if axes is None else [build.constant("axes", np.int64(axes))]
    x = build.node(kind, [x, *given], "flat")
    x = build.node("Gemm", [x, weight], "y", transB=1)
    return build.model({"images": [2, 8, 1, 1]}, x, 2)


@pytest.mark.parametrize(
    ("kind", "axes"), [("Flatten", None), ("Squeeze", (2, 3)), ("Reshape", (2, 8))]
)
def test_what_moves_values_behind_the_quantizer_is_kept(tmp_path, kind, axes):
    reference, quantized = (moved(kind, axes, paired=paired) for paired in (False, True))
    assert quantized_operations(quantized) == ("y/Gemm",)
    restored = keep_float(quantized, reference, ["y/Gemm"])
    onnx.checker.check_model(restored, full_check=True)
    assert [node.op_type for node in restored.graph.node] == [kind, "Gemm"]
    images = {"images": np.random.default_rng(1).standard_normal((2, 8, 1, 1), np.float32)}
    found, expected = (ReferenceEvaluator(one).run(None, images)[0]
                       for one in (restored, reference))  # fmt: skip
    np.testing.assert_array_equal(found, expected)


def test_none_in_float_is_the_same_bytes(graphs):
    reference, quantized = (onnx.load(path) for path in graphs)
    before = quantized.SerializeToString(deterministic=True)
    kept = keep_float(quantized, reference, [])
    assert kept.SerializeToString(deterministic=True) == before


def test_one_in_float_leaves_the_others_quantized(graphs):
    reference, quantized = (onnx.load(path) for path in graphs)
    before = quantized.SerializeToString(deterministic=True)
    names = quantized_operations(quantized)
    restored = keep_float(quantized, reference, names[3:4])
    assert quantized_operations(restored) == names[:3] + names[4:]
    assert quantized.SerializeToString(deterministic=True) == before


@given(st.integers(1, 40), st.integers(1, 45))
def test_bisection_finds_the_smallest_number_that_holds(count, needed):
    ranking = [f"op{index}" for index in range(count)]
    asked = []

    def holds(names):
        asked.append(len(names))
        return len(names) >= needed

    found = find_fallback(ranking, holds)
    assert found == (tuple(ranking[:needed]) if needed <= count else None)
    assert len(asked) <= 2 + np.log2(count)
