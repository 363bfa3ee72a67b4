import json
import os
import sys
from collections import Counter

import numpy as np
import onnx
import onnxruntime
import pytest
from support.exports import export_onnx
from support.tiny_qdq import CHANNELS, Builder

from edge_convnext.core.artifacts import METADATA_KEY, ModelInfo, OnnxModel, Preprocess
from edge_convnext.core.errors import ArtifactError, MissingDependencyError, QuantizationError
from edge_convnext.core.files import sha256_file
from edge_convnext.core.sections import ExportConfig, QuantizeConfig
from edge_convnext.graph.qdq import Wiring
from edge_convnext.networks.convnext.build import random_state
from edge_convnext.networks.convnext.sizes import Architecture
from edge_convnext.networks.weights import save_weights
from edge_convnext.runtimes.lint import lint
from edge_convnext.stages.fold import fold_weights
from edge_convnext.stages.keep_float import quantized_operations
from edge_convnext.stages.quantize import quantize

SIZE = 32
TINY = Architecture("convnextv2_atto", 2, (1, 1, 1, 1), (8, 16, 24, 32), num_classes=5)
INFO = ModelInfo(
    "convnextv2_atto", 5, 3, (), Preprocess(image_size=SIZE), "tiny.pth", "0" * 64, "CC BY-NC 4.0"
)
IMAGES = np.random.default_rng(0).standard_normal((8, 3, SIZE, SIZE), dtype=np.float32)
DENSE, DEPTHWISE = 1 + 3 + 2 * 4 + 1, 4  # stem, downsamplings, blocks, head
PLAIN = QuantizeConfig(activations_range_estimator="minmax")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("quantize")


@pytest.fixture(scope="module")
def weights(folder):
    raw = save_weights(random_state(TINY, 0), TINY, INFO, folder / "raw.safetensors")
    return fold_weights(raw, folder / "folded.safetensors")


@pytest.fixture(scope="module")
def linear(folder, weights):
    return export_onnx(weights, "linear", "fp32", ExportConfig(), folder / "linear.onnx")


@pytest.fixture(scope="module")
def conv(folder, weights):
    return export_onnx(weights, "conv", "fp32", ExportConfig(), folder / "conv.onnx")


@pytest.fixture(scope="module")
def quantized(folder, linear):
    return quantize(linear, [IMAGES], "pointwise", QuantizeConfig(), folder / "int8.onnx")


@pytest.fixture(scope="module")
def plain(folder, linear):
    return quantize(linear, [IMAGES], "pointwise", PLAIN, folder / "plain.onnx")


@pytest.fixture
def product(tmp_path):
    """One MatMul + Add of images [N, C]: cheap enough to try every option on."""
    return OnnxModel(write_product(tmp_path / "product.onnx"), "fp32", "linear")


def write_product(path, before="Identity"):
    random = np.random.default_rng(1)
    build = Builder()
    weight = build.constant("w", random.standard_normal((CHANNELS, CHANNELS)).astype(np.float32))
    bias = build.constant("b", random.standard_normal(CHANNELS).astype(np.float32))
    total = build.node(
        "Add",
        [build.node("MatMul", [build.node(before, ["images"], "x"), weight], "head.fc"), bias],
        "sum",
    )
    proto = build.model({"images": ["batch", CHANNELS]}, total, 2)
    onnx.helper.set_model_props(proto, INFO.to_metadata())
    onnx.save(proto, path)
    return path


def logits(path, images=IMAGES):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(None, {"images": images})[0]


def sqnr_db(reference, candidate):
    noise = candidate - reference
    return 10 * np.log10((reference**2).sum() / (noise**2).sum())


def quantizers(path):
    """Scale and zero point of every activation quantizer, by the value it reads."""
    proto = onnx.load(path)
    wiring = Wiring(proto)
    return {
        node.input[0]: (wiring.value(node.input[1]), wiring.value(node.input[2]))
        for node in proto.graph.node
        if node.op_type == "QuantizeLinear"
    }


@pytest.mark.parametrize(
    ("form", "placement", "operations"),
    [
        ("linear", "pointwise", DENSE),
        ("linear", "weighted", DENSE + DEPTHWISE),
        ("linear", "all", DENSE + DEPTHWISE),
        ("conv", "pointwise", DENSE),
    ],
)
def test_a_placement_quantizes_its_operations_signed(
    request, tmp_path, form, placement, operations
):
    model = request.getfixturevalue(form)
    made = quantize(model, [IMAGES[:4]], placement, QuantizeConfig(), tmp_path / "int8.onnx")
    assert made == OnnxModel(tmp_path / "int8.onnx", "int8", form, placement, operations)
    found = quantizers(made.path)
    assert (len(found) == operations) == (placement != "all")
    for scale, zero_point in found.values():
        assert scale.shape == ()
        assert zero_point.dtype == np.int8
        assert zero_point == 0
    errors = [finding for finding in lint(made.path, "rtx") if finding.severity == "error"]
    assert not errors
    assert sqnr_db(logits(model.path), logits(made.path)) > 20


def test_weights_are_int8_per_output_channel_and_biases_float(quantized):
    proto = onnx.load(quantized.path)
    wiring = Wiring(proto)
    for node in filter(wiring.is_quantized, proto.graph.node):
        weight = wiring.quantizer(node.input[1])
        assert wiring.value(weight.input[0]).dtype == np.int8
        channels = wiring.value(weight.input[0]).shape[1 if node.op_type == "MatMul" else 0]
        assert wiring.value(weight.input[1]).shape == (channels,)
        assert not wiring.value(weight.input[2]).any()
    kinds = Counter(tensor.data_type for tensor in proto.graph.initializer)
    assert onnx.TensorProto.INT32 not in kinds
    biases = [tensor for tensor in proto.graph.initializer if tensor.name.endswith(".bias")]
    assert len(biases) == DENSE + DEPTHWISE + 1  # the stem's LayerNorm keeps its own
    assert {tensor.data_type for tensor in biases} == {onnx.TensorProto.FLOAT}


def test_quantization_adds_pairs_and_nothing_else(quantized, linear):
    before, after = (
        Counter(node.op_type for node in onnx.load(model.path).graph.node)
        for model in (linear, quantized)
    )
    assert after - before == {"QuantizeLinear": DENSE, "DequantizeLinear": 2 * DENSE}
    assert before <= after


@pytest.mark.parametrize("estimator", ["reconstruction", "minmax"])
def test_unsigned_activations_fit_values_of_one_sign_better(tmp_path, product, estimator):
    images = np.random.default_rng(2).uniform(-0.1, 3.0, (64, CHANNELS)).astype(np.float32)
    reference = logits(product.path, images)
    config = QuantizeConfig(activations_range_estimator=estimator)
    errors = {}
    for kind in ("int8", "uint8"):
        made = quantize(
            product, [images], "pointwise", config, tmp_path / f"{kind}.onnx", activation_type=kind
        )
        proto = onnx.load(made.path)
        wiring = Wiring(proto)
        (node,) = (node for node in proto.graph.node if node.op_type == "QuantizeLinear")
        assert wiring.value(node.input[2]).dtype == kind
        errors[kind] = np.square(logits(made.path, images) - reference).mean()
    assert errors["uint8"] < errors["int8"]


def test_ranges_by_reconstruction_leave_a_lone_outlier_out(tmp_path, product):
    images = np.random.default_rng(3).standard_normal((256, CHANNELS), dtype=np.float32)
    images[0, 0] = 500.0
    scales = {}
    for estimator in ("minmax", "reconstruction"):
        config = QuantizeConfig(activations_range_estimator=estimator)
        batches = [images[start : start + 8] for start in range(0, len(images), 8)]
        target = tmp_path / f"{estimator}.onnx"
        proto = onnx.load(quantize(product, batches, "pointwise", config, target).path)
        (node,) = (node for node in proto.graph.node if node.op_type == "QuantizeLinear")
        scales[estimator] = float(Wiring(proto).value(node.input[1]))
    assert scales["reconstruction"] < 0.5 * scales["minmax"]


def test_an_estimator_of_symmetric_ranges_refuses_unsigned_activations(tmp_path, product):
    config = QuantizeConfig(activations_range_estimator="mean_minmax")
    images = IMAGES[:, 0, 0, :CHANNELS]
    with pytest.raises(QuantizationError, match="use reconstruction or minmax"):
        quantize(
            product, [images], "pointwise", config, tmp_path / "x.onnx", activation_type="uint8"
        )


def test_the_same_input_gives_the_same_bytes_and_stays_as_it_is(folder, linear, quantized):
    before = sha256_file(linear.path)
    again = quantize(linear, iter([IMAGES]), "pointwise", QuantizeConfig(), folder / "again.onnx")
    assert sha256_file(again.path) == sha256_file(quantized.path)
    assert sha256_file(linear.path) == before


def test_the_file_keeps_its_metadata_and_says_what_was_done(linear, quantized):
    before, after = (
        {entry.key: entry.value for entry in onnx.load(model.path).metadata_props}
        for model in (linear, quantized)
    )
    assert before.keys() == after.keys()
    old, new = json.loads(before[METADATA_KEY]), json.loads(after[METADATA_KEY])
    assert ModelInfo.from_metadata(after, quantized.path) == INFO
    assert (new["precision"], new["placement"], new["form"]) == ("int8", "pointwise", "linear")
    assert new["tools"].startswith(f"{old['tools']}, nncf ")
    text = quantized.path.read_bytes()
    assert os.fsencode(linear.path.parent) not in text
    assert os.fsencode(sys.prefix) not in text


def test_the_ranges_do_not_depend_on_the_batch(folder, linear, plain):
    pieces = [IMAGES[:1], IMAGES[1:4], IMAGES[4:]]
    made = quantize(linear, pieces, "pointwise", PLAIN, folder / "pieces.onnx")
    expected = quantizers(plain.path)
    for name, (scale, _) in quantizers(made.path).items():
        np.testing.assert_allclose(scale, expected[name][0], rtol=1e-4)


def test_images_count_one_by_one_in_averages(tmp_path, product):
    images = np.full((4, CHANNELS), [[1], [2], [3], [10]], np.float32)
    config = PLAIN.model_copy(update={"activations_range_estimator": "mean_minmax"})
    made = quantize(product, [images[:1], images[1:]], "pointwise", config, tmp_path / "q.onnx")
    ((scale, _),) = quantizers(made.path).values()
    np.testing.assert_allclose(scale * 127, images[:, 0].mean(), rtol=1e-4)


@pytest.mark.parametrize(
    "estimator",
    ["minmax", "mean_minmax", "median_minmax", "mean_no_outliers_minmax", "mean_quantile"],
)
def test_every_estimator_covers_large_negative_values(tmp_path, product, estimator):
    random = np.random.default_rng(3)
    batches = list(random.uniform(-10, 1, (5, 8, CHANNELS)).astype(np.float32))
    config = PLAIN.model_copy(update={"activations_range_estimator": estimator})
    made = quantize(product, batches, "pointwise", config, tmp_path / "int8.onnx")
    ((scale, zero_point),) = quantizers(made.path).values()
    assert 8 < scale * 127 <= 10.01
    assert zero_point == 0


def test_a_range_without_negative_values_is_signed_too(tmp_path):
    path = write_product(tmp_path / "product.onnx", before="Abs")
    images = np.random.default_rng(4).uniform(-5, 5, (32, CHANNELS)).astype(np.float32)
    model = OnnxModel(path, "fp32", "linear")
    made = quantize(model, [images], "pointwise", PLAIN, tmp_path / "int8.onnx")
    ((scale, zero_point),) = quantizers(made.path).values()
    assert zero_point.dtype == np.int8
    np.testing.assert_allclose(scale * 127, np.abs(images).max(), rtol=1e-4)
    assert sqnr_db(logits(path, images), logits(made.path, images)) > 30


@pytest.mark.parametrize(
    ("option", "value", "shape"),
    [
        ("weight_granularity", "per_channel", (CHANNELS,)),
        ("weight_granularity", "per_tensor", ()),
        ("overflow_fix", "enable", (CHANNELS,)),
        ("overflow_fix", "first_layer_only", (CHANNELS,)),
        ("fast_bias_correction", False, (CHANNELS,)),
        ("disable_bias_correction", False, (CHANNELS,)),
    ],
)
def test_options_reach_nncf(tmp_path, product, option, value, shape):
    images = np.random.default_rng(5).standard_normal((16, CHANNELS), dtype=np.float32)
    config = PLAIN.model_copy(update={option: value})
    made = quantize(product, [images[:8], images[8:]], "pointwise", config, tmp_path / "int8.onnx")
    wiring = Wiring(onnx.load(made.path))
    weight = wiring.quantizer(wiring.producer["head.fc"].input[1])
    assert wiring.value(weight.input[1]).shape == shape
    largest = np.abs(wiring.value(weight.input[0]).astype(int)).max()
    assert largest == (64 if value == "enable" else 127)


def test_static_shapes_keep_the_int8_kernels_in_a_default_session(folder, quantized):
    settings = onnxruntime.SessionOptions()
    settings.add_free_dimension_override_by_name("batch", 1)
    settings.optimized_model_filepath = str(folder / "optimized.onnx")
    settings.log_severity_level = 3  # it warns that such a file is for this machine only
    onnxruntime.InferenceSession(quantized.path, settings, providers=["CPUExecutionProvider"])
    kinds = Counter(node.op_type for node in onnx.load(folder / "optimized.onnx").graph.node)
    assert kinds["MatMulIntegerToFloat"] == 2 * 4
    assert kinds["Gemm"] == 1  # the head


def test_ignored_nodes_stay_float(tmp_path, linear):
    config = PLAIN.model_copy(
        update={"ignored_names": ("head.fc/Gemm",), "ignored_patterns": (r"stages\.\d\.down.*",)}
    )
    made = quantize(linear, [IMAGES[:2]], "pointwise", config, tmp_path / "int8.onnx")
    assert made.quantized_ops == DENSE - 4
    wiring = Wiring(onnx.load(made.path))
    assert not wiring.is_quantized(wiring.producer["logits"])


def test_types_of_operations_stay_float(tmp_path, linear):
    gemms = {node.name for node in onnx.load(linear.path).graph.node if node.op_type == "Gemm"}
    assert gemms
    config = PLAIN.model_copy(update={"ignored_types": ("Gemm", "Einsum")})  # one of another form
    made = quantize(linear, [IMAGES[:2]], "pointwise", config, tmp_path / "int8.onnx")
    assert made.quantized_ops == DENSE - len(gemms)
    assert not gemms & set(quantized_operations(onnx.load(made.path)))


def test_progress_is_told_and_the_terminal_left_alone(tmp_path, product, capfd):
    told = []

    def track(items, what, total=None):
        told.append((what, total))
        yield from items
        told.append("full")

    batches = [IMAGES[:, 0, 0, :CHANNELS]] * 3
    quantize(product, batches, "pointwise", PLAIN, tmp_path / "int8.onnx", track)
    assert told == [("calibrate", 3), "full"]
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ignored_names": ("head.fc/Conv",)}, "ignored_names has 'head.fc/Conv'"),
        ({"ignored_names": ("head.fc/MatMu",)}, "which is no node of it; it has head.fc/MatMul"),
        (
            {"ignored_types": ("Matmul",)},
            "no operation of ONNX; did you mean MatMul? The graph has",
        ),
        ({"ignored_patterns": ("head.*", "tail.*")}, "ignored_patterns has 'tail.*': no node"),
        ({"ignored_patterns": ("(",)}, "not a regular expression"),
        ({"ignored_patterns": (".*",)}, "0 operations were quantized, but not"),
    ],
)
def test_a_bad_scope_is_one_line_and_leaves_nothing(tmp_path, product, change, message):
    config = PLAIN.model_copy(update=change)
    with pytest.raises(QuantizationError) as caught:
        quantize(product, [IMAGES[:, 0, 0, :CHANNELS]], "pointwise", config, tmp_path / "x.onnx")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["product.onnx"]


@pytest.mark.parametrize(
    ("images", "message"),
    [
        ([], "no calibration images"),
        ([np.zeros((1, CHANNELS + 1), np.float32)], "NNCF failed: InvalidArgument"),
        ([np.full((1, CHANNELS), np.nan, np.float32)], "batch 1 of 1 has NaN"),
    ],
)
def test_bad_images_are_one_line_and_leave_nothing(tmp_path, product, images, message):
    with pytest.raises(QuantizationError) as caught:
        quantize(product, images, "pointwise", PLAIN, tmp_path / "x.onnx")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["product.onnx"]


def test_a_foreign_graph_needs_the_placement_all(tmp_path):
    build = Builder()
    weight = build.constant("w", np.ones((CHANNELS, CHANNELS), np.float32))
    proto = build.model(
        {"images": ["batch", CHANNELS]}, build.node("MatMul", ["images", weight], "y"), 2
    )
    onnx.save(proto, tmp_path / "foreign.onnx")
    model = OnnxModel(tmp_path / "foreign.onnx", "fp32", "raw")
    with pytest.raises(QuantizationError, match="--placement all"):
        quantize(model, [IMAGES], "pointwise", PLAIN, tmp_path / "x.onnx")


def test_only_an_fp32_graph_that_exists_is_quantized(tmp_path, product):
    half = OnnxModel(product.path, "fp16", "linear")
    with pytest.raises(QuantizationError, match="is fp16"):
        quantize(half, [IMAGES], "pointwise", PLAIN, tmp_path / "x.onnx")
    absent = OnnxModel(tmp_path / "absent.onnx", "fp32", "linear")
    with pytest.raises(ArtifactError, match="no such ONNX file"):
        quantize(absent, [IMAGES], "pointwise", PLAIN, tmp_path / "x.onnx")


def test_without_nncf_the_extra_is_named(tmp_path, product, monkeypatch):
    monkeypatch.setitem(sys.modules, "nncf", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'edge-convnext\[build\]'"):
        quantize(product, [IMAGES], "pointwise", PLAIN, tmp_path / "x.onnx")


@pytest.mark.parametrize("overflow_fix", ["disable", "enable"])
def test_nncf_s_weights_are_rounded_anew_where_a_recipe_says_so(tmp_path, product, overflow_fix):
    random = np.random.default_rng(4)
    alike = random.standard_normal((256, 1)) + 0.3 * random.standard_normal((256, CHANNELS))
    images = alike.astype(np.float32)
    batches = [images[start : start + 8] for start in range(0, len(images), 8)]
    stored = {}
    for rounding in ("nearest", "reconstruction"):
        config = QuantizeConfig(weight_rounding=rounding, overflow_fix=overflow_fix)
        target = tmp_path / f"{rounding}.onnx"
        proto = onnx.load(quantize(product, batches, "pointwise", config, target).path)
        wiring = Wiring(proto)
        (node,) = (one for one in proto.graph.node if one.op_type == "MatMul")
        stored[rounding] = wiring.value(wiring.producer[node.input[1]].input[0]).astype(int)
    largest = {name: np.abs(one).max() for name, one in stored.items()}
    assert (stored["nearest"] != stored["reconstruction"]).any()
    assert largest["reconstruction"] <= largest["nearest"] <= 127
    assert (largest["nearest"] < 127) == (overflow_fix == "enable")
