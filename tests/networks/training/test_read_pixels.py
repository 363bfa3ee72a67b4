import numpy as np
import pytest
import torch
from PIL import Image

from edge_convnext.core.artifacts import Preprocess
from edge_convnext.core.errors import DataError
from edge_convnext.core.progress import untracked
from edge_convnext.data.images import ImageSet, Sample
from edge_convnext.networks.training.read_pixels import read_pixels

CPU = torch.device("cpu")
SQUASH = Preprocess(image_size=32, resize="squash")


@pytest.fixture
def images(tmp_path):
    """Three images of one colour each, of several sizes."""
    samples = []
    for label, (size, colour) in enumerate([((40, 40), 10), ((32, 48), 20), ((64, 32), 30)]):
        path = tmp_path / f"{label}.png"
        Image.new("RGB", size, (colour, 0, 255 - colour)).save(path)
        samples.append(Sample(path, f"{label:064x}", 2 - label))
    return ImageSet(tuple(samples), ("a", "b", "c"))


def test_pixels_are_of_the_size_and_labels_of_the_samples_in_their_order(images):
    shown = []

    def track(items, what, total=None):
        shown.append((what, total))
        return items

    found = read_pixels(images, SQUASH, CPU, "training", track)
    (pixels,) = found.pixels.batches([torch.arange(3)])
    assert (pixels.dtype, tuple(pixels.shape)) == (torch.uint8, (3, 32, 32, 3))
    for one, colour in zip(pixels.numpy(), (10, 20, 30), strict=True):
        assert np.all(one == (colour, 0, 255 - colour))
    assert found.labels.dtype == torch.int64
    assert found.labels.tolist() == [2, 1, 0]
    assert shown == [("reading training images", 3)]


def test_an_image_is_resized_as_the_preprocessing_says(tmp_path):
    left = np.zeros((32, 64, 3), np.uint8)
    left[:, :16] = 255  # a crop of the middle leaves it out
    Image.fromarray(left).save(tmp_path / "wide.png")
    images = ImageSet((Sample(tmp_path / "wide.png", "0" * 64, 0),), ("a",))
    crop = Preprocess(image_size=32, resize="shortest", crop_pct=1.0)
    for preprocess, is_there in ((SQUASH, True), (crop, False)):
        found = read_pixels(images, preprocess, CPU, "training", untracked)
        (pixels,) = found.pixels.batches([torch.arange(1)])
        assert bool((pixels[0, :, 0] > 128).any()) == is_there


@pytest.mark.parametrize("side", ["training", "validation"])
def test_a_side_without_images_or_labels_is_named(images, side):
    unlabelled = Sample(images.samples[0].path, "f" * 64, None)
    for samples in ((), (unlabelled,), (*images.samples, unlabelled)):
        with pytest.raises(DataError) as told:
            read_pixels(ImageSet(samples, images.classes), SQUASH, CPU, side, untracked)
        assert str(told.value) == f"the {side} side has no images, or some without a label"


def test_an_image_that_can_not_be_decoded_is_named(images, tmp_path):
    (tmp_path / "1.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"1\.png"):
        read_pixels(images, SQUASH, CPU, "training", untracked)


def test_an_image_becomes_a_rectangle_as_the_preprocessing_says(images):
    found = read_pixels(images, Preprocess((32, 48)), CPU, "training", untracked)
    (pixels,) = found.pixels.batches([torch.arange(3)])
    assert tuple(pixels.shape) == (3, 32, 48, 3)
