import numpy as np
import pytest
from onnx import TensorProto
from support.tiny_qdq import Builder

from edge_convnext.core.errors import ExportError
from edge_convnext.graph.float16 import find_floats, round_to_float16
from edge_convnext.graph.float16_numbers import LARGEST, SMALLEST_NORMAL


def test_the_ends_of_float16_are_numpys():
    assert np.finfo(np.float16).max == LARGEST
    assert np.finfo(np.float16).smallest_normal == SMALLEST_NORMAL


def test_a_constant_is_rounded_or_refused():
    assert round_to_float16("w", np.array([LARGEST, 0.1])).tolist() == [65504.0, np.float16(0.1)]
    assert round_to_float16("w", np.zeros(0)).dtype == np.float16
    with pytest.raises(ExportError, match=r"w reaches 6\.551e\+04, and float16 ends at 65504"):
        round_to_float16("w", np.array([0.0, -65510.0]))


def graph(value=1.0, opset=20, kind=np.float32):
    build = Builder()
    weight = build.constant("w", np.array([value], kind))
    build.constant("size", np.array([1], np.int64))
    proto = build.model({"x": [1]}, build.node("Mul", ["x", weight], "y"), 1)
    proto.opset_import[0].version = opset
    return proto


def test_floats_are_found_among_the_values():
    assert find_floats(graph()) == {"x", "w", "y"}


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"value": float("inf")}, "w has NaN or infinite values"),
        ({"opset": 17}, "has opset 17, .* export with --opset 20"),
    ],
)
def test_what_can_not_be_halved_is_refused(fields, words):
    with pytest.raises(ExportError, match=words):
        find_floats(graph(**fields))


def test_other_floats_and_unknown_operations_are_refused():
    proto = graph()
    proto.graph.initializer[0].data_type = TensorProto.DOUBLE
    with pytest.raises(ExportError, match="w is double; pass a graph that is float32"):
        find_floats(proto)
    proto = graph()
    proto.graph.node[0].op_type, proto.graph.node[0].domain = "Odd", "com.microsoft"
    proto.opset_import.add(domain="com.microsoft", version=1)
    proto.graph.output[0].ClearField("type")
    with pytest.raises(ExportError, match="is a Odd, whose type ONNX can't tell"):
        find_floats(proto)
