import onnx
import pytest
from onnx import TensorProto, helper
from support.own_files import Own

from edge_convnext.core.errors import ArtifactError
from edge_convnext.graph.foreign.check import check_foreign, describe_value, opset_of
from edge_convnext.networks.operations import OPERATIONS


@pytest.mark.parametrize(
    "kind", ["QLinearConv", "DequantizeLinear", "ConvInteger", "MatMulInteger", "QGemm"]
)
def test_quantized_graphs_are_called_so_whatever_their_domain(kind):
    proto = Own().make()
    proto.graph.node[0].op_type = kind
    proto.graph.node[0].domain = "com.microsoft"
    with pytest.raises(ArtifactError, match=f"is quantized already .*{kind}"):
        check_foreign(proto, OPERATIONS)


def test_a_domain_that_no_operation_uses_is_let_pass():
    proto = Own().make()
    proto.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    check_foreign(proto, OPERATIONS)
    assert opset_of(proto) == 17
    assert opset_of(onnx.ModelProto()) == 0


@pytest.mark.parametrize("kind", ["float16", "bfloat16"])
def test_a_cast_to_a_narrow_float_is_refused_by_its_name(kind):
    proto = Own().make()
    to = TensorProto.DataType.Value(kind.upper())
    proto.graph.node.append(helper.make_node("Cast", ["input:0"], ["narrow"], to=to))
    with pytest.raises(ArtifactError, match=f"holds {kind} numbers"):
        check_foreign(proto, OPERATIONS)


def test_a_subgraph_in_any_operation_is_control_flow():
    proto = Own().make()
    proto.graph.node[0].attribute.append(helper.make_attribute("body", proto.graph))
    with pytest.raises(ArtifactError, match=r"has control flow \(the operation Conv\)"):
        check_foreign(proto, OPERATIONS)


def test_a_name_from_a_file_stays_on_one_line():
    proto = Own().make()
    proto.graph.node[0].op_type = "Evil\n\x1b[31m" + "x" * 5000
    with pytest.raises(ArtifactError) as caught:
        check_foreign(proto, OPERATIONS)
    assert len(str(caught.value)) < 400
    assert "\n" not in str(caught.value.args[0])


def test_a_value_is_described():
    value = helper.make_tensor_value_info("x", TensorProto.UINT8, ["n", None, 4])
    assert describe_value(value) == "x uint8[n, ?, 4]"
