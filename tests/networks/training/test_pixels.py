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
