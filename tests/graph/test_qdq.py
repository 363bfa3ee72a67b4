import numpy as np
import onnx
import pytest
from onnx.reference import ReferenceEvaluator
from support.tiny_qdq import CHANNELS, Builder, quantized_product

from edge_convnext.core.errors import QuantizationError
from edge_convnext.graph.qdq import Wiring, force_signed, guard_biases, weight_axes

RANDOM = np.random.default_rng(0)


def run(model, images):
    return ReferenceEvaluator(model).run(None, {"images": images})[0]


def copy_of(model):
    return onnx.ModelProto.FromString(model.SerializeToString())


def test_unsigned_quantizers_become_signed_ones_of_the_same_range():
    model = quantized_product(activation=np.uint8)  # 0 to 255 times 0.02
    images = RANDOM.uniform(0, 5.1, (1, 4, 4, CHANNELS)).astype(np.float32)
    before = run(model, images)
    assert force_signed(model) == 1
    wiring = Wiring(model)
    np.testing.assert_allclose(127 * wiring.value("scale"), 255 * 0.02, rtol=1e-6)
    assert wiring.value("zero_point").dtype == np.int8
    onnx.checker.check_model(model, full_check=True)
    step = float(wiring.value("scale"))
    weights = np.abs(wiring.value("weight").astype(np.float32) * 0.01)
    most = weights.sum(axis=0).max() * step  # half a step of each quantizer, at every input
    assert np.abs(run(model, images) - before).max() <= most
    assert force_signed(model) == 0


def test_an_asymmetric_quantizer_is_not_made_signed():
    with pytest.raises(QuantizationError, match="zero point 128 is not 0"):
        force_signed(quantized_product(activation=np.uint8, activation_zero=128))


def test_biases_of_quantized_products_become_rows():
    model = quantized_product(bias_rank=1)
    images = RANDOM.standard_normal((1, 4, 4, CHANNELS), dtype=np.float32)
    before = run(model, images)
    assert guard_biases(model) == 1
    assert Wiring(model).value("bias").shape == (1, CHANNELS)
    np.testing.assert_array_equal(run(model, images), before)
    onnx.checker.check_model(model, full_check=True)


def test_biases_of_float_products_stay():
    model = quantized_product(bias_rank=1, quantize_input=False)
    before = copy_of(model)
    assert guard_biases(model) == 0
    assert model == before


@pytest.mark.parametrize(
    ("kind", "attributes", "rank", "axes"),
    [
        ("Conv", {}, 4, (0, 1)), ("Conv", {"group": 8}, 3, (0, 1)), ("Gemm", {}, 2, (1, 0)),
        ("Gemm", {"transB": 0}, 2, (1, 0)), ("Gemm", {"transB": 1}, 2, (0, 1)),
        ("MatMul", {}, 2, (1, 0)), ("MatMul", {}, 4, (3, 2)),
    ],
)  # fmt: skip
def test_a_weights_axes_are_those_of_what_a_product_makes_and_reads(kind, attributes, rank, axes):
    node = onnx.helper.make_node(kind, ["x", "w"], ["y"], **attributes)
    assert weight_axes(node, rank) == axes


@pytest.mark.parametrize("kind", ["Flatten", "Identity", "Squeeze", "Unsqueeze", "Relu"])
def test_what_only_moves_values_hides_no_quantizer(kind):
    build = Builder()
    scale, zero = build.constant("s", np.float32(0.1)), build.constant("z", np.int8(0))
    stored = build.node("QuantizeLinear", ["images", scale, zero], "q")
    made = build.node("DequantizeLinear", [stored, scale, zero], "d")
    axes = [build.constant("axes", np.array([0]))] if kind == "Unsqueeze" else []
    y = build.node(kind, [made, *axes], "y")
    wiring = Wiring(build.model({"images": [1, 4]}, y, {"Squeeze": 1, "Unsqueeze": 3}.get(kind, 2)))
    found = wiring.quantizer("y")
    assert (found is None) == (kind == "Relu")
