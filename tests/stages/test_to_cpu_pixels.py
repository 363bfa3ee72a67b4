"""Pixels for a CPU: what goes into the first convolution, and that the logits stay."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto
from support.small_exports import SIZE, export, export_tiny, infer, largest_error
from support.torch_exports import INFO

from edge_convnext.core.artifacts import METADATA_KEY, Preprocess
from edge_convnext.core.errors import ExportError
from edge_convnext.data.preprocess import normalise
from edge_convnext.networks.convnext.build import random_state
from edge_convnext.networks.convnext.sizes import Architecture
from edge_convnext.runtimes import RuntimeOptions
from edge_convnext.runtimes.interface import native_images
from edge_convnext.runtimes.load import load_runtime
from edge_convnext.stages.to_cpu_pixels import use_cpu_pixels

PIXELS = np.random.default_rng(0).integers(0, 256, (4, SIZE, SIZE, 3), dtype=np.uint8)
IMAGES = np.stack([normalise(one, INFO.preprocess) for one in PIXELS])


def kinds(path):
    return [node.op_type for node in onnx.load(path).graph.node]


def constant(path, name):
    (found,) = [one for one in onnx.load(path).graph.initializer if one.name == name]
    return onnx.numpy_helper.to_array(found)


@pytest.fixture(scope="module")
def conv(tmp_path_factory):
    return export_tiny("conv", tmp_path_factory.mktemp("conv"))


@pytest.mark.parametrize("form", ["conv", "conv_uncentred", "linear", "nhwc"])
def test_pixels_give_the_logits_of_normalised_images(tmp_path, form):
    before = export_tiny(form, tmp_path)
    model = use_cpu_pixels(before, tmp_path / "pixels.onnx")
    assert largest_error(infer(model.path, PIXELS), infer(before.path, IMAGES)) < 1e-5


def test_a_first_convolution_scales_and_pixels_keep_whole_numbers(conv, tmp_path):
    model = use_cpu_pixels(conv, tmp_path / "pixels.onnx")
    assert kinds(model.path) == ["Cast", "Sub", "Transpose", *kinds(conv.path)]
    mean = constant(model.path, "images.mean")
    np.testing.assert_array_equal(mean, np.rint(255 * np.array(INFO.preprocess.mean)))
    before, after = (
        onnx.numpy_helper.to_array(
            next(one for one in onnx.load(path).graph.initializer if one.name == name)
        )
        for path, name in ((conv.path, "stem.conv.weight"), (model.path, "stem.conv/Conv.pixels_1"))
    )
    scale = (255 * np.array(INFO.preprocess.std)).reshape(1, -1, 1, 1)
    np.testing.assert_allclose(after * scale, before, rtol=1e-5)
    assert model.path.stat().st_size < conv.path.stat().st_size + 2000  # the old ones are gone


def test_a_first_product_that_is_no_convolution_gets_normalised_images(tmp_path):
    nhwc = export_tiny("nhwc", tmp_path)
    model = use_cpu_pixels(nhwc, tmp_path / "pixels.onnx")
    assert kinds(model.path)[:4] == ["Cast", "Sub", "Mul", "Transpose"]


@pytest.mark.parametrize(("attribute", "value"), [("pads", [0, 1, 0, 0]), ("auto_pad", "VALID")])
def test_a_convolution_that_pads_gets_normalised_images(conv, tmp_path, attribute, value):
    """Zeros are the mean there. What `auto_pad` does is not looked into."""
    proto = onnx.load(conv.path)
    stem = next(node for node in proto.graph.node if node.op_type == "Conv")
    others = [one for one in stem.attribute if one.name not in ("pads", "auto_pad")]
    del stem.attribute[:]
    stem.attribute.extend([*others, onnx.helper.make_attribute(attribute, value)])
    path = tmp_path / "padded.onnx"
    proto.graph.ClearField("value_info")
    onnx.save(proto, path)
    model = use_cpu_pixels(type(conv)(path, "fp32", "conv"), tmp_path / "pixels.onnx")
    assert kinds(model.path)[:4] == ["Cast", "Sub", "Mul", "Transpose"]


def test_input_and_metadata_say_what_to_feed(conv, tmp_path):
    proto = onnx.load(use_cpu_pixels(conv, tmp_path / "pixels.onnx").path)
    (images,) = proto.graph.input
    dims = images.type.tensor_type.shape.dim
    assert images.type.tensor_type.elem_type == TensorProto.UINT8
    assert dims[0].dim_param == "batch"
    assert [one.dim_value for one in dims[1:]] == [SIZE, SIZE, 3]
    metadata = {entry.key: entry.value for entry in proto.metadata_props}
    assert '"images_layout": "nhwc", "images_type": "uint8"' in metadata[METADATA_KEY]


def test_grey_images_are_normalised_by_the_average_of_the_three(tmp_path):
    grey = Architecture("convnextv2_atto", 2, (1, 1, 1, 1), (8, 16, 24, 32), 5, in_channels=1)
    model = export(random_state(grey, 0), "conv", tmp_path, grey)
    pixels = PIXELS[..., 0]
    images = np.stack([normalise(one, Preprocess()) for one in pixels])
    after = use_cpu_pixels(model, tmp_path / "pixels.onnx")
    found = infer(after.path, pixels[..., None])
    assert largest_error(found, infer(model.path, images)) < 1e-5


def test_a_graph_that_takes_pixels_already_is_refused(conv, tmp_path):
    once = use_cpu_pixels(conv, tmp_path / "once.onnx")
    with pytest.raises(ExportError, match=r"once\.onnx: images is uint8"):
        use_cpu_pixels(once, tmp_path / "twice.onnx")


@pytest.mark.parametrize("name", ["onnxruntime", "openvino"])
@pytest.mark.parametrize("batch", [None, 4])
def test_a_runtime_takes_normalised_images_and_what_it_prepared_of_them(
    conv, tmp_path, name, batch
):
    model = use_cpu_pixels(conv, tmp_path / "pixels.onnx")
    runtime = load_runtime(name, model.path, RuntimeOptions(batch=batch))
    expected = infer(conv.path, IMAGES)
    assert largest_error(runtime.infer(IMAGES), expected) < 1e-4
    own = native_images(runtime, IMAGES)
    np.testing.assert_array_equal(own, PIXELS)
    np.testing.assert_array_equal(runtime.infer(own), runtime.infer(IMAGES))
    assert runtime.infer(IMAGES[:3]).shape == (3, 5)
    assert runtime.describe().batch == batch
