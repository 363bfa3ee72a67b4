import numpy as np
import onnx.defs

from edge_convnext.graph.float16_numbers import HALF_OPSET, LARGEST, SMALLEST_NORMAL


def test_the_ends_of_float16_are_numpys():
    assert np.finfo(np.float16).max == LARGEST
    assert np.finfo(np.float16).smallest_normal == SMALLEST_NORMAL


def takes_float16(operation, opset):
    schema = onnx.defs.get_schema(operation, opset)
    return any("tensor(float16)" in one.allowed_type_strs for one in schema.type_constraints)


def test_from_this_opset_on_every_operation_of_a_graph_takes_float16():
    assert takes_float16("QuantizeLinear", HALF_OPSET)
    assert not takes_float16("QuantizeLinear", 18)
    assert onnx.defs.get_schema("Gelu", HALF_OPSET).since_version == HALF_OPSET
