import numpy as np
import onnx
import pytest
from onnx import TensorProto
from support.rtx_builds import build_rtx, dtypes, needs_rtx
from support.small_exports import (
    SIZE,
    export,
    export_tiny,
    infer,
    largest_error,
    make_images,
    place_export,
    quantize_export,
)
from support.tiny_qdq import Builder
from support.torch_exports import INFO

from edge_convnext.core.artifacts import METADATA_KEY, ModelInfo, OnnxModel, Preprocess
from edge_convnext.core.errors import ArtifactError, ExportError
from edge_convnext.data.preprocess import normalise
from edge_convnext.networks.convnext.build import random_state
from edge_convnext.networks.convnext.sizes import Architecture
from edge_convnext.stages.to_float16 import halve_body
from edge_convnext.stages.to_opset17 import use_opset_17
from edge_convnext.stages.to_uint8_images import use_uint8_images

PIXELS = np.random.default_rng(0).integers(0, 256, (4, SIZE, SIZE, 3), dtype=np.uint8)
IMAGES = np.stack([normalise(one, INFO.preprocess) for one in PIXELS])
MORE_INT8 = ("int8 but the stem", "int8 blocks of one image")
EXPORTS = ["linear", "nhwc", "int8", *MORE_INT8]
FLOAT_STEM = (r"stem\.conv/.*",)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("uint8")


@pytest.fixture(scope="module")
def exports(folder):
    linear, noise = export_tiny("linear", folder), make_images(4)
    inner = folder / "inner"
    inner.mkdir()
    return {
        "linear": linear,
        "nhwc": export_tiny("nhwc", folder),
        "int8": quantize_export(linear, [noise]),
        "int8 but the stem": quantize_export(export_tiny("linear", inner), [noise], FLOAT_STEM),
        "int8 blocks of one image": place_export(export_tiny("late", folder), [noise]),
    }


def kinds(path):
    return [node.op_type for node in onnx.load(path).graph.node]


@pytest.mark.parametrize("layout", ["nhwc", "nchw"])
@pytest.mark.parametrize("name", EXPORTS)
def test_pixels_give_the_logits_of_normalised_images(exports, tmp_path, name, layout):
    model = use_uint8_images(exports[name], tmp_path / "uint8.onnx", layout)
    pixels = PIXELS if layout == "nhwc" else np.ascontiguousarray(PIXELS.transpose(0, 3, 1, 2))
    expected = infer(exports[name].path, IMAGES)
    assert largest_error(infer(model.path, pixels), expected) < 1e-6


@pytest.mark.parametrize("name", ["linear", "int8"])
def test_the_body_is_untouched(exports, tmp_path, name):
    before, after = exports[name].path, use_uint8_images(exports[name], tmp_path / "u.onnx").path
    assert kinds(after) == ["Cast", "Mul", "Add", "Transpose", *kinds(before)]
    assert after.stat().st_size < before.stat().st_size + 1000


def test_a_float16_body_gets_the_float16_images_that_it_got_before(exports, tmp_path):
    """Pixels are scaled and shifted in float32: the sum cancels most of what it adds."""
    float_images = halve_body(exports["linear"], tmp_path / "float.onnx")
    uint8 = use_uint8_images(exports["linear"], tmp_path / "uint8.onnx", "nchw")
    pixels = np.ascontiguousarray(PIXELS.transpose(0, 3, 1, 2))
    found = infer(halve_body(uint8, tmp_path / "half.onnx").path, pixels)
    assert largest_error(found, infer(float_images.path, IMAGES)) < 1e-6


def test_input_and_metadata_say_what_to_feed(exports, tmp_path):
    for layout, shape in (("nhwc", [SIZE, SIZE, 3]), ("nchw", [3, SIZE, SIZE])):
        model = use_uint8_images(exports["linear"], tmp_path / "uint8.onnx", layout)
        proto = onnx.load(model.path)
        (images,) = proto.graph.input
        dims = images.type.tensor_type.shape.dim
        assert images.name == "images"
        assert images.type.tensor_type.elem_type == TensorProto.UINT8
        assert dims[0].dim_param == "batch"
        assert [one.dim_value for one in dims[1:]] == shape
        metadata = {entry.key: entry.value for entry in proto.metadata_props}
        assert f'"images_layout": "{layout}", "images_type": "uint8"' in metadata[METADATA_KEY]
        assert ModelInfo.from_metadata(metadata, model.path).preprocess == INFO.preprocess


def test_grey_images_are_normalised_by_the_average_of_the_three(tmp_path):
    grey = Architecture("convnextv2_atto", 2, (1, 1, 1, 1), (8, 16, 24, 32), 5, in_channels=1)
    model = export(random_state(grey, 0), "linear", tmp_path, grey)
    pixels = PIXELS[..., 0]
    images = np.stack([normalise(one, Preprocess()) for one in pixels])
    after = use_uint8_images(model, tmp_path / "uint8.onnx")
    found = infer(after.path, pixels[..., None])
    assert largest_error(found, infer(model.path, images)) < 1e-6


@pytest.mark.parametrize("layout", ["nhwc", "nchw"])
@pytest.mark.parametrize("name", ["linear", "int8"])
def test_other_stages_take_such_a_graph(exports, tmp_path, name, layout):
    model = use_uint8_images(exports[name], tmp_path / "uint8.onnx", layout)
    pixels = PIXELS if layout == "nhwc" else np.ascontiguousarray(PIXELS.transpose(0, 3, 1, 2))
    expected = infer(exports[name].path, IMAGES)
    older = use_opset_17(model, tmp_path / "17.onnx")
    assert largest_error(infer(older.path, pixels), expected) < 1e-6
    half = halve_body(model, tmp_path / "half.onnx", "float16")
    assert largest_error(infer(half.path, pixels), expected) < 2e-2
    assert onnx.load(half.path).graph.input[0].type.tensor_type.elem_type == TensorProto.UINT8


@needs_rtx
@pytest.mark.parametrize("layout", ["nhwc", "nchw"])
@pytest.mark.parametrize("name", ["linear", *MORE_INT8])
def test_tensorrt_needs_no_further_kernel_for_pixels(exports, tmp_path, name, layout):
    model = use_uint8_images(exports[name], tmp_path / "uint8.onnx", layout)
    pixels, values = (
        build_rtx(halve_body(one, tmp_path / "half.onnx").path) for one in (model, exports[name])
    )
    assert pixels.error is None
    assert len(pixels.kernels) == len(values.kernels)
    assert pixels.int8_kernels == model.quantized_ops
    assert "UInt8" in dtypes(pixels.kernels[0].inputs)


def conv(channels=3, metadata=True):
    build = Builder()
    weight = np.ones((8, channels, 4, 4), np.float32)
    build.node("Conv", ["images", build.constant("w", weight)], "y", strides=[4, 4])
    proto = build.model({"images": [1, channels, 16, 16]}, "y", 4)
    if metadata:
        info = ModelInfo("m", 2, channels, (), Preprocess(16), "w.pth", "ab" * 32, None)
        onnx.helper.set_model_props(proto, info.to_metadata())
    return proto


def convert(tmp_path, proto):
    onnx.save(proto, tmp_path / "graph.onnx")
    model = OnnxModel(tmp_path / "graph.onnx", "fp32", "linear")
    return use_uint8_images(model, tmp_path / "uint8.onnx").path


@pytest.mark.parametrize(
    ("graph", "error", "message"),
    [
        ({"channels": 4}, ExportError, "has 4 channels and its preprocessing 3"),
        ({"metadata": False}, ArtifactError, "no edge-convnext metadata"),
    ],
)
def test_what_cannot_be_fed_pixels_is_refused(tmp_path, graph, error, message):
    with pytest.raises(error, match=message):
        convert(tmp_path, conv(**graph))
    assert [path.name for path in tmp_path.iterdir()] == ["graph.onnx"]


def test_pixels_are_not_made_twice(tmp_path, exports):
    once = use_uint8_images(exports["linear"], tmp_path / "once.onnx")
    with pytest.raises(ExportError, match="images is uint8"):
        use_uint8_images(once, tmp_path / "twice.onnx")


def test_equal_graphs_give_equal_bytes(tmp_path, exports):
    one, other = (
        use_uint8_images(exports["linear"], tmp_path / name).path.read_bytes()
        for name in ("a.onnx", "b.onnx")
    )
    assert one == other
