import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from support.exports import export_onnx
from support.torch_exports import IMAGES, INFO, TINY, run_onnx

from edge_convnext.core.artifacts import METADATA_KEY, OnnxModel
from edge_convnext.core.errors import ArtifactError, QuantizationError
from edge_convnext.core.metrics import compare_logits
from edge_convnext.core.sections import ExportConfig
from edge_convnext.graph.qdq import Wiring
from edge_convnext.networks.convnext.build import random_state
from edge_convnext.networks.convnext.form_names import ONE_IMAGE_FORMS
from edge_convnext.networks.weights import save_weights
from edge_convnext.runtimes.lint import lint
from edge_convnext.stages.fold import fold_weights
from edge_convnext.stages.place_qdq import place_qdq

CASES = {
    ("linear", "blocks"): 8,
    ("linear", "pointwise"): 13,  # the images too
    ("mixed", "blocks"): 8,
    ("late", "blocks"): 8,
    ("late_product_mixed", "blocks"): 8,
    ("weights_mixed", "late_blocks"): 4,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("place")


@pytest.fixture(scope="module")
def floats(folder):
    raw = save_weights(random_state(TINY, 0), TINY, INFO, folder / "raw.safetensors")
    folded = fold_weights(raw, folder / "folded.safetensors")

    def export(form):
        config = ExportConfig(batch=1 if form in ONE_IMAGE_FORMS else "dynamic")
        return export_onnx(folded, form, "fp32", config, folder / f"{form}.onnx")

    return {form: export(form) for form, _ in CASES}


@pytest.fixture(scope="module")
def placed(folder, floats):
    return {
        (form, placement): place_qdq(
            floats[form], [IMAGES], placement, folder / f"{form}.{placement}.onnx"
        )
        for form, placement in CASES
    }


def run(path, form):
    pieces = np.split(IMAGES, len(IMAGES)) if form in ONE_IMAGE_FORMS else [IMAGES]
    return np.concatenate([run_onnx(path, piece) for piece in pieces])


@pytest.mark.parametrize(("form", "placement"), CASES)
def test_the_logits_stay_near_the_float_graphs(floats, placed, form, placement):
    model = placed[form, placement]
    parity = compare_logits(run(floats[form].path, form), run(model.path, form))
    assert parity.sqnr_db is not None  # something was rounded
    assert parity.sqnr_db > 25.0
    assert model.quantized_ops == CASES[form, placement]


@pytest.mark.parametrize(("form", "placement"), CASES)
def test_everything_is_signed_symmetric_and_runs_on_tensorrt_by_its_rules(placed, form, placement):
    path = placed[form, placement].path
    assert [one for one in lint(path, "rtx") if one.severity == "error"] == []
    wiring = Wiring(onnx.load(path))
    zero_points = [
        wiring.value(node.input[2])
        for node in wiring.producer.values()
        if node.op_type in ("QuantizeLinear", "DequantizeLinear")
    ]
    assert zero_points
    assert all(zero.dtype == np.int8 and not zero.any() for zero in zero_points)


def test_a_product_gets_a_scale_per_output_and_a_convolution_one_alone(placed):
    wiring = Wiring(onnx.load(placed["mixed", "blocks"].path))
    shapes = {
        name: wiring.value(wiring.producer[node.input[1]].input[1]).shape
        for node in wiring.producer.values()
        if node.op_type in ("Conv", "MatMul")
        and (name := node.name).startswith("stages.1.blocks.0.pwconv")
    }
    assert shapes == {
        "stages.1.blocks.0.pwconv1/MatMul": (64,),
        "stages.1.blocks.0.pwconv2/Conv": (),
    }


def test_a_computed_weight_is_quantized_where_it_is_computed(placed):
    wiring = Wiring(onnx.load(placed["late", "blocks"].path))
    weight = wiring.producer["stages.0.blocks.0.pwconv2/Conv"].input[1]
    dequantize = wiring.producer[weight]
    quantize = wiring.producer[dequantize.input[0]]
    assert dequantize.op_type == "DequantizeLinear"
    assert wiring.producer[quantize.input[0]].op_type == "Mul"


def test_gelus_output_is_stored_once_for_the_reduction_and_the_product(placed):
    wiring = Wiring(onnx.load(placed["late", "blocks"].path))
    (reader,) = wiring.readers["stages.0.blocks.0.act/Gelu"]
    assert reader.op_type == "QuantizeLinear"


def test_the_file_says_what_was_quantized(placed):
    proto = onnx.load(placed["late", "blocks"].path)
    (said,) = [entry.value for entry in proto.metadata_props if entry.key == METADATA_KEY]
    assert '"precision": "int8"' in said
    assert '"placement": "blocks"' in said


def test_a_tensor_that_is_zero_throughout_gets_a_scale_that_is_not(folder, floats):
    proto = onnx.load(floats["mixed"].path)
    for one in proto.graph.initializer:
        if one.name == "stages.0.blocks.0.pwconv1.weight":
            one.CopyFrom(numpy_helper.from_array(np.zeros(one.dims, np.float32), one.name))
    path = folder / "silent.onnx"
    onnx.save(proto, path)
    made = place_qdq(
        OnnxModel(path, "fp32", "mixed"), [IMAGES], "blocks", folder / "silent.int8.onnx"
    )
    assert np.isfinite(run(made.path, "mixed")).all()


def test_what_can_not_be_placed_is_refused_with_a_reason(folder, floats, placed):
    out = folder / "refused.onnx"
    with pytest.raises(QuantizationError, match="is int8; quantize the FP32 graph"):
        place_qdq(placed["mixed", "blocks"], [IMAGES], "blocks", out)
    with pytest.raises(ArtifactError, match="No such file"):
        place_qdq(OnnxModel(folder / "none.onnx", "fp32", "mixed"), [IMAGES], "blocks", out)
    assert not out.exists()
