import pytest
from onnx import TensorProto, helper
from support.own_files import SIZE, Own

from edge_convnext.core.errors import ArtifactError
from edge_convnext.graph.foreign.entrance import find_entrance
from edge_convnext.graph.foreign.index import inline_constants


def entrance(own):
    proto = own.make()
    inline_constants(proto.graph)
    return find_entrance(proto.graph)


def test_a_plain_entrance():
    found = entrance(Own(batch=2))
    assert (found.batch, found.channels, found.height, found.width) == (2, 3, SIZE, SIZE)
    assert (found.nhwc, found.uint8) == (False, False)
    assert found.scale is None
    assert found.start == found.name == "input:0"
    assert found.shape(2, 4, 5) == (2, 3, 4, 5)


def test_the_layout_is_known_where_no_size_is_stated():
    for nhwc in (False, True):
        own = Own(nhwc=nhwc)
        proto = own.make()
        del proto.graph.input[0].type.tensor_type.shape.dim[:]
        for _ in range(4):
            proto.graph.input[0].type.tensor_type.shape.dim.add()
        found = find_entrance(proto.graph)
        assert (found.nhwc, found.channels, found.height, found.batch) == (nhwc, 3, None, None)
        assert found.shape(1, 4, 5) == ((1, 4, 5, 3) if nhwc else (1, 3, 4, 5))


@pytest.mark.parametrize(
    "front",
    [
        (("Mul", [[[0.5]], [[0.0]], [[1.0]]]),),  # of nothing nothing can be told
        (("Mul", -1.0),),
        (("Div", [[[float("nan")]]] * 3),),
        (("Add", [1.0] * SIZE),),  # by column, not by channel
    ],
)
def test_arithmetic_that_is_no_normalisation_stays_in_the_graph(front):
    found = entrance(Own(front=front))
    assert found.scale is None
    assert found.start == "input:0"


def test_uint8_images_need_a_plain_cast():
    own = Own(uint8=True, front=(("Add", 1),))
    with pytest.raises(ArtifactError, match=r"takes uint8 images, and what it does first \(Add\)"):
        entrance(own)


@pytest.mark.parametrize(
    ("kind", "shape", "words"),
    [
        (TensorProto.INT64, [1, 3, 8, 8], "takes x int64"),
        (TensorProto.FLOAT, [1, 12], "no batch of images"),
        (TensorProto.FLOAT, [1, 7, 9, 11], "the 3 or 1 channels"),
        (TensorProto.FLOAT, [1, 3, 9000, 8], "at most 4096 pixels"),
    ],
)
def test_an_input_that_is_no_images_is_refused(kind, shape, words):
    value = helper.make_tensor_value_info("x", kind, shape)
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", [value], [])
    with pytest.raises(ArtifactError, match=words):
        find_entrance(graph)
