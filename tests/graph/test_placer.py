from collections import Counter

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper
from support.written_graphs import attending, branched, draw, excited, forked, write

from edge_convnext.core.metrics import compare_logits
from edge_convnext.graph.pair_writer import Weighing
from edge_convnext.graph.placements import PLACEMENTS
from edge_convnext.graph.placer import place, placeable
from edge_convnext.graph.qdq import Wiring
from edge_convnext.graph.roles import describe

BATCHES = [draw(1, 3, 8, 8, seed=seed) for seed in range(6)]


def placed(proto, placement, kind="int8", **options):
    return place(proto, describe(proto), PLACEMENTS[placement], kind, BATCHES, **options)


def run(proto, optimized=None):
    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 3
    if optimized:
        settings.optimized_model_filepath = str(optimized)
    session = onnxruntime.InferenceSession(proto.SerializeToString(), settings)
    return np.concatenate([session.run(None, {"images": one})[0].reshape(1, -1) for one in BATCHES])


def grid(proto, tensor):
    wiring = Wiring(proto)
    node = next(n for n in proto.graph.node if n.name == f"{tensor}/Quantize")
    return wiring.value(node.input[1]), wiring.value(node.input[2])


@pytest.mark.parametrize("make", [branched, excited, attending])
@pytest.mark.parametrize("kind", ["int8", "uint8", "mixed"])
@pytest.mark.parametrize("placement", ["weighted", "dense", "attention", "adds", "closed_gates"])
def test_the_logits_stay_near_and_the_graph_is_valid(make, placement, kind):
    proto = make()
    made = placed(proto, placement, kind)
    onnx.checker.check_model(made)
    parity = compare_logits(run(proto), run(made))
    assert parity.sqnr_db is not None
    assert parity.sqnr_db > 18.0


def test_the_same_input_gives_the_same_bytes_and_is_left_as_it_was():
    proto = branched()
    before = proto.SerializeToString(deterministic=True)
    one, two = (
        placed(proto, "closed", "uint8").SerializeToString(deterministic=True) for _ in "ab"
    )
    assert one == two
    assert proto.SerializeToString(deterministic=True) == before


@pytest.mark.parametrize("make", [branched, excited])
def test_closed_leaves_no_convolution_in_float_in_onnx_runtime(make, tmp_path):
    proto = make()
    placement = "closed_gates" if make is excited else "closed"
    made = placed(proto, placement, "uint8")
    run(made, tmp_path / "optimized.onnx")
    found = Counter(node.op_type for node in onnx.load(tmp_path / "optimized.onnx").graph.node)
    convolutions = sum(node.op_type == "Conv" for node in proto.graph.node)
    assert found["QLinearConv"] == convolutions
    assert found["QGemm"] == 1
    assert not {"Conv", "FusedConv", "Gemm", "NhwcFusedConv"} & set(found)


def test_a_range_ends_at_the_bound_of_its_clip():
    for kind, steps in (("uint8", 255), ("int8", 127)):
        scale, zero = grid(placed(branched(), "closed", kind), "relu6")
        assert zero == 0
        assert scale * steps <= 6.0
    loose = placed(branched(), "weighted", "uint8")
    assert not any(node.name == "relu6/Quantize" for node in loose.graph.node)


def test_a_maxpool_and_what_it_reads_have_one_grid():
    made = placed(branched(), "closed", "uint8")
    assert grid(made, "relu6") == grid(made, "pooled")
    assert grid(made, "one") != grid(made, "pooled")


def test_mixed_is_unsigned_where_nothing_is_negative_and_behind_a_concat():
    made = placed(branched(), "closed_gates", "mixed")
    types = {
        tensor: grid(made, tensor)[1].dtype.name
        for tensor in ("images", "relu6", "pooled", "gate", "silu", "two", "both")
    }
    assert types == {
        "images": "int8", "relu6": "uint8", "pooled": "uint8", "gate": "uint8", "silu": "int8",
        "two": "int8", "both": "uint8",
    }  # fmt: skip


def test_weights_have_a_scale_per_output_or_one_alone():
    def shape(made, name):
        return Wiring(made).value(f"{name}/int8_scale").shape

    made = placed(branched(), "weighted")
    assert shape(made, "w5") == (6,)
    assert shape(made, "w6") == (5,)
    fused = placed(branched(), "fused")
    assert shape(fused, "w4") == ()
    assert shape(fused, "w6") == (5,)
    assert shape(placed(branched(), "weighted", weighing=Weighing(per_tensor=True)), "w6") == ()
    assert shape(placed(attending(), "weighted"), "q") == (8,)


def test_weights_are_rounded_to_their_scale_and_symmetric():
    made = placed(branched(), "weighted", weighing=Weighing(largest={"one": 63}))
    for name, largest in (("w1", 127), ("w2", 63)):
        wiring = Wiring(made)
        stored, scale = wiring.value(f"{name}/int8"), wiring.value(f"{name}/int8_scale")
        assert np.abs(stored).max() == largest
        weight = numpy_helper.to_array(Wiring(branched()).constants[name])
        error = np.abs(stored * scale.reshape(-1, 1, 1, 1) - weight)
        assert (error <= scale.reshape(-1, 1, 1, 1) * 0.51).all()


def test_two_products_may_read_one_weight():
    proto = write(
        [
            ("Conv", ("images", "w"), "a", {"pads": [1, 1, 1, 1]}),
            ("Relu", ("a",), "b"),
            ("Conv", ("b", "w"), "logits"),
        ],
        {"w": draw(3, 3, 3, 3)},
    )
    made = placed(proto, "weighted")
    onnx.checker.check_model(made)
    assert sum(node.name == "w/Dequantize" for node in made.graph.node) == 1
    assert compare_logits(run(proto), run(made)).sqnr_db > 18.0


def test_a_bias_in_32_bits_is_near_the_float_one_and_left_where_it_does_not_fit():
    made = placed(branched(), "closed", "uint8")
    wiring = Wiring(made)
    values = wiring.value("logits/bias_int32") * wiring.value("logits/bias_scale")
    assert (np.abs(values - draw(5, seed=6)) <= wiring.value("logits/bias_scale")).all()
    assert wiring.value("logits/bias_int32").dtype == np.int32
    assert "b6" not in wiring.constants
    silent = branched()
    weight = next(one for one in silent.graph.initializer if one.name == "w6")
    weight.CopyFrom(numpy_helper.from_array(np.zeros((5, 12), np.float32), "w6"))
    assert "b6" in Wiring(placed(silent, "closed", "uint8")).constants
    assert "b6" in Wiring(placed(branched(), "weighted")).constants


def test_the_bias_of_a_quantized_product_is_a_row():
    assert Wiring(placed(attending(), "weighted")).value("vb").shape == (1, 8)


def test_ignored_products_stay_float():
    made = placed(branched(), "closed", ignored=("one", "logits"))
    wiring = Wiring(made)
    nodes = {node.name: node for node in made.graph.node}
    assert not wiring.is_quantized(nodes["one"])
    assert not wiring.is_quantized(nodes["logits"])
    assert wiring.is_quantized(nodes["two"])


def test_a_weight_that_is_no_stored_constant_is_not_placed():
    proto = write(
        [("Neg", ("c",), "w"), ("Conv", ("images", "w"), "logits")], {"c": draw(4, 3, 1, 1)}
    )
    assert placeable(proto, describe(proto), PLACEMENTS["weighted"]) == frozenset()


def test_a_weight_that_is_scaled_per_image_is_quantized_signed():
    proto = write(
        [
            ("GlobalAveragePool", ("images",), "mean"),
            ("Reshape", ("mean", "row"), "factor"),
            ("Mul", ("w", "factor"), "scaled"),
            ("Conv", ("images", "scaled"), "logits"),
        ],
        {"w": draw(4, 3, 1, 1), "row": np.array([1, 3, 1, 1])},
    )
    made = placed(proto, "weighted", "uint8")
    assert grid(made, "scaled")[1].dtype == np.int8
    assert grid(made, "images")[1].dtype == np.uint8


def test_a_convolution_that_is_left_in_float_is_so_in_onnx_runtime(tmp_path):
    """It would round the weights of one between two pairs itself."""
    made = placed(forked(), "closed", "uint8", ignored=("stem", "left"))
    run(made, tmp_path / "optimized.onnx")
    found = onnx.load(tmp_path / "optimized.onnx").graph.node
    quantized = {node.name.partition("_")[0] for node in found if node.op_type == "QLinearConv"}
    assert "right" in quantized
    assert not {"stem", "left"} & quantized
