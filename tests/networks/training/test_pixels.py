import numpy as np
import torch
from support.training_images import pixels

from edge_convnext.networks.training import pixels as pixels_module
from edge_convnext.networks.training.pixels import MemoryPixels, StreamedPixels, load_pixels


def test_streamed_images_are_those_held_in_memory(monkeypatch):
    images = pixels(count=20)
    order = torch.split(torch.randperm(20, generator=torch.Generator().manual_seed(0)), 3)
    args = (lambda index: images[index].numpy(), 20, 8, torch.device("cpu"), "reading", show)
    held = load_pixels(*args)
    monkeypatch.setattr(pixels_module, "MEMORY_LIMIT_BYTES", 100)
    streamed = load_pixels(*args)
    assert isinstance(held, MemoryPixels)
    assert isinstance(streamed, StreamedPixels)
    for left, right, indices in zip(
        held.batches(order), streamed.batches(order), order, strict=True
    ):
        assert torch.equal(left, images[indices])
        assert torch.equal(left, right)


def show(items, what, total=None):
    return items


def test_a_rectangle_is_kept_with_its_height_first():
    images = np.random.default_rng(0).integers(0, 256, (4, 6, 10, 3), dtype=np.uint8)
    pixels = load_pixels(
        images.__getitem__, 4, (6, 10), torch.device("cpu"), "reading", lambda items, *_: items
    )
    (found,) = pixels.batches([torch.arange(4)])
    assert np.array_equal(found.numpy(), images)
