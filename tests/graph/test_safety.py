from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper
from support.tiny_qdq import Builder, quantized_product
from support.written_networks import attention, gated

from edge_convnext.core.errors import ArtifactError
from edge_convnext.graph.safety import check_graph


def graph(shape=("batch", 3, 4, 4), kind="Relu"):
    build = Builder()
    return build.model({"images": list(shape)}, build.node(kind, ["images"], "y"), 4)


def refusal(proto):
    with pytest.raises(ArtifactError) as caught:
        check_graph(proto, Path("m.onnx"))
    said = str(caught.value)
    assert said.startswith("m.onnx: ")
    assert said.endswith("; pass a model that `edge-convnext build` wrote")
    return said


def test_graphs_of_a_build_are_taken():
    check_graph(graph(), Path("m.onnx"))
    for kind in ("MatMul", "Conv"):
        check_graph(quantized_product(kind), Path("m.onnx"))


def test_operations_that_no_build_writes_are_refused():
    proto = graph()
    proto.graph.node[0].op_type = "Loop"
    assert "has the operation Loop, which no build writes" in refusal(proto)
    proto.graph.node[0].op_type, proto.graph.node[0].domain = "Relu", "evil"
    assert "has the operation evil.Relu" in refusal(proto)
    proto.graph.node[0].domain = "com.microsoft"
    assert "has the operation com.microsoft.Relu" in refusal(proto)


def test_functions_other_graphs_and_many_nodes_are_refused():
    proto = graph()
    proto.functions.add(name="f")
    assert "holds functions" in refusal(proto)
    proto = graph()
    proto.graph.node[0].attribute.add(name="body", type=5).g.name = "inner"
    assert "holds a graph in the operation y/Relu" in refusal(proto)
    proto = graph()
    proto.graph.node.extend([proto.graph.node[0]] * 20_000)
    assert "has 20001 operations" in refusal(proto)
    proto = graph()
    proto.graph.input.add().CopyFrom(proto.graph.input[0])
    assert "has 2 inputs and 1 outputs" in refusal(proto)


def with_constant(tensor):
    proto = graph()
    proto.graph.initializer.append(tensor)
    return proto


def test_constants_are_what_their_shapes_say():
    whole = numpy_helper.from_array(np.ones((2, 3), np.float32), "w")
    check_graph(with_constant(whole), Path("m.onnx"))
    cut = TensorProto()
    cut.CopyFrom(whole)
    cut.raw_data = cut.raw_data[:-1]
    assert "'w' is truncated: its shape is [2, 3]" in refusal(with_constant(cut))
    cut.CopyFrom(whole)
    cut.data_location = TensorProto.EXTERNAL
    assert "'w' lies in another file" in refusal(with_constant(cut))
    cut.CopyFrom(whole)
    cut.dims[0] = -2
    assert "a type or a shape that no weights have" in refusal(with_constant(cut))
    listed = helper.make_tensor("w", TensorProto.FLOAT, [2], [1.0, 2.0])
    listed.float_data.pop()
    assert "is truncated" in refusal(with_constant(listed))


def test_what_one_image_takes_is_bounded():
    assert "takes" in refusal(graph(("batch", 64, 4096, 4096)))
    assert "not that of images" in refusal(graph(("batch", 3, 0, 4)))


def test_constants_may_not_unfold_to_gigabytes():
    build = Builder()
    one = build.constant("one", np.ones(1, np.float32))
    size = build.constant("size", np.array([1, 1, 1 << 13, 1 << 13], np.int64))
    large = build.node("Expand", [one, size], "large")
    y = build.node("Add", ["images", large], "y")
    values = [helper.make_tensor_value_info("images", 1, [1, 1, 1, 1])]
    out = [helper.make_tensor_value_info("y", 1, [1, 1, 1 << 13, 1 << 13])]
    inner = helper.make_graph(build.nodes, "g", values, out, build.constants)
    proto = helper.make_model(inner, opset_imports=[helper.make_opsetid("", 20)])
    assert y == "y"
    assert "its constants unfold to over" in refusal(proto)


@pytest.mark.parametrize("batch", [1, "batch"])
def test_graphs_of_other_families_are_taken(batch):
    for proto in (attention(batch, mask=-100.0), gated(), gated(activation="HardSwish")):
        check_graph(proto, Path("m.onnx"))


@pytest.mark.parametrize(
    "kind",
    [
        "BatchNormalization", "ConvTranspose", "Elu", "GatherElements", "GroupNormalization",
        "HardSigmoid", "InstanceNormalization", "LeakyRelu", "MaxPool", "Mish", "PRelu", "Pad",
        "RMSNormalization", "ReduceMax", "Resize", "Softmax", "Softplus", "Split", "Where",
    ],
)  # fmt: skip
def test_an_operation_of_any_family_is_not_refused_by_its_name(kind):
    proto = graph()
    proto.graph.node[0].op_type = kind
    said = ""
    try:
        check_graph(proto, Path("m.onnx"))
    except ArtifactError as error:  # it lacks inputs, or a shape can't be inferred
        said = str(error)
    assert "which no build writes" not in said


@pytest.mark.parametrize(
    ("kind", "constants", "attributes"),
    [
        ("Resize", [np.float32([]), np.float32([1, 1, 20_000, 20_000])], {}),
        ("Pad", [np.array([0, 0, 0, 0, 0, 0, 30_000, 30_000])], {}),
        ("Tile", [np.array([1, 1, 10_000, 10_000])], {}),
    ],
)
def test_what_makes_values_large_is_bounded_as_well(kind, constants, attributes):
    build = Builder()
    names = [build.constant(f"c{at}", one) for at, one in enumerate(constants)]
    proto = build.model({"images": [1, 3, 4, 4]}, build.node(kind, ["images", *names], "y"), 4)
    assert "bytes for one image" in refusal(proto)
