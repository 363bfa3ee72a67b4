import numpy as np
import onnx
from support.tiny_qdq import Builder

from edge_convnext.graph.bare import add_bare, copy_bare


def reshaped():
    """A product of 1.2 kB of weights and a Reshape to stated sizes."""
    build = Builder()
    x = build.node("MatMul", ["images", build.constant("w", np.ones((8, 80), np.float32))], "x")
    return build.model(
        {"images": [4, 8]},
        build.node("Reshape", [x, build.constant("to", np.int64([2, 160]))], "y"),
        2,
    )


def test_shapes_are_inferred_without_the_weights():
    proto = reshaped()
    bare = copy_bare(proto)
    kept = {one.name: one for one in bare.graph.initializer}
    assert (kept["w"].dims, kept["w"].data_type) == ([8, 80], onnx.TensorProto.FLOAT)
    assert kept["w"].ByteSize() < 50
    assert kept["to"] == proto.graph.initializer[1]
    bare.graph.output[0].type.tensor_type.ClearField("shape")
    (found,) = onnx.shape_inference.infer_shapes(bare, data_prop=True).graph.output
    assert [one.dim_value for one in found.type.tensor_type.shape.dim] == [2, 160]


def test_weights_that_are_stored_as_numbers_are_left_out_too():
    wide = onnx.helper.make_tensor("w", onnx.TensorProto.FLOAT, [600], np.ones(600), raw=False)
    assert not wide.raw_data
    graph = onnx.GraphProto()
    add_bare(graph, [wide])
    assert not graph.initializer[0].float_data
    assert list(graph.initializer[0].dims) == [600]


def test_the_graph_itself_stays():
    proto = reshaped()
    before = proto.SerializeToString(deterministic=True)
    copy_bare(proto).graph.node[0].op_type = "Gemm"
    assert proto.SerializeToString(deterministic=True) == before
