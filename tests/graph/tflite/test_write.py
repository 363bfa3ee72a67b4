"""A whole graph for LiteRT: what it takes, what it gives, and what is refused."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto
from support.litert_graphs import by_litert, by_onnxruntime, draw, make_graph, node, open_tflite

from edge_convnext.core.errors import ExportError
from edge_convnext.graph.tflite.operations.table import WRITERS
from edge_convnext.graph.tflite.write import to_tflite
from edge_convnext.graph.tflite_operations import unwritable_nodes


def small_network():
    return make_graph(
        node("Conv", "images", "w", "b", out="c", kernel_shape=[2, 2], strides=[2, 2]),
        node("Relu", "c", out="r"),
        node("GlobalAveragePool", "r", out="p"),
        node("Flatten", "p", out="f"),
        node("Gemm", "f", "h", "g"),
        w=draw(12, 8, 2, 2), b=draw(12), h=draw(12, 5), g=draw(5),
    )  # fmt: skip


def test_images_come_with_their_channels_last_in_batches_of_any_size():
    interpreter = open_tflite(to_tflite(small_network()))
    (entry,), (result,) = interpreter.get_input_details(), interpreter.get_output_details()
    assert entry["shape"].tolist() == [1, 6, 10, 8]
    assert entry["shape_signature"].tolist() == [-1, 6, 10, 8]
    assert result["shape"].tolist() == [1, 5]
    shown = draw(4, 8, 6, 10)
    np.testing.assert_allclose(
        by_litert(to_tflite(small_network()), shown),
        by_onnxruntime(small_network(), shown),
        rtol=1e-4, atol=1e-4,
    )  # fmt: skip


def test_equal_graphs_give_equal_bytes():
    assert to_tflite(small_network()) == to_tflite(small_network())


def test_tensors_have_the_names_of_the_nodes():
    interpreter = open_tflite(to_tflite(small_network()))
    names = {one["name"] for one in interpreter.get_tensor_details()}
    assert {"images", "n/c/Conv", "n/y/Gemm"} <= names


@pytest.mark.parametrize("kind", ["Erf", "TopK", "ConvTranspose", "NonZero", "LSTM"])
def test_an_operation_that_is_not_in_the_table_is_refused_by_name_in_one_line(kind):
    proto = small_network()
    proto.graph.node[1].op_type, proto.graph.node[1].name = kind, f"body.{kind}"
    assert [one.name for one in unwritable_nodes(proto)] == [f"body.{kind}"]
    with pytest.raises(
        ExportError, match=f"^body.{kind}: this {kind} can't be written for LiteRT"
    ) as caught:
        to_tflite(proto)
    assert "\n" not in str(caught.value)
    assert "choose another runtime" in str(caught.value)


def test_an_operation_of_another_domain_is_refused():
    proto = small_network()
    proto.graph.node[1].domain = "com.microsoft"
    assert len(list(unwritable_nodes(proto))) == 1


def test_images_of_another_type_are_refused():
    proto = small_network()
    proto.graph.input[0].type.tensor_type.elem_type = TensorProto.UINT8
    del proto.graph.value_info[:]
    with pytest.raises(ExportError, match=r"float32 images .*--input uint8"):
        to_tflite(proto)


def test_every_operation_of_the_table_has_a_test_of_its_own():
    import pathlib

    folder = pathlib.Path(__file__).with_name("operations")
    text = " ".join(one.read_text() for one in folder.glob("test_*.py"))
    by_table = {"Add", "Sub", "Constant", "Dropout", "Exp", "HardSwish", "Neg", "Sigmoid", "Tanh"}
    for kind in set(WRITERS) - by_table:
        assert f'"{kind}"' in text or kind in ("Min", "ReduceMax", "ReduceMin", "ReduceSum"), kind
    assert onnx.defs.has("Gelu")
