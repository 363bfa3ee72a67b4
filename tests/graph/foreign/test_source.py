import numpy as np
import onnx
import pytest
from support.own_files import CLASSES, SIZE, Own, run_file

from edge_convnext.graph.foreign.entrance import find_entrance
from edge_convnext.graph.foreign.exit import Exit
from edge_convnext.graph.foreign.index import inline_constants
from edge_convnext.graph.foreign.source import (
    bare_graph,
    fix_input,
    keep_inputs,
    source_graph,
    with_outputs,
)


def parts(own):
    proto = own.make()
    keep_inputs(proto)
    inline_constants(proto.graph)
    entrance = find_entrance(proto.graph)
    last = proto.graph.output[0].name
    return proto, entrance, Exit(last, CLASSES, True, (), (last,), ((),))


@pytest.mark.parametrize("nhwc", [False, True])
def test_pixels_are_what_they_were_for_the_users_operations(tmp_path, nhwc):
    front = (("Cast", 1), ("Div", 127.5), ("Sub", 1.0))
    own = Own(uint8=True, front=front, nhwc=nhwc, activation="relu")
    proto, entrance, leaves = parts(own)
    onnx.save(source_graph(proto, entrance, leaves, (SIZE, SIZE, None)), tmp_path / "source.onnx")
    onnx.save(bare_graph(proto, entrance, leaves, (SIZE, SIZE, None)), tmp_path / "bare.onnx")
    pixels = np.random.default_rng(0).integers(0, 256, (4, 3, SIZE, SIZE))
    given = pixels.transpose(0, 2, 3, 1) if nhwc else pixels
    expected = run_file(own.save(tmp_path / "own.onnx"), given.astype(np.uint8))
    images = ((pixels / 255 - 0.5) / 0.5).astype(np.float32)
    assert (run_file(tmp_path / "source.onnx", images) == expected).all()
    assert np.abs(run_file(tmp_path / "bare.onnx", images) - expected).max() < 1e-5
    kinds = [node.op_type for node in onnx.load(tmp_path / "bare.onnx").graph.node]
    assert not {"Cast", "Div", "Sub"} & set(kinds)


def test_a_users_names_cannot_meet_ours(tmp_path):
    own = Own(prefix="images")
    proto, entrance, leaves = parts(own)
    made = source_graph(proto, entrance, leaves, (SIZE, SIZE, 2))
    onnx.checker.check_model(made, full_check=True)
    assert [one.name for one in (*made.graph.input, *made.graph.output)] == ["images", "logits"]
    assert made.graph.input[0].type.tensor_type.shape.dim[0].dim_value == 2
    assert made.opset_import[0].version == proto.opset_import[0].version


def test_inputs_that_are_weights_are_weights():
    proto = Own().make()
    for tensor in proto.graph.initializer[:2]:
        proto.graph.input.append(
            onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
        )
    keep_inputs(proto)
    assert [one.name for one in proto.graph.input] == ["input:0"]


def test_sizes_and_outputs_are_stated():
    proto = Own(size=None).make()
    fix_input(proto, ("n", 3, 4, 5))
    dims = proto.graph.input[0].type.tensor_type.shape.dim
    assert [one.dim_param or one.dim_value for one in dims] == ["n", 3, 4, 5]
    more = with_outputs(proto, ("a", "b"))
    assert [one.name for one in more.graph.output] == ["a", "b"]
    assert len(proto.graph.output) == 1
