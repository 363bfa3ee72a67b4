"""Light augmentation of a whole batch at once, on the device of the batch.

Crop, flips and rotation are one affine map per image, so each pixel is interpolated once.
The random numbers come from a CPU generator: the same seed draws the same crops on every
device.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from edge_convnext.core.artifacts import Preprocess
from edge_convnext.core.image_size import ImageSize, sides_of
from edge_convnext.core.sections import TrainConfig

__all__ = ["augment", "normalize"]

_LOG_ASPECT = math.log(4 / 3)  # crops are between 3:4 and 4:3
_GREY = (0.299, 0.587, 0.114)  # ITU-R BT.601


def augment(
    pixels: Tensor, image_size: ImageSize, config: TrainConfig, generator: torch.Generator
) -> Tensor:
    """Crop, flip, rotate and jitter the colours of each image by its own random draw.

    Args:
        pixels: uint8[N, H, W, 3], of about the aspect of the result.
        image_size: Size of the result in pixels.
        config: Augmentations and their strength.
        generator: CPU generator; it advances by an amount that depends on N only.

    Returns:
        float32[N, 3, height, width] in 0..1.
    """
    images = pixels.permute(0, 3, 1, 2).float().div_(255.0)
    aspect = pixels.shape[2] / pixels.shape[1]
    maps = _draw_maps(len(pixels), aspect, config, generator).to(pixels.device)  # [N, 2, 3]
    shape = [len(pixels), 3, *sides_of(image_size)]
    grid = functional.affine_grid(maps, shape, align_corners=False)
    images = functional.grid_sample(images, grid, padding_mode="border", align_corners=False)
    draw = torch.rand(len(pixels), 3, generator=generator)
    if config.color_jitter:
        factors = 1.0 + config.color_jitter * (2.0 * draw - 1.0)
        images = _jitter(images, factors.to(pixels.device))
    return images


def normalize(images: Tensor, preprocess: Preprocess) -> Tensor:
    """Subtract the mean, divide by the standard deviation: float32[N, 3, H, W], channels last."""
    mean = images.new_tensor(preprocess.mean).view(1, 3, 1, 1)
    std = images.new_tensor(preprocess.std).view(1, 3, 1, 1)
    return ((images - mean) / std).contiguous(memory_format=torch.channels_last)


def _draw_maps(
    count: int, aspect: float, config: TrainConfig, generator: torch.Generator
) -> Tensor:
    """Affine maps from output to input coordinates in -1..1, float32[count, 2, 3].

    Crops keep the images' own `aspect`, width by height, but for a random stretch.
    """
    area, longer, x, y, angle, hflip, vflip = torch.rand(7, count, generator=generator)
    area = config.min_crop_area + (1.0 - config.min_crop_area) * area
    # A whole image has one aspect only, so the range narrows as the area nears 1.
    reach = (-0.5 * area.log()).clamp(max=0.5 * _LOG_ASPECT)
    stretch = ((2.0 * longer - 1.0) * reach).exp()
    width, height = area.sqrt() * stretch, area.sqrt() / stretch
    shift_x, shift_y = (1.0 - width) * (2.0 * x - 1.0), (1.0 - height) * (2.0 * y - 1.0)
    if config.hflip:
        width = torch.where(hflip < 0.5, -width, width)
    if config.vflip:
        height = torch.where(vflip < 0.5, -height, height)
    turn = math.radians(config.rotate_deg) * (2.0 * angle - 1.0)
    cos, sin = turn.cos(), turn.sin()
    # A turn is one of pixels, and a unit of x is not as long as one of y in a rectangle.
    across, down = -height * sin / aspect, width * sin * aspect
    rows = [[width * cos, across, shift_x], [down, height * cos, shift_y]]
    return torch.stack([torch.stack(row, dim=-1) for row in rows], dim=1)


def _jitter(images: Tensor, factors: Tensor) -> Tensor:
    """Scale brightness, contrast and saturation by `factors`, float32[N, 3]."""
    brightness, contrast, saturation = factors.view(-1, 3, 1, 1, 1).unbind(dim=1)
    weights = images.new_tensor(_GREY).view(1, 3, 1, 1)
    images = images * brightness
    grey = (images * weights).sum(dim=1, keepdim=True)
    images = torch.lerp(grey, images, saturation)
    level = grey.mean(dim=(2, 3), keepdim=True)
    return torch.lerp(level, images, contrast).clamp_(0.0, 1.0)
