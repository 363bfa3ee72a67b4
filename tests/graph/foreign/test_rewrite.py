import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edge_convnext.core.errors import ArtifactError
from edge_convnext.graph.foreign.rewrite import (
    free_batch,
    infer_shapes,
    remove_idle,
    simplify_graph,
    split_batch_norms,
    to_opset20,
)

RANDOM = np.random.default_rng(4)


def model(nodes, weights, shape, output, opset=20):
    images = helper.make_tensor_value_info("images", TensorProto.FLOAT, shape)
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, output)
    tensors = [numpy_helper.from_array(np.asarray(v), n) for n, v in weights.items()]
    graph = helper.make_graph(nodes, "g", [images], [logits], tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def run(proto, images):
    import onnxruntime

    session = onnxruntime.InferenceSession(proto.SerializeToString())
    return session.run(None, {"images": images})[0]


def draw(*shape):
    return RANDOM.standard_normal(shape).astype(np.float32)


def tokens(batch=1):
    """A class token, windows and a head, as exporters write them for a batch that is fixed."""
    nodes = [
        helper.make_node("Reshape", ["images", "as_tokens"], ["t"]),
        helper.make_node("Transpose", ["t"], ["tt"], perm=[0, 2, 1]),
        helper.make_node("Concat", ["token", "tt"], ["all"], axis=1),
        helper.make_node("Reshape", ["all", "as_windows"], ["w"]),
        helper.make_node("Softmax", ["w"], ["s"], axis=1),
        helper.make_node("Reshape", ["s", "as_rows"], ["logits"]),
    ]
    weights = {
        "as_tokens": np.array([batch, 3, 4]), "token": draw(batch, 2, 3),
        "as_windows": np.array([2 * batch, 3, 3]), "as_rows": np.array([batch, 18]),
    }  # fmt: skip
    return model(nodes, weights, [batch, 3, 2, 2], [batch, 18])


@pytest.mark.parametrize("batch", [1])
def test_a_fixed_batch_is_freed(batch):
    proto = tokens(batch)
    shown = draw(5, 3, 2, 2)
    alone = np.concatenate([run(proto, shown[i : i + 1]) for i in range(5)])
    free_batch(proto)
    onnx.checker.check_model(proto, full_check=True)
    assert proto.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "batch"
    assert np.abs(run(proto, shown) - alone).max() < 1e-6
    assert infer_shapes(proto)["logits"] == (1, 18)


def test_batch_norms_become_a_product_and_a_sum():
    names = ("scale", "bias", "mean", "var")
    nodes = [helper.make_node("BatchNormalization", ["images", *names], ["logits"], epsilon=0.1)]
    weights = {name: np.abs(draw(3)) for name in names}
    proto = model(nodes, weights, ["batch", 3, 2, 2], ["batch", 3, 2, 2])
    shown = draw(2, 3, 2, 2)
    before = run(proto, shown)
    split_batch_norms(proto)
    assert [node.op_type for node in proto.graph.node] == ["Mul", "Add"]
    assert np.abs(run(proto, shown) - before).max() < 1e-6


def test_what_does_nothing_goes():
    nodes = [
        helper.make_node("Identity", ["images"], ["a"]),
        helper.make_node("Dropout", ["a"], ["b"]),
        helper.make_node("Cast", ["b"], ["c"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["c"], ["d"], perm=[0, 1, 2, 3]),
        helper.make_node("Relu", ["d"], ["logits"]),
    ]
    proto = model(nodes, {}, [1, 3, 2, 2], [1, 3, 2, 2])
    remove_idle(proto)
    assert [(node.op_type, list(node.input)) for node in proto.graph.node] == [("Relu", ["images"])]


def test_a_cast_that_changes_the_type_stays():
    nodes = [
        helper.make_node("Cast", ["images"], ["a"], to=TensorProto.INT32),
        helper.make_node("Cast", ["a"], ["logits"], to=TensorProto.FLOAT),
    ]
    proto = model(nodes, {}, [1, 3, 2, 2], [1, 3, 2, 2])
    remove_idle(proto)
    assert len(proto.graph.node) == 2


@pytest.mark.parametrize("opset", [9, 20, 22])
def test_every_opset_becomes_20(opset):
    proto = model([helper.make_node("Relu", ["images"], ["logits"])], {}, [1, 3], [1, 3], opset)
    assert to_opset20(proto).opset_import[0].version == 20


def test_what_opset_20_lacks_is_named():
    node = helper.make_node("RMSNormalization", ["images", "w"], ["logits"])
    proto = model([node], {"w": draw(3)}, [1, 3], [1, 3], 23)
    with pytest.raises(ArtifactError, match="has the operation RMSNormalization of opset 23"):
        to_opset20(proto)


def test_constants_are_folded():
    pytest.importorskip("onnxsim")
    nodes = [
        helper.make_node("Add", ["one", "one"], ["two"]),
        helper.make_node("Mul", ["images", "two"], ["logits"]),
    ]
    proto = simplify_graph(model(nodes, {"one": np.float32(1)}, [1, 3], [1, 3]))
    assert [node.op_type for node in proto.graph.node] == ["Mul"]
