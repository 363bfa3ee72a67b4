import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edge_convnext.core.artifacts import ModelInfo, Preprocess
from edge_convnext.core.errors import ExportError
from edge_convnext.stages.to_float_pixels import PIXELS, PROBABILITIES, use_float_pixels

INFO = ModelInfo("net", 2, 3, (), Preprocess(image_size=2), "w.pth", "0" * 64, None)


def graph(kind=TensorProto.FLOAT, answer=TensorProto.FLOAT, shape=("n", 3, 2, 2)):
    nodes = [
        helper.make_node("Cast", ["images"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Flatten", ["float"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weight"], ["scores"]),
        helper.make_node("Cast", ["scores"], ["logits"], to=answer),
    ]
    weight = numpy_helper.from_array(np.ones((12, 2), np.float32), "weight")
    return helper.make_model(
        helper.make_graph(
            nodes, "net", [helper.make_tensor_value_info("images", kind, shape)],
            [helper.make_tensor_value_info("logits", answer, ["n", 2])], [weight],
        ),
        opset_imports=[helper.make_opsetid("", 20)],
    )  # fmt: skip


def sizes(value):
    return [one.dim_param or one.dim_value for one in value.type.tensor_type.shape.dim]


@pytest.mark.parametrize("kind", [TensorProto.FLOAT, TensorProto.FLOAT16])
def test_input_and_output_are_float32_whatever_the_graph_has(kind):
    proto = graph(kind, kind)
    use_float_pixels(proto, INFO)
    onnx.checker.check_model(proto, full_check=True)
    (images,), (answers,) = proto.graph.input, proto.graph.output
    assert (images.name, answers.name) == (PIXELS, PROBABILITIES)
    assert sizes(images) == ["n", 3, 2, 2]
    assert sizes(answers) == ["n", 2]
    assert {one.type.tensor_type.elem_type for one in (images, answers)} == {TensorProto.FLOAT}


def test_interleaved_pixels_come_planar():
    proto = graph(TensorProto.UINT8, shape=("n", 4, 5, 3))
    use_float_pixels(proto, INFO, "nhwc")
    assert sizes(proto.graph.input[0]) == ["n", 3, 4, 5]
    assert [node.op_type for node in proto.graph.node[:2]] == ["Cast", "Transpose"]


def test_other_images_are_refused():
    with pytest.raises(ExportError, match="images is int32; pass a graph"):
        use_float_pixels(graph(TensorProto.INT32), INFO)
