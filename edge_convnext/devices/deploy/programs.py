"""Programs for the user, from `templates/`, with the facts of the model and the code of pixels.

That code is the whole of `data/pixels.py`, so there is no second implementation that could differ.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from pprint import pformat
from typing import TYPE_CHECKING, Literal

import numpy as np

from edge_convnext.data import pixels
from edge_convnext.runtimes.tensorrt.rtx_builder import sidecar_path

if TYPE_CHECKING:
    from edge_convnext.core.artifacts import ModelInfo
    from edge_convnext.devices.deploy.facts import Deployable

__all__ = [
    "PREPARE", "reads_images", "to_prepare", "to_prepared_program", "write_program", "write_text",
]  # fmt: skip

PREPARE = "prepare.py"
_TEMPLATES = Path(__file__).with_name("templates")
_ENGINE = "model.engine"
_IMPORT = (
    "from edge_convnext.data.pixels import read_image  # `deploy` puts the text of that file here\n"
)
_MODEL = "MODEL = {}  # `deploy` puts the model's own here\n"
_FUTURE = "from __future__ import annotations\n"


def reads_images(facts: Deployable) -> bool:
    """Whether a model takes image files, which are RGB or grey."""
    return facts.info.in_channels in (1, 3)


def to_prepare(facts: Deployable, images_type: str) -> str:
    """Make the program that writes a model's input from an image.

    Args:
        facts: Facts about the model.
        images_type: Type of its input: "float32", "float16" or "uint8".
    """
    return to_prepared_program(PREPARE, facts, images_type)


def to_prepared_program(name: str, facts: Deployable, images_type: str = "float32") -> str:
    """A Python template with the code of the pixels and what it needs to know of the model."""
    fields = {
        "in_channels": facts.info.in_channels,
        "preprocess": asdict(facts.info.preprocess),
        "images_type": images_type,
        "images_layout": facts.metadata.get("images_layout"),
    }
    model = f"MODEL = {pformat(fields, width=88)}\n"
    return _with_pixels(name).replace(_MODEL, model)


def write_program(facts: Deployable, folder: Path, kind: Literal["python", "cpp"]) -> None:
    """Write an engine with its JSON file, and the program that runs it.

    Args:
        facts: Facts about an engine that takes images.
        folder: Folder to write to.
        kind: Language of the program.
    """
    shutil.copyfile(facts.path, folder / _ENGINE)
    shutil.copyfile(sidecar_path(facts.path), sidecar_path(folder / _ENGINE))
    if kind == "python":
        write_text(folder / "classify.py", _with_pixels("classify.py"))
        return
    shutil.copyfile(_TEMPLATES / "classify.cpp", folder / "classify.cpp")
    library = "tensorrt_rtx" if facts.kind == "tensorrt_rtx" else "nvinfer"
    cmake = (_TEMPLATES / "CMakeLists.txt").read_text(encoding="utf-8")
    write_text(folder / "CMakeLists.txt", cmake.replace("@LIBRARY@", library))
    write_text(folder / "model.h", _to_header(facts))
    write_text(folder / PREPARE, to_prepare(facts, "float32"))


def _with_pixels(name: str) -> str:
    """A Python template with the code of the pixels in the place of its import."""
    code = Path(pixels.__file__).read_text(encoding="utf-8").partition(_FUTURE)[2].strip("\n")
    template = (_TEMPLATES / name).read_text(encoding="utf-8")
    return template.replace(_IMPORT, f"{code}\n")


def _to_header(facts: Deployable) -> str:
    """The constants that classify.cpp needs."""
    info, pre = facts.info, facts.info.preprocess
    mean, std = pre.mean, pre.std
    if info.in_channels == 1:  # as `pixels.normalise` does
        mean, std = (float(np.mean(mean)),) * 3, (float(np.mean(std)),) * 3
    scale, shift = 1 / (255 * np.array(std)), np.array(mean) / np.array(std)
    classes = info.classes or tuple(str(index) for index in range(info.num_classes))
    labels = ",\n    ".join(_quote(name) for name in classes)
    return (
        f"// {info.model}: what classify.cpp has to know, and how its image is made:\n"
        f"//\n//     python {PREPARE} leaf.jpg leaf.ppm\n//\n"
        f"{_recipe(info)}"
        "#pragma once\n\n"
        "namespace model {\n"
        f"constexpr int kHeight = {pre.height};\n"
        f"constexpr int kWidth = {pre.width};\n"
        f"constexpr int kChannels = {info.in_channels};\n"
        f"constexpr int kClasses = {len(classes)};\n"
        f"constexpr bool kInterleaved = {_bool(facts.metadata.get('images_layout') == 'nhwc')};\n"
        f"constexpr bool kVersionCompatible = {_bool(facts.version_compatible)};\n"
        "// A value is pixel * kScale - kShift: pixel / 255 less the mean, by the deviation.\n"
        f"constexpr float kScale[] = {{{_floats(scale)}}};\n"
        f"constexpr float kShift[] = {{{_floats(shift)}}};\n"
        f"constexpr char const* kLabels[] = {{\n    {labels},\n}};\n"
        "}  // namespace model\n"
    )


def _recipe(info: ModelInfo) -> str:
    """What that command does, for a user who writes it anew."""
    pre = info.preprocess
    colour = "grey (ITU-R BT.601)" if info.in_channels == 1 else "RGB"
    target = _name_size((pre.height, pre.width))
    size = f"to {target}, which may change its aspect"
    if pre.resize == "shortest":
        floors = math.floor(pre.height / pre.crop_pct), math.floor(pre.width / pre.crop_pct)
        short = floors[0] == floors[1]
        cover = f"its short side to {floors[0]}" if short else f"to cover {_name_size(floors)}"
        size = f"{cover}, and cut {target} from its centre"
    return (
        f"// turn it upright as EXIF says, leave alpha out, make it {colour} of 8 bits, resize it\n"
        f"// with Pillow's {pre.interpolation} filter (antialiased), {size}.\n"
    )


def _name_size(sides: tuple[int, int]) -> str:
    """A size in words that can't be turned round."""
    height, width = sides
    return f"{width}x{height}" if width == height else f"height {height} and width {width}"


def _floats(values: Iterable[float]) -> str:
    """Floats as C++ writes them, exact to the bit."""
    texts = (format(float(np.float32(value)), ".9g") for value in values)
    return ", ".join(f"{one if {'.', 'e'} & set(one) else one + '.0'}F" for one in texts)


def _bool(value: bool) -> str:
    return "true" if value else "false"


def _quote(text: str) -> str:
    """A C++ string; bytes that are not plain ASCII become octal escapes of fixed length."""
    plain = set(range(32, 127)) - set(b'"\\?')
    return '"' + "".join(chr(b) if b in plain else f"\\{b:03o}" for b in text.encode("utf-8")) + '"'


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 with the same line ends on every system."""
    path.write_text(text, encoding="utf-8", newline="\n")
