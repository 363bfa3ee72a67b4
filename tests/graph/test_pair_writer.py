import numpy as np
import onnx
from onnx import numpy_helper
from support.written_graphs import branched, draw

from edge_convnext.graph.affine import Grid
from edge_convnext.graph.pair_writer import PairWriter, Weighing
from edge_convnext.graph.placements import PLACEMENTS
from edge_convnext.graph.qdq import Wiring
from edge_convnext.graph.roles import describe
from edge_convnext.graph.spots import Spot


def test_a_pair_stands_behind_what_makes_its_tensor_for_the_readers_that_are_named():
    proto = branched()
    writer = PairWriter(proto)
    writer.activation(Spot("pooled", 1, None, frozenset({"one"})), Grid(0.5, 3, "uint8"))
    writer.activation(Spot("images", 1, None, None), Grid(0.25, 0, "int8"))
    writer.finish()
    names = [node.name for node in proto.graph.node]
    assert names[:3] == ["images/Quantize", "images/Dequantize", "stem"]
    at = names.index("pooled")
    assert names[at + 1 : at + 3] == ["pooled/Quantize", "pooled/Dequantize"]
    nodes = {node.name: node for node in proto.graph.node}
    assert nodes["one"].input[0] == "pooled/Dequantize"
    assert nodes["sum"].input[1] == "pooled"
    wiring = Wiring(proto)
    assert wiring.value("pooled/scale") == np.float32(0.5)
    assert wiring.value("pooled/zero_point") == np.uint8(3)
    assert wiring.value("images/zero_point").dtype == np.int8
    onnx.checker.check_model(proto)


def test_a_bias_has_the_scale_of_its_sum_also_where_the_weight_has_one_alone():
    for weighing in (Weighing(), Weighing(per_tensor=True)):
        proto = branched()
        product = describe(proto).by_name["logits"]
        writer = PairWriter(proto)
        writer.weight(product, PLACEMENTS["closed"], weighing)
        writer.bias(product, Grid(0.01, 0, "uint8"))
        writer.finish()
        onnx.checker.check_model(proto)
        stored = {one.name: numpy_helper.to_array(one) for one in proto.graph.initializer}
        scale = stored["logits/bias_scale"]
        assert scale.shape == (5,)
        np.testing.assert_allclose(scale, np.resize(stored["w6/int8_scale"] * 0.01, 5), rtol=1e-6)
        error = stored["logits/bias_int32"] * scale - draw(5, seed=6)
        assert (np.abs(error) <= scale).all()
