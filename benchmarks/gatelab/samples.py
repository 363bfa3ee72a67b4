"""Images to evaluate: some of a large set, or made here with a network that knows them."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.gatelab.lab import Settings

if TYPE_CHECKING:
    from torch import Tensor

    from edge_convnext.networks.convnext.sizes import Architecture

__all__ = ["make_samples", "take_images"]

_SIDE = 32  # pixels
_IMAGES = {"train": 24, "val": 400}
_CLASSES = 4
_DRAWN = 5  # times as many images, to choose from
_SIZE = ((1, 1, 1, 1), (8, 16, 24, 32))  # in place of atto: depths, widths
_SUFFIXES = frozenset((".jpeg", ".jpg", ".png"))


def take_images(data: Path, images: int, work: Path) -> Path:
    """The folder itself, or where its `val/` has more images, a CSV of so many of them.

    Of each class as many as of the others, so that they mix as in the whole set.
    """
    found = {
        side: sorted(path for path in (data / side).glob("*/*") if path.suffix.lower() in _SUFFIXES)
        for side in ("train", "val")
    }
    if len(found["val"]) <= images:
        return data
    step = len(found["val"]) / images
    taken = [found["val"][int(index * step)] for index in range(images)]
    path = work / f"images-{images}.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("path", "label", "split"))
        for side, paths in (("train", found["train"]), ("val", taken)):
            writer.writerows((str(one), one.parent.name, side) for one in paths)
    return path


def make_samples(work: Path) -> Settings:
    """Noise, labelled by what a small random network says of it: FP32 is right by construction."""
    import torch

    from edge_convnext.networks.convnext import sizes as architecture

    architecture.SIZES["atto"] = _SIZE  # of this process, and of no other command that builds
    weights, data = work / "weights.pth", work / "images"
    if not weights.is_file():
        state, pixels, labels = _label(architecture.find_architecture("atto", _CLASSES))
        for index, (one, label) in enumerate(zip(pixels, labels, strict=True)):
            side = "train" if index < _IMAGES["train"] else "val"
            folder = data / side / f"class{label}"
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(one).save(folder / f"{index}.png")
        torch.save({"model": state}, weights)
    return Settings(
        str(weights), str(data), _SIDE, threads=1, calibration_images=8, rounds=8, round_ms=2,
        max_drop_pp=6.0, max_latency_ratio=2.0, kept_speedup=0.0, planted_pp=20.0,
        tolerance_pp=8.0, planted_slowdown=5.0, slowdown_tolerance=2.0,
        on_a_busy_machine=True,
    )  # fmt: skip


def _label(
    architecture: Architecture,
) -> tuple[dict[str, Tensor], NDArray[np.uint8], NDArray[np.int64]]:
    """Level the classes of random weights, and keep the images that they are surest of.

    Returns:
        Weights; uint8[n, S, S, 3]; class numbers.
    """
    import torch

    from edge_convnext.core.artifacts import Preprocess
    from edge_convnext.networks.convnext.build import build_form, random_state

    random, count = np.random.default_rng(0), sum(_IMAGES.values())
    # Coarse and strong: of fine noise a network says the same whatever it shows.
    blocks = random.integers(0, 256, (_DRAWN * count, 4, 4, 3), dtype=np.uint8)
    pixels = blocks.repeat(_SIDE // 4, axis=1).repeat(_SIDE // 4, axis=2)
    plain = Preprocess(image_size=_SIDE)
    images = ((pixels / 255.0 - plain.mean) / plain.std).transpose(0, 3, 1, 2)
    state = random_state(architecture, 0)
    with torch.inference_mode():
        network = build_form(state, architecture, "raw")
        logits = network(torch.from_numpy(images.astype(np.float32)))
    spread = logits.std(dim=0)
    state["head.fc.weight"] = state["head.fc.weight"] / spread[:, None]
    state["head.fc.bias"] = (state["head.fc.bias"] - logits.mean(dim=0)) / spread
    leveled = ((logits - logits.mean(dim=0)) / spread).numpy()
    ordered = np.sort(leveled, axis=1)
    surest = np.argsort(ordered[:, -2] - ordered[:, -1])[:count]
    shuffled = random.permutation(surest)
    return state, pixels[shuffled], leveled.argmax(axis=1)[shuffled]
