"""What OpenVINO can't compile on Arm, or runs in float there.

Tried on emulated aarch64, by hand (benchmarks/arm_cpu.py): these tests hold what was found.
"""

import numpy as np
import pytest
from support.linted import lint_graph
from support.tiny_qdq import Builder, quantized_product

TARGET = "openvino-aarch64"


def reduction(axes, kind="ReduceSum", quantized=True):
    """Q/DQ, then a reduction over some axes."""
    build, value = Builder(), "x"
    if quantized:
        grid = [build.constant("s", np.float32(0.1)), build.constant("z", np.int8(0))]
        value = build.node("QuantizeLinear", [value, *grid], "q")
        value = build.node("DequantizeLinear", [value, *grid], "dq")
    inputs = [value] if axes is None else [value, build.constant("axes", np.int64(axes))]
    build.node(kind, inputs, "y", keepdims=1)
    return build.model({"x": [1, 3, 4, 4]}, "y", 4)


def rules(tmp_path, proto):
    return [(one.rule, one.severity) for one in lint_graph(tmp_path, proto, TARGET)]


@pytest.mark.parametrize("kind", ["ReduceSum", "ReduceL2"])
def test_an_int8_graph_with_a_sum_over_two_axes_is_compiled_by_chance_alone(tmp_path, kind):
    assert rules(tmp_path, reduction([2, 3], kind)) == [("reduced-axes", "error")]
    assert rules(tmp_path, reduction([3], kind)) == []
    floats = reduction([2, 3], kind, quantized=False)
    assert rules(tmp_path, floats) == [("reduced-axes", "warning")]


def test_a_mean_over_two_axes_is_compiled_and_axes_that_are_not_known_are_none(tmp_path):
    assert rules(tmp_path, reduction([2, 3], "ReduceMean")) == []
    assert rules(tmp_path, reduction(None)) == []


def test_axes_as_an_attribute_count_too(tmp_path):
    proto = reduction(None, "ReduceL2")
    del proto.opset_import[:]
    proto.opset_import.add(domain="", version=17)
    node = next(one for one in proto.graph.node if one.op_type == "ReduceL2")
    node.attribute.add(name="axes", ints=[2, 3], type=7)
    assert rules(tmp_path, proto) == [("reduced-axes", "error")]


def test_an_int8_convolution_runs_in_float_and_a_matrix_product_does_not(tmp_path):
    assert rules(tmp_path, quantized_product("Conv")) == [("float-on-arm", "warning")]
    assert rules(tmp_path, quantized_product("MatMul")) == []
