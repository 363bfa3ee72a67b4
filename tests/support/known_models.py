"""A tiny network that tells drawn images apart by their colour, and the images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

SIZE = 32
COLOURS = ((200, 40, 40), (40, 200, 40), (40, 40, 200), (200, 200, 40))


def draw_images(root: Path, counts: Mapping[str, tuple[int, int]]) -> Path:
    """{"train/cat": (2, 0)} writes two images of the first colour, no two alike."""
    random = np.random.default_rng(len(str(root.name)))
    for name, (count, colour) in counts.items():
        (root / name).mkdir(parents=True)
        for index in range(count):
            noise = random.integers(-20, 21, (40, 40, 3))
            pixels = np.clip(np.array(COLOURS[colour]) + noise, 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(root / name / f"{index}.png")
    return root


def write_colour_model(
    path: Path,
    colours: Sequence[int],
    extra: Mapping[str, object] | None = None,
    **preprocess: object,
) -> Path:
    """Weights whose logit i is largest for images of `colours[i]`; right on every such image.

    The body is random and the head is fitted: each class gets the mean of its features.
    """
    import torch

    from edge_convnext.core.artifacts import Preprocess
    from edge_convnext.data.preprocess import normalise
    from edge_convnext.networks.convnext.build import random_state
    from edge_convnext.networks.convnext.modules import ConvNeXt
    from edge_convnext.networks.convnext.sizes import find_architecture
    from support.dialects import speak

    architecture = find_architecture("atto", len(colours))
    state = random_state(architecture, 0)
    network = ConvNeXt(architecture).eval()
    network.load_state_dict(state)
    settings = Preprocess(image_size=SIZE, **preprocess)
    random = np.random.default_rng(0)
    means = []
    seen: list[torch.Tensor] = []
    network.head.fc.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    for colour in colours:
        noise = random.integers(-20, 21, (16, SIZE, SIZE, 3))
        pixels = np.clip(np.array(COLOURS[colour]) + noise, 0, 255).astype(np.uint8)
        batch = np.stack([normalise(one, settings) for one in pixels])
        with torch.no_grad():
            network(torch.from_numpy(batch))
        means.append(seen.pop().mean(0))
    centres = torch.stack(means) - torch.stack(means).mean(0)
    middle = torch.stack(means).mean(0)
    state["head.fc.weight"] = 4 * centres
    state["head.fc.bias"] = -4 * centres @ middle - 2 * centres.square().sum(1)
    torch.save({"model": speak(state, "reference", architecture.version), **(extra or {})}, path)
    return path
