import numpy as np
import onnx
import pytest
from support.written_graphs import draw, excited, write

from edge_convnext.graph.structure import infer_shapes, integers, read_structure

EXCITED = read_structure(excited())


def test_one_position_an_image_is_pooled_and_what_is_made_of_it_alone():
    assert {"squeezed", "reduce", "reduced", "expand", "factor", "pool", "flat"} < EXCITED.pooled
    assert EXCITED.pooled.isdisjoint({"images", "relu6", "scaled", "sum"})


def test_what_was_pooled_belongs_to_its_map():
    assert EXCITED.extents["expand"] == EXCITED.extents["relu6"] == 64
    assert EXCITED.extents["logits"] == 64


def test_a_window_that_covers_the_map_pools_it_and_a_smaller_one_does_not():
    def pooled(kernel):
        proto = write([("AveragePool", ("images",), "y", {"kernel_shape": [kernel, kernel]})], {})
        return "y" in read_structure(proto).pooled

    assert pooled(8)
    assert not pooled(7)


def test_a_product_of_a_whole_map_has_one_position_and_one_of_a_token_has_the_maps():
    whole = write(
        [("Flatten", ("images",), "flat"), ("MatMul", ("flat", "w"), "y")], {"w": draw(192, 4)}
    )
    assert read_structure(whole).extents["y"] == 1
    token = write(
        [
            ("Reshape", ("images", "tokens"), "rows"),
            ("Gather", ("rows", "first"), "token", {"axis": 1}),
            ("MatMul", ("token", "w"), "y"),
        ],
        {
            "tokens": np.array([1, 64, 3]),
            "first": np.array(0),
            "w": draw(3, 4),
        },
    )
    assert read_structure(token).extents["y"] == 64


def test_a_constant_behind_a_quantizer_is_one():
    proto = write(
        [
            ("DequantizeLinear", ("q", "scale"), "weight"),
            ("Conv", ("images", "weight"), "y"),
        ],
        {"q": np.ones((2, 3, 1, 1), np.int8), "scale": np.float32(0.1)},
    )
    seen = read_structure(proto)
    assert "weight" in seen.constants
    assert seen.variables(proto.graph.node[1]) == ["images"]
    assert seen.shape("weight") == (2, 3, 1, 1)


@pytest.mark.parametrize("batch", ["n", 4])
def test_shapes_are_of_one_image_where_the_batch_is_dynamic(batch):
    proto = write([("Conv", ("images", "w"), "y")], {"w": draw(2, 3, 3, 3)}, (batch, 3, 8, 8))
    assert infer_shapes(proto)["y"] == (1 if batch == "n" else 4, 2, 6, 6)
    assert read_structure(proto).extents["y"] == 36


def test_large_weights_are_not_needed_for_shapes_and_the_graph_is_left_as_it_was():
    proto = write([("MatMul", ("images", "w"), "y")], {"w": draw(8, 1000)})
    before = proto.SerializeToString()
    assert infer_shapes(proto)["y"] == (1, 3, 8, 1000)
    assert proto.SerializeToString() == before


def test_attributes_of_one_and_of_several_integers():
    node = onnx.helper.make_node("Conv", ["x"], ["y"], group=3, pads=[1, 2])
    assert integers(node, "group") == (3,)
    assert integers(node, "pads") == (1, 2)
    assert integers(node, "strides", (1, 1)) == (1, 1)


def test_sizes_of_values():
    seen = read_structure(write([("Identity", ("images",), "y")], {"c": np.float32(1)}))
    assert seen.size("y") == 192
    assert seen.shape("none") == ()
