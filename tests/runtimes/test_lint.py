import numpy as np
import onnx
import onnx.reference
import pytest
from support.linted import lint_graph
from support.tiny_qdq import CHANNELS, quantized_product

from edge_convnext.core.errors import ArtifactError, QuantizationError, RefusedGraphError
from edge_convnext.runtimes.lint import for_those_that_can, lint, require_runnable, targets_here


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


@pytest.mark.parametrize(
    ("machine", "targets"),
    [
        ("x86_64", ("openvino",)),
        ("aarch64", ("openvino", "openvino-aarch64")),
        ("arm64", ("openvino", "openvino-aarch64")),
    ],
)
def test_rules_of_arm_hold_on_arm_alone(machine, targets):
    assert targets_here("openvino", machine) == targets
    assert targets_here("onnxruntime", machine) == ("onnxruntime",)


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


def test_files_that_are_no_graph_are_one_line(tmp_path):
    with pytest.raises(ArtifactError, match="No such file"):
        lint(tmp_path / "absent.onnx", "rtx")
    (tmp_path / "noise.onnx").write_bytes(b"\xff" * 64)
    with pytest.raises(ArtifactError, match="truncated, or not ONNX"):
        lint(tmp_path / "noise.onnx", "rtx")
    (tmp_path / "empty.onnx").write_bytes(b"")  # a valid message of protobuf
    with pytest.raises(ArtifactError, match="empty, or not ONNX"):
        lint(tmp_path / "empty.onnx", "rtx")


def test_a_graph_is_made_for_those_that_can_run_it():
    asked = []

    def make(users):
        asked.append(users)
        for one in ("b", "c"):
            if one in users:
                raise RefusedGraphError(f"not on {one}", one)
        return "made"

    assert for_those_that_can(make, ("a", "b", "c")) == "made"
    assert asked == [["a", "b", "c"], ["a", "c"], ["a"]]


def test_what_is_refused_for_somebody_else_stays_refused():
    def make(users):
        raise RefusedGraphError("not on d", "d")

    with pytest.raises(RefusedGraphError, match="not on d"):
        for_those_that_can(make, ("a",))
