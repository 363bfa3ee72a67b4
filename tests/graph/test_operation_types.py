from pathlib import Path

import onnx
import pytest
from onnx import helper

from edge_convnext.core.errors import QuantizationError
from edge_convnext.graph.operation_types import require_types


def proto():
    node = helper.make_node("Relu", ["x"], ["y"], name="a")
    return helper.make_model(helper.make_graph([node], "g", [], []))


@pytest.mark.parametrize("types", [(), ("Relu",), ("Conv", "MatMul")])
def test_a_type_of_the_graph_or_of_onnx_is_one(types):
    assert isinstance(proto(), onnx.ModelProto)
    require_types(proto(), types, Path("x.onnx"))


def test_another_one_is_refused_with_the_nearest_and_those_that_there_are():
    with pytest.raises(QuantizationError) as caught:
        require_types(proto(), ("Conv", "relu"), Path("x.onnx"))
    assert str(caught.value) == (
        "x.onnx: ignored_types has 'relu', which is no operation of ONNX; did you mean Relu? "
        "The graph has Relu"
    )
