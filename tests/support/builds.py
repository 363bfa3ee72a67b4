"""What the tests of whole builds share: images, a checkpoint, the command as a user runs it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

MAIN = "from edge_convnext.cli import main; main()"


def write_images(root: Path, counts: Mapping[str, int]) -> Path:
    """Noise that no two images share: {"train/cat": 2} makes train/cat/{0,1}.png."""
    random = np.random.default_rng(0)
    for name, count in counts.items():
        (root / name).mkdir(parents=True)
        for index in range(count):
            pixels = random.integers(0, 256, (40, 48, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(root / name / f"{index}.png")
    return root


def write_checkpoint(
    path: Path, num_classes: int, in_channels: int = 3, model: str = "atto"
) -> Path:
    """Random weights under the names of facebookresearch/ConvNeXt-V2."""
    import torch

    from edge_convnext.networks.convnext.build import random_state
    from edge_convnext.networks.convnext.sizes import find_architecture
    from support.dialects import speak

    architecture = find_architecture(model, num_classes, in_channels)
    state = speak(random_state(architecture, 0), "reference", architecture.version)
    torch.save({"model": state, "epoch": 3}, path)
    return path


def environment(cache: Path) -> dict[str, str]:
    return {**os.environ, "EDGE_CONVNEXT_CACHE": str(cache)}


def run_command(*arguments: object, cwd: Path, cache: Path) -> subprocess.CompletedProcess[str]:
    """Run `edge-convnext` in a process of its own, with a cache of its own."""
    return subprocess.run(
        [sys.executable, "-c", MAIN, *map(str, arguments)],
        cwd=cwd,
        env=environment(cache),
        capture_output=True,
        text=True,
        check=False,
    )


def scratch(cache: Path) -> list[Path]:
    """Work in progress, or left behind."""
    return list((cache / "scratch").glob("*"))


def quick_fields(folder, model):
    """Fields of a recipe for a build in seconds, of weights and images in a folder."""
    return {
        "model": model,
        "load": {"weights": str(folder / "weights.pth")},
        "data": {"source": str(folder / "images")},
        "preprocess": {"image_size": 32},
        "quantize": {"subset_size": 6},
        "evaluate": {"allow_bad_model": True, "max_drop_pp": 100.0},
        "benchmark": {"batches": [1], "rounds": 1, "min_round_ms": 1, "warmup": 1},
        "targets": ["cpu"],
    }
