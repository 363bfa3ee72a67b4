"""LiteRT: a Python program for boards, and the assets of an Android app, around one model."""

from __future__ import annotations

import json
import math
import shutil
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_convnext.devices.deploy.programs import to_prepared_program, write_text
from edge_convnext.graph.tflite_file import LABELS

if TYPE_CHECKING:
    from pathlib import Path

    from edge_convnext.devices.deploy.facts import Deployable

__all__ = ["ASSETS", "MODEL", "PREPROCESSING", "write_litert_program"]

ASSETS, MODEL, PREPROCESSING = "assets", "model.tflite", "preprocessing.json"
_README = """\
# {model}, {label}

`assets/` is what an Android app puts into `app/src/main/assets/`; `classify.py` runs the same model
on a board or a desk.

| file | what it is |
|---|---|
| `assets/model.tflite` | the model, for LiteRT (once TensorFlow Lite) |
| `assets/labels.txt` | a class on each line, in the order of the logits |
| `assets/preprocessing.json` | how an image becomes the model's input |
| `classify.py` | the same in Python: `pip install ai-edge-litert numpy pillow`, then \
`python classify.py leaf.jpg` |

The model takes float32[1, {height}, {width}, {channels}], channels last, and gives \
float32[1, {classes}]: logits, the largest is the answer.
{prepare}
A value is `pixel / 255`, less the mean, by the deviation; for each channel that is \
`pixel * scale - shift`:

| channel | scale | shift |
|---|---|---|
{rows}

On Android, open the model with LiteRT's interpreter (`com.google.ai.edge.litert:litert`), leave its
XNNPACK delegate on, and set the number of threads to that of the fast cores. Android's bitmap
scaling is not Pillow's antialiased one: compare some images with `classify.py` before you rely on
it.
"""


def write_litert_program(facts: Deployable, folder: Path) -> None:
    """Write the program, the assets and a README.

    Args:
        facts: LiteRT model of a build that takes images.
        folder: Folder to write to.
    """
    assets = folder / ASSETS
    assets.mkdir()
    shutil.copyfile(facts.path, assets / MODEL)
    classes = facts.info.classes or tuple(map(str, range(facts.info.num_classes)))
    write_text(assets / LABELS, "".join(f"{' '.join(name.split())}\n" for name in classes))
    stated = _preprocessing(facts)
    write_text(assets / PREPROCESSING, f"{json.dumps(stated, indent=1)}\n")
    write_text(folder / "classify.py", to_prepared_program("classify_litert.py", facts))
    write_text(folder / "README.md", _to_readme(facts, stated))


def _preprocessing(facts: Deployable) -> dict[str, Any]:
    """How an image becomes the input, with the two factors of each channel."""
    info, pre = facts.info, facts.info.preprocess
    mean, std = np.array(pre.mean), np.array(pre.std)
    if info.in_channels == 1:  # as `pixels.normalise` does
        mean, std = mean.mean(keepdims=True), std.mean(keepdims=True)
    return {
        **asdict(pre),
        "colour": "grey (ITU-R BT.601)" if info.in_channels == 1 else "RGB",
        "layout": "NHWC",
        "scale": [float(np.float32(one)) for one in 1 / (255 * std)],
        "shift": [float(np.float32(one)) for one in mean / std],
    }


def _to_readme(facts: Deployable, stated: dict[str, Any]) -> str:
    info, pre = facts.info, facts.info.preprocess
    size = f"to {pre.width}x{pre.height} (width x height), which may change its aspect"
    if pre.resize == "shortest":
        low, wide = (math.floor(one / pre.crop_pct) for one in (pre.height, pre.width))
        size = f"to cover {wide}x{low}, and cut {pre.width}x{pre.height} from its centre"
    prepare = (
        f"Turn the image upright as EXIF says, leave alpha out, make it {stated['colour']} of 8 "
        f"bits, resize it with a {pre.interpolation} filter (antialiased) {size}."
    )
    names = ("grey",) if info.in_channels == 1 else ("red", "green", "blue")
    rows = "\n".join(
        f"| {name} | {scale:.9g} | {shift:.9g} |"
        for name, scale, shift in zip(names, stated["scale"], stated["shift"], strict=True)
    )
    return _README.format(
        model=info.model, label=facts.label, height=pre.height, width=pre.width,
        channels=info.in_channels, classes=info.num_classes, prepare=prepare, rows=rows,
    )  # fmt: skip
