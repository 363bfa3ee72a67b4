import math

import numpy as np
import pytest
import torch
from support.training_images import LIVELY, PLAIN, pixels

from edge_convnext.core.artifacts import Preprocess
from edge_convnext.networks.training.augment import augment, normalize


def draw(images, config, size=8, seed=0):
    return augment(images, size, config, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("size", [8, 12])
def test_augmentation_keeps_shape_dtype_and_range(size):
    config = LIVELY.model_copy(update={"vflip": True, "color_jitter": 0.9})
    images = draw(pixels(), config, size)
    assert images.shape == (4, 3, size, size)
    assert images.dtype == torch.float32
    assert images.min() >= 0
    assert images.max() <= 1
    assert images.isfinite().all()


def test_augmentation_is_decided_by_its_seed():
    assert torch.equal(draw(pixels(), LIVELY, seed=1), draw(pixels(), LIVELY, seed=1))
    assert not torch.equal(draw(pixels(), LIVELY, seed=1), draw(pixels(), LIVELY, seed=2))


def test_augmentation_that_is_switched_off_changes_no_pixel():
    images = pixels()
    expected = images.permute(0, 3, 1, 2) / 255
    assert torch.allclose(draw(images, PLAIN), expected, atol=1e-5)


@pytest.mark.parametrize(("flip", "axis"), [("hflip", 3), ("vflip", 2)])
def test_a_flip_mirrors_about_half_of_the_images(flip, axis):
    images = pixels(count=64)
    flipped = draw(images, PLAIN.model_copy(update={flip: True}))
    plain = images.permute(0, 3, 1, 2) / 255
    same = (flipped - plain).abs().amax(dim=(1, 2, 3)) < 1e-4
    mirrored = (flipped - plain.flip(axis)).abs().amax(dim=(1, 2, 3)) < 1e-4
    assert (same ^ mirrored).all()
    assert 16 < int(mirrored.sum()) < 48


def test_a_crop_is_a_part_of_the_image_and_never_looks_outside():
    ramp = torch.arange(64, dtype=torch.uint8).view(1, 1, 64, 1).expand(50, 64, 64, 3)
    images = draw(ramp, PLAIN.model_copy(update={"min_crop_area": 0.3}), size=64)[:, 0] * 255
    left, right = images[:, :, 0], images[:, :, -1]
    assert torch.allclose(left, left[:, :1].expand_as(left), atol=1e-3)  # not rotated
    share = (right - left)[:, 0] / 63
    assert share.max() <= 1 + 1e-4
    assert share.min() > 0.4
    assert share.std() > 0.05


def test_a_turn_keeps_lengths_and_the_centre():
    disc = torch.zeros(20, 65, 65, 3, dtype=torch.uint8)
    y, x = torch.meshgrid(torch.arange(65) - 32, torch.arange(65) - 32, indexing="ij")
    disc[:, x**2 + y**2 < 400] = 200
    turned = draw(disc, PLAIN.model_copy(update={"rotate_deg": 180.0}), size=65)
    assert (turned.sum(dim=(1, 2, 3)) * 255 / disc[0].sum()).sub(1).abs().max() < 0.02
    hand = torch.zeros(20, 65, 65, 3, dtype=torch.uint8)
    hand[:, 31:34, 50:] = 255
    turned = draw(hand, PLAIN.model_copy(update={"rotate_deg": 180.0}), size=65)[:, 0]
    tips = {divmod(int(place), 65) for place in turned.flatten(1).argmax(dim=1)}
    assert len(tips) > 10
    assert all(17 < math.hypot(row - 32, column - 32) < 46 for row, column in tips)


def test_colour_jitter_leaves_grey_images_grey():
    grey = pixels()[..., :1].expand(-1, -1, -1, 3)
    images = draw(grey, PLAIN.model_copy(update={"color_jitter": 0.5}))
    assert torch.allclose(images[:, 0], images[:, 2], atol=1e-6)
    assert not torch.allclose(images[:, 0], grey[..., 0] / 255, atol=1e-2)


def test_normalised_images_are_what_evaluation_feeds():
    images = pixels().permute(0, 3, 1, 2) / 255
    normal = normalize(images, Preprocess())
    mean, std = (np.reshape(v, (3, 1, 1)) for v in (Preprocess.mean, Preprocess.std))
    assert normal.is_contiguous(memory_format=torch.channels_last)
    assert np.allclose(normal.numpy(), (images.numpy() - mean) / std, atol=1e-5)


def test_a_rectangle_keeps_its_pixels_where_nothing_is_changed():
    images = torch.randint(0, 256, (3, 8, 12, 3), dtype=torch.uint8)
    found = draw(images, PLAIN, (8, 12))
    assert torch.allclose(found, images.permute(0, 3, 1, 2) / 255, atol=1e-5)


def test_a_turn_in_a_rectangle_shears_nothing():
    y, x = torch.meshgrid(torch.arange(65) - 32, torch.arange(129) - 64, indexing="ij")
    disc = torch.zeros(20, 65, 129, 3, dtype=torch.uint8)
    disc[:, x**2 + y**2 < 400] = 200
    turned = draw(disc, PLAIN.model_copy(update={"rotate_deg": 180.0}), (65, 129))[:, 0]
    assert turned.shape == (20, 65, 129)
    assert (turned - disc[..., 0] / 255).abs().mean() < 0.005  # a turned disc is that disc
