import onnx
import pytest
from onnx import TensorProto, helper

from edge_convnext.stages.export_names import name_by_modules

SCOPES = "pkg.torch.onnx.name_scopes"


def node(operation, inputs, output, *scopes):
    made = helper.make_node(operation, inputs, [output], name=f"n_{output}")
    made.metadata_props.add(key=SCOPES, value=str([*scopes, output]))
    made.metadata_props.add(key="pkg.torch.onnx.stack_trace", value="/home/me/net.py")
    return made


def weight(name):
    return helper.make_tensor(name, TensorProto.FLOAT, [2, 2], [1.0] * 4)


def rename(nodes, weights, wrapped=False):
    border = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [2, 2])
        for name in ("images", "logits")
    ]
    graph = helper.make_graph(nodes, "g", border[:1], border[1:], [weight(one) for one in weights])
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)])
    name_by_modules(proto, wrapped)
    onnx.checker.check_model(proto, full_check=True)
    return proto.graph


def test_nodes_values_and_weights_are_called_after_their_modules():
    graph = rename(
        [
            node("MatMul", ["images", "a.weight"], "x", "", "a"),
            node("Relu", ["x"], "y", "", "a"),
            node("Relu", ["y"], "z", "", "a"),
            node("Add", ["z", "val_3"], "logits", ""),
        ],
        ["a.weight", "val_3"],
    )
    assert [one.name for one in graph.node] == ["a/MatMul", "a/Relu", "a/Relu_1", "Add"]
    assert [one.name for one in graph.initializer] == ["a.weight", "Add.input_1"]
    assert list(graph.node[1].input) == ["a/MatMul"]
    assert list(graph.node[3].output) == ["logits"]
    assert "/home/me" not in str(graph)


@pytest.mark.parametrize(("wrapped", "module"), [(True, "body.conv"), (False, "conv")])
def test_the_wrapper_of_half_precision_is_left_out(wrapped, module):
    nodes = [node("MatMul", ["images", f"{module}.weight"], "logits", "", module)]
    graph = rename(nodes, [f"{module}.weight"], wrapped)
    assert graph.node[0].name == "conv/MatMul"
    assert graph.initializer[0].name == "conv.weight"


def test_a_module_of_that_name_in_a_network_keeps_it():
    nodes = [
        node("MatMul", ["images", "body.conv.weight"], "x", "", "body.conv"),
        node("MatMul", ["x", "conv.weight"], "logits", "", "conv"),
    ]
    graph = rename(nodes, ["body.conv.weight", "conv.weight"])
    assert [one.name for one in graph.node] == ["body.conv/MatMul", "conv/MatMul"]
    assert {one.name for one in graph.initializer} == {"body.conv.weight", "conv.weight"}


def test_a_name_that_is_made_up_is_no_parameters():
    nodes = [
        node("MatMul", ["images", "val_1"], "x", "", "a"),
        node("MatMul", ["x", "val_2"], "y", "", "a"),
        node("MatMul", ["y", "a.weight"], "logits", "", "b"),
    ]
    graph = rename(nodes, ["val_1", "val_2", "a.weight"])
    names = [one.name for one in graph.initializer]
    assert names == ["a.weight_1", "a.weight_2", "a.weight"]
