import numpy as np
import pytest
from onnx import TensorProto, helper

from edge_convnext.core.errors import ArtifactError
from edge_convnext.graph.foreign.exit import find_exit, values_wanted

LOGITS = np.array([[1.0, 3.0, 2.0]], np.float32)
SOFT = (np.exp(LOGITS) / np.exp(LOGITS).sum()).astype(np.float32)


def graph(*nodes, outputs=("y",)):
    made = [helper.make_node("Relu", ["x"], ["logits"])]
    value = "logits"
    for at, (kind, attributes) in enumerate(nodes):
        name = "y" if at == len(nodes) - 1 else f"v{at}"
        made.append(helper.make_node(kind, [value], [name], **attributes))
        value = name
    values = [helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in outputs]
    return helper.make_graph(made, "g", [], values)


def test_softmax_and_argmax_are_walked_back_to_the_logits():
    found = graph(("Softmax", {"axis": -1}), ("ArgMax", {"axis": 1}))
    assert values_wanted(found) == ("y", "v0", "logits")
    values = {"logits": LOGITS, "v0": SOFT, "y": np.array([[1]])}
    exits = find_exit(found, values, 1, 17)
    assert (exits.logits, exits.classes, exits.flat) == ("logits", 3, True)
    assert exits.removed == ("Softmax", "ArgMax")
    assert exits.differs(LOGITS, values) == 0
    for wrong in (0, 5, -1):
        assert exits.differs(LOGITS, {**values, "y": np.array([[wrong]])}) == np.inf


def test_softmax_over_another_axis_is_part_of_the_network():
    found = graph(("Softmax", {"axis": 0}))
    exits = find_exit(found, {"logits": LOGITS, "y": LOGITS * 0 + 1}, 1, 17)
    assert (exits.logits, exits.removed) == ("y", ())


@pytest.mark.parametrize(("opset", "axis"), [(11, {}), (17, {"axis": 1}), (17, {"axis": -3})])
def test_maps_of_one_pixel_are_flattened(opset, axis):
    found = graph(("Softmax", axis))
    values = {"logits": LOGITS.reshape(1, 3, 1, 1), "y": SOFT.reshape(1, 3, 1, 1)}
    exits = find_exit(found, values, 1, opset)
    assert (exits.logits, exits.flat, exits.removed) == ("logits", False, ("Softmax",))
    assert exits.differs(LOGITS, values) < 1e-6


def test_log_softmax_is_compared_as_such():
    found = graph(("LogSoftmax", {"axis": 1}))
    values = {"logits": LOGITS, "y": np.log(SOFT)}
    exits = find_exit(found, values, 1, 17)
    assert exits.differs(LOGITS, values) < 1e-6
    assert exits.differs(LOGITS + np.eye(3)[1:2], values) > 0.01


def test_the_best_classes_are_compared_by_value_and_by_index():
    nodes = [
        helper.make_node("Relu", ["x"], ["logits"]),
        helper.make_node("TopK", ["logits", "k"], ["values", "indices"], axis=-1),
    ]
    outputs = [helper.make_tensor_value_info(n, 1, None) for n in ("values", "indices")]
    found = helper.make_graph(nodes, "g", [], outputs)
    values = {
        "logits": LOGITS, "values": np.array([[3, 2]], np.float32), "indices": np.array([[1, 2]]),
    }  # fmt: skip
    exits = find_exit(found, values, 1, 17)
    assert exits.removed == ("TopK",)
    assert exits.differs(LOGITS, values) == 0
    assert exits.differs(LOGITS, {**values, "values": np.array([[3, 1]], np.float32)}) > 0.1
    assert exits.differs(LOGITS, {**values, "indices": np.array([[0, 2]])}) == np.inf


@pytest.mark.parametrize(
    ("shape", "words"),
    [((1, 7, 7), "no row of logits"), ((2, 3), "no row of logits"), ((1, 3, 4, 4), "no row"),
     ((1, 1), "has one output")],
)  # fmt: skip
def test_what_is_no_row_of_logits_is_refused(shape, words):
    found = graph(("Tanh", {}))
    values = {"y": np.ones(shape, np.float32)}
    with pytest.raises(ArtifactError, match=words):
        find_exit(found, values, 1, 17)


def test_a_sigmoid_behind_reshapes_is_seen():
    found = graph(("Sigmoid", {}), ("Flatten", {}))
    with pytest.raises(ArtifactError, match=r"ends in a Sigmoid over 3 outputs .a multi-label"):
        find_exit(found, {"y": SOFT, "v0": SOFT, "logits": LOGITS}, 1, 17)


def test_two_outputs_that_are_no_one_row_are_listed():
    found = graph(("Tanh", {}), outputs=("y", "logits"))
    values = {"y": SOFT, "logits": np.ones((1, 8), np.float32)}
    with pytest.raises(ArtifactError, match=r"has 2 outputs \(y float32\[1, 3\], logits"):
        find_exit(found, values, 1, 17)
