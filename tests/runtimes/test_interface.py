import numpy as np
import pytest

from edge_convnext.core.errors import ArtifactError, InferenceError
from edge_convnext.runtimes.interface import (
    RuntimeOptions,
    as_logits,
    check_settings,
    infer_in_pieces,
    native_images,
    one_line,
    require_file,
)

IMAGES = np.arange(5 * 3, dtype=np.float32).reshape(5, 3, 1, 1)


def test_the_batch_is_fixed_unless_a_setting_leaves_it_dynamic():
    assert RuntimeOptions(batch=4).static_batch == 4
    options = RuntimeOptions(batch=4, settings=(("batch", "dynamic"), ("a", "1")))
    assert options.static_batch is None
    assert options.native_settings == {"a": "1"}
    assert check_settings(options, frozenset(("a", "b")), "ort") == {"a": "1"}


def test_a_setting_that_is_not_passed_on_is_refused():
    options = RuntimeOptions(settings=(("cache_dir", "/"),))
    with pytest.raises(InferenceError, match=r"ort: 'cache_dir' is not one .* \(a, b\)"):
        check_settings(options, frozenset(("b", "a")), "ort")


def run_of(batches):
    def run(images):
        batches.append(len(images))
        return images.reshape(len(images), 3).copy()

    return run


@pytest.mark.parametrize(
    ("batch", "runs"), [(None, [5]), (5, [5]), (2, [2, 2, 2]), (8, [8]), (1, [1] * 5)]
)
def test_images_run_in_pieces_and_what_fills_them_up_is_dropped(batch, runs):
    seen = []
    found = infer_in_pieces(run_of(seen), IMAGES, (batch, 3, 1, 1), "g.onnx")
    assert seen == runs
    assert np.array_equal(found, IMAGES.reshape(5, 3))


@pytest.mark.parametrize(
    "images", [IMAGES.astype(np.float64), IMAGES[:0], IMAGES[:, :2], IMAGES[0], IMAGES[..., 0]]
)
def test_images_that_do_not_fit_are_refused(images):
    with pytest.raises(InferenceError, match=r"g takes float32\[N, 3, any, 1\], not"):
        infer_in_pieces(run_of([]), images, (None, 3, None, 1), "g")


def test_logits_are_float32_of_each_image():
    assert as_logits([[1, 2]], 1, "g").dtype == np.float32
    for output in ([1, 2], [[1, 2]], [[[1]], [[2]]]):
        with pytest.raises(InferenceError, match="gave an output of shape"):
            as_logits(output, 2, "g")


def test_a_native_message_is_one_line_without_its_source():
    error = RuntimeError("Exception from src/x.cpp:12:\nbad   graph\n")
    assert one_line(error) == "bad graph"
    assert len(one_line(RuntimeError("x" * 1000))) < 400


def test_a_file_is_there_or_named(tmp_path):
    (tmp_path / "m.onnx").touch()
    assert require_file(tmp_path / "m.onnx") == tmp_path / "m.onnx"
    with pytest.raises(ArtifactError, match=r"none\.onnx: no such file; pass a model"):
        require_file(tmp_path / "none.onnx")


def test_a_timing_passes_what_a_runtime_takes_without_converting():
    class OfPixels:
        def prepare(self, images):
            return images.astype(np.uint8)

    images = np.ones((1, 3, 2, 2), np.float32)
    assert native_images(object(), images) is images
    assert native_images(OfPixels(), images).dtype == np.uint8
