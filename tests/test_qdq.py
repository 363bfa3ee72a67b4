import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator
from tiny_qdq import CHANNELS, Builder, quantized_product

from edge_convnext.errors import QuantizationError
from edge_convnext.qdq import Wiring, absorb_smoothing, force_signed, guard_biases

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


def smoothed(kind):
    """An operation, then SmoothQuant's multiplication as NNCF writes it."""
    build = Builder()
    factors = build.constant(
        "factors", RANDOM.uniform(0.5, 2, (1, 1, 1, CHANNELS)).astype(np.float32)
    )
    one = build.constant("one", np.float32(1))
    gamma = build.constant("gamma", RANDOM.standard_normal(CHANNELS).astype(np.float32))
    if kind == "norm":
        unit = build.constant("unit", np.ones(CHANNELS, np.float32))
        result = build.node("LayerNormalization", ["images", unit, gamma], "norm", axis=-1)
    elif kind == "grn":
        axes = build.constant("axes", np.array([1, 2]))
        norm = build.node("ReduceL2", ["images", axes], "length")
        relative = build.node("Mul", [gamma, norm], "relative")
        result = build.node("Mul", ["images", build.node("Add", [relative, one], "scale")], "grn")
    else:
        result = build.node("Mul", ["images", build.node("Neg", ["images"], "negative")], "square")
    output = build.node("Mul", [result, factors], "smoothed")
    build.nodes[-1].name = f"{result}/nncf_smooth_quant"
    last = build.node("Tanh", [output], "tanh")
    return build.model({"images": [1, 4, 4, CHANNELS]}, last, 4)


@pytest.mark.parametrize(("kind", "removed"), [("norm", 1), ("grn", 1), ("square", 0)])
def test_smoothing_moves_into_the_constants_before_it(kind, removed):
    model = smoothed(kind)
    images = RANDOM.standard_normal((1, 4, 4, CHANNELS), dtype=np.float32)
    before, count = run(model, images), len(model.graph.node)
    assert absorb_smoothing(model) == removed
    assert len(model.graph.node) == count - removed
    np.testing.assert_allclose(run(model, images), before, rtol=1e-5, atol=1e-6)
    onnx.checker.check_model(model, full_check=True)
    read = {name for node in model.graph.node for name in node.input}
    assert {tensor.name for tensor in model.graph.initializer} <= read


def test_smoothing_stays_where_others_read_the_value_too():
    model = smoothed("norm")
    model.graph.output.append(onnx.helper.make_tensor_value_info("norm", 1, [None] * 4))
    before = copy_of(model)
    assert absorb_smoothing(model) == 0
    assert list(model.graph.node) == list(before.graph.node)


def test_shared_constants_are_not_scaled_for_others():
    model = smoothed("norm")
    other = onnx.helper.make_node("Add", ["tanh", "unit"], ["sum"])
    model.graph.node.append(other)
    model.graph.output[0].name = "sum"
    absorb_smoothing(model)
    unit = next(tensor for tensor in model.graph.initializer if tensor.name == "unit")
    np.testing.assert_array_equal(numpy_helper.to_array(unit), np.ones(CHANNELS))
