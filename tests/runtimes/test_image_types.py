from pathlib import Path

import numpy as np
import pytest

from edge_convnext.core.artifacts import ModelInfo, Preprocess
from edge_convnext.core.errors import ArtifactError, InferenceError
from edge_convnext.data.preprocess import normalise
from edge_convnext.runtimes.image_types import ImageBorder, read_border, to_pixels

PREPROCESS = Preprocess(4, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
INFO = ModelInfo("m", 2, 3, (), PREPROCESS, "w.pth", "0" * 64, None)
PIXELS = np.random.default_rng(0).integers(0, 256, (2, 4, 4, 3), dtype=np.uint8)
IMAGES = np.stack([normalise(one, PREPROCESS) for one in PIXELS])


def border(kind, shape, **facts):
    return read_border(f"tensor({kind})", shape, INFO.to_metadata(**facts), Path("m.onnx"))


@pytest.mark.parametrize(("kind", "dtype"), [("float", np.float32), ("float16", np.float16)])
def test_float_images_are_given_as_the_graph_takes_them(kind, dtype):
    found = border(kind, ("batch", 3, 4, 4))
    assert (found.kind, found.shape) == (np.dtype(dtype).name, (None, 3, 4, 4))
    assert found.adapt(IMAGES).dtype == dtype


def test_pixels_come_out_as_they_were_in_either_layout():
    last = border("uint8", (1, 4, 4, 3), images_layout="nhwc")
    assert (last.shape, last.channels_last) == ((1, 3, 4, 4), True)
    assert np.array_equal(last.adapt(IMAGES), PIXELS)
    first = border("uint8", (1, 3, 4, 4), images_layout="nchw")
    assert (first.shape, first.channels_last) == ((1, 3, 4, 4), False)
    assert np.array_equal(first.adapt(IMAGES), PIXELS.transpose(0, 3, 1, 2))


def test_grey_pixels_are_undone_by_the_mean_of_the_channels():
    grey = PIXELS[..., :1]
    mean, std = np.mean(PREPROCESS.mean), np.mean(PREPROCESS.std)
    images = ((grey / 255 - mean) / std).astype(np.float32).transpose(0, 3, 1, 2)
    assert np.array_equal(to_pixels(images, PREPROCESS, True), grey)


def test_values_outside_of_a_byte_are_clipped():
    loud = np.full((1, 3, 1, 1), 100, np.float32)
    assert to_pixels(loud, PREPROCESS, False).ravel().tolist() == [255, 255, 255]
    assert to_pixels(-loud, PREPROCESS, False).ravel().tolist() == [0, 0, 0]


@pytest.mark.parametrize("shape", [(1, 4, 2, 2), (3, 2, 2)])
def test_what_is_neither_rgb_nor_grey_is_refused(shape):
    with pytest.raises(InferenceError, match="is no batch of images, RGB or grey"):
        to_pixels(np.zeros(shape, np.float32), PREPROCESS, True)


def test_a_graph_of_pixels_has_to_say_how_they_are_normalised():
    with pytest.raises(ArtifactError, match="no edge-convnext metadata"):
        read_border("tensor(uint8)", (1, 4, 4, 3), {}, Path("m.onnx"))


def test_pixels_that_adapt_made_are_held():
    border = ImageBorder("uint8", (None, 3, 4, 5), True, Preprocess())
    images = np.zeros((2, 3, 4, 5), np.float32)
    own = border.adapt(images)
    assert own.shape == (2, 4, 5, 3)
    assert border.holds(own)
    assert not border.holds(images)
    assert not border.holds(own[:, :3])
    assert not border.holds(own.astype(np.int8))
    assert not ImageBorder("float32", (None, 3, 4, 5)).holds(own)
    planar = ImageBorder("uint8", (2, 3, 4, 5), False, Preprocess())
    assert planar.holds(planar.adapt(images))
    assert not planar.holds(planar.adapt(images)[:1])


def test_what_was_made_for_a_float16_graph_is_held_and_other_images_are_not():
    border = read_border("tensor(float16)", (1, 3, 4, 4), {}, Path("g.onnx"))
    made = border.adapt(np.zeros((1, 3, 4, 4), np.float32))
    assert made.dtype == np.float16
    assert border.holds(made)
    assert not border.holds(np.zeros((1, 3, 4, 4), np.float32))
    assert not border.holds(np.zeros((2, 3, 4, 4), np.float16))
    plain = read_border("tensor(float)", (1, 3, 4, 4), {}, Path("g.onnx"))
    assert not plain.holds(np.zeros((1, 3, 4, 4), np.float32))  # `infer` looks at these itself
