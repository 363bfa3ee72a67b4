import numpy as np
import onnx
import pytest
from onnx import helper
from onnx.reference import ReferenceEvaluator
from support.tiny_qdq import Builder
from support.written_networks import normal

from edge_convnext.core.artifacts import OnnxModel
from edge_convnext.core.errors import ExportError
from edge_convnext.graph.opset17_forms import WRITTEN_ANEW, Surroundings, drop_attribute
from edge_convnext.graph.qdq import Wiring
from edge_convnext.stages.to_opset17 import use_opset_17

X = normal(1, 4, 6, 8)


def one_node(kind, *constants, outputs=1, **attributes):
    build = Builder()
    names = ["" if one is None else build.constant(f"c{at}", one)
             for at, one in enumerate(constants)]  # fmt: skip
    build.node(kind, ["images", *names], "y", **attributes)
    build.nodes[-1].output.extend(f"y{at}" for at in range(1, outputs))
    last = "y" if outputs == 1 else build.node("Concat", ["y", "y1"], "z", axis=1)
    return build.model({"images": ["batch", 4, 6, 8]}, last, 4)


def convert(folder, proto):
    onnx.save(proto, folder / "graph.onnx")
    model = OnnxModel(folder / "graph.onnx", "fp32", "raw")
    return onnx.load(use_opset_17(model, folder / "17.onnx").path)


SAME = {
    "pool": one_node("AveragePool", kernel_shape=[2, 2], strides=[2, 2], dilations=[1, 1]),
    "pad": one_node("Pad", np.array([0, 0, 1, 0, 0, 0, 0, 2])),
    "pad of some axes": one_node("Pad", np.array([1, 2, 3, 0]), None, np.array([-1, 2])),
    "reflect": one_node("Pad", np.array([0, 0, 1, 0, 0, 0, 0, 2]), mode="reflect"),
    "scales": one_node("Resize", None, np.array([1, 1, 2, 2], np.float32), mode="linear"),
    "sizes": one_node("Resize", None, None, np.array([1, 4, 12, 4]), antialias=0),
    "scales of some axes": one_node(
        "Resize", None, np.array([3, 2], np.float32), axes=[3, 2], mode="linear"
    ),
    "sizes of some axes": one_node("Resize", None, None, np.array([4, 12]), axes=[3, 2]),
    "even split": one_node("Split", outputs=2, axis=1, num_outputs=2),
    "uneven split": one_node("Split", outputs=2, axis=-1, num_outputs=2),
    "stated split": one_node("Split", np.array([1, 3]), outputs=2, axis=1),
    "gelu": one_node("Gelu"),
    "largest": one_node("ReduceMax", np.array([1]), keepdims=1),
}
SAME["uneven split"].graph.input[0].type.tensor_type.shape.dim[3].dim_value = 8


@pytest.mark.parametrize("name", SAME)
def test_an_operation_computes_the_same_in_opset_17(tmp_path, name):
    after = convert(tmp_path, SAME[name])
    assert [(one.domain, one.version) for one in after.opset_import] == [("", 17)]
    expected, found = (
        ReferenceEvaluator(proto).run(None, {"images": X})[0] for proto in (SAME[name], after)
    )
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    ("proto", "words"),
    [
        (one_node("AveragePool", kernel_shape=[2, 2], dilations=[2, 1]), "a dilated AveragePool"),
        (one_node("Pad", np.array([0, 0, 1, 0, 0, 0, 0, 2]), mode="wrap"), "pads with the other"),
        (one_node("Resize", None, np.ones(4, np.float32), mode="linear", antialias=1), "antialias"),
    ],
)
def test_what_opset_17_cannot_say_is_refused_by_name(tmp_path, proto, words):
    with pytest.raises(ExportError, match=f"y/{proto.graph.node[0].op_type} .*{words}"):
        convert(tmp_path, proto)


def test_surroundings_know_sizes_and_attributes_can_be_dropped():
    proto = SAME["gelu"]
    around = Surroundings(proto, Wiring(proto))
    assert around.sizes["y"] == (0, 4, 6, 8)
    node = helper.make_node("Split", ["x"], ["y"], axis=1, num_outputs=2)
    drop_attribute(node, "num_outputs")
    assert [one.name for one in node.attribute] == ["axis"]
    assert "Gelu" in WRITTEN_ANEW
