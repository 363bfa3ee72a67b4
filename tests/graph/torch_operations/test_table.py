import pytest
from onnx import defs, helper

from edge_convnext.core.errors import ArtifactError, UntrainableError
from edge_convnext.graph.torch_operations.table import OPERATIONS, make_operation

# What the networks of the field are made of, beside ConvNeXt's own.
ASKED = {
    "Relu", "Clip", "HardSwish", "HardSigmoid", "Sigmoid", "Softmax", "Concat", "MaxPool",
    "AveragePool", "GlobalAveragePool", "Flatten", "Split", "Slice", "Gather", "Resize", "Pad",
    "BatchNormalization", "Where",
}  # fmt: skip


def test_the_networks_of_the_field_can_be_trained():
    assert OPERATIONS.keys() >= ASKED


def test_every_name_is_onnxs():
    for name in OPERATIONS.keys() - {"RMSNormalization"}:  # of opset 23
        assert defs.get_schema(name, 20).name == name


@pytest.mark.parametrize(
    "node",
    [
        helper.make_node("TopK", ["x", "k"], ["y", "i"], name="a/TopK"),
        helper.make_node("Relu", ["x", "z"], ["y"], name="a/Relu"),
        helper.make_node("Relu", ["x"], ["y"], name="a/Relu", domain="com.microsoft"),
    ],
)
def test_another_operation_is_refused_by_name(node):
    words = f"a/{node.op_type}: {node.op_type} can't be trained: .* build without --recover"
    with pytest.raises(UntrainableError, match=words):
        make_operation(node, [None] * len(node.input))
    assert issubclass(UntrainableError, ArtifactError)
