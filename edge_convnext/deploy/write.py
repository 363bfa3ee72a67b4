"""Write a deployment into a new folder, whole or not at all."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, TypeAlias

from edge_convnext.deploy.facts import (
    Choice,
    Deployable,
    Kind,
    choose_model,
    read_deployable,
    read_tensors,
)
from edge_convnext.deploy.triton import LABELS, MODEL_FILES, to_config
from edge_convnext.engine import sidecar_path
from edge_convnext.errors import ArtifactError

__all__ = ["DeployFormat", "choose_for", "write_deployment"]

DeployFormat: TypeAlias = Literal["python", "cpp", "triton"]

_TEMPLATES = Path(__file__).with_name("templates")
_KINDS: dict[DeployFormat, tuple[Kind, ...]] = {
    "python": ("tensorrt", "tensorrt_rtx"),
    "cpp": ("tensorrt", "tensorrt_rtx"),
    "triton": ("tensorrt", "onnx"),
}
_ENGINE = "model.engine"


def choose_for(kind: DeployFormat, folder: Path, model: Path | None = None) -> Choice:
    """The file that `write_deployment` takes, and why; see `facts.choose_model`."""
    return choose_model(folder, _KINDS[kind], model)


def write_deployment(
    folder: Path,
    kind: DeployFormat,
    output: Path,
    model: Path | Deployable | None = None,
    *,
    max_batch: int = 8,
    queue_delay_us: int = 100,
) -> tuple[Path, ...]:
    """Write what runs a build without this package.

    Args:
        folder: What `edge-convnext build` wrote.
        kind: A Python script or a C++ program with TensorRT alone, or a Triton model repository.
        output: A folder that is not there yet, or empty.
        model: The engine or ONNX file, read or not; None takes what the verdict ships.
        max_batch: Of a Triton model with a free batch.
        queue_delay_us: How long Triton waits for a batch to fill, in microseconds.

    Returns:
        The files, relative to `output`.

    Raises:
        ArtifactError: No such model in the build, one that is damaged, of another build or that
            this format can't use, or an output that has files or can't be written.
    """
    if isinstance(model, Deployable):
        facts = model
    else:
        facts = read_deployable(model or choose_for(kind, folder).path, folder)
    if kind != "triton" and facts.kind not in _KINDS[kind]:
        raise ArtifactError(
            f"{facts.path}: not an engine, and {kind} runs engines; pass --model ENGINE"
        )
    _require_new(output)
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(
            prefix=f".{output.name}.", dir=output.parent, ignore_cleanup_errors=True
        ) as scratch:
            made = Path(scratch) / "made"
            made.mkdir()
            if kind == "triton":
                _write_triton(facts, folder, made, max_batch, queue_delay_us)
            else:
                _write_program(facts, made, kind)
            if output.exists():
                output.rmdir()
            made.rename(output)
    except OSError as error:
        raise ArtifactError(f"{output}: can't be written ({error.strerror})") from error
    return tuple(path.relative_to(output) for path in sorted(output.rglob("*")) if path.is_file())


def _require_new(output: Path) -> None:
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise ArtifactError(f"{output}: is there already; choose another --out, or remove it")


def _write_triton(
    facts: Deployable, build: Path, folder: Path, max_batch: int, queue_delay_us: int
) -> None:
    name = re.sub(r"[^\w-]+", "_", facts.info.model)  # a folder's name, and only that
    labelled = bool(facts.info.classes)
    tensors = read_tensors(facts, build)
    config = to_config(facts, tensors, name, max_batch, queue_delay_us, labelled)
    version = folder / name / "1"
    version.mkdir(parents=True)
    shutil.copyfile(facts.path, version / MODEL_FILES[facts.kind])
    _write(folder / name / "config.pbtxt", config)
    if labelled:
        _write(
            folder / name / LABELS,
            "".join(f"{' '.join(label.split())}\n" for label in facts.info.classes),
        )


def _write_program(facts: Deployable, folder: Path, kind: Literal["python", "cpp"]) -> None:
    shutil.copyfile(facts.path, folder / _ENGINE)
    shutil.copyfile(sidecar_path(facts.path), sidecar_path(folder / _ENGINE))
    if kind == "python":
        shutil.copyfile(_TEMPLATES / "classify.py", folder / "classify.py")
        return
    shutil.copyfile(_TEMPLATES / "classify.cpp", folder / "classify.cpp")
    library = "tensorrt_rtx" if facts.kind == "tensorrt_rtx" else "nvinfer"
    cmake = (_TEMPLATES / "CMakeLists.txt").read_text(encoding="utf-8")
    _write(folder / "CMakeLists.txt", cmake.replace("@LIBRARY@", library))
    _write(folder / "model.h", _to_header(facts))


def _to_header(facts: Deployable) -> str:
    """The constants that classify.cpp needs."""
    info, pre = facts.info, facts.info.preprocess
    mean, std = pre.mean, pre.std
    if info.in_channels == 1:  # luma is normalised by the averages
        mean, std = (sum(mean) / 3,) * 3, (sum(std) / 3,) * 3
    classes = info.classes or tuple(str(index) for index in range(info.num_classes))
    labels = ",\n    ".join(_quote(name) for name in classes)
    return (
        f"// {info.model}: what classify.cpp has to know. Images are resized by the caller, "
        f"{pre.interpolation}.\n"
        "#pragma once\n\n"
        "namespace model {\n"
        f"constexpr int kImageSize = {pre.image_size};\n"
        f"constexpr int kChannels = {info.in_channels};\n"
        f"constexpr int kClasses = {len(classes)};\n"
        f"constexpr bool kInterleaved = {_bool(facts.metadata.get('images_layout') == 'nhwc')};\n"
        f"constexpr bool kVersionCompatible = {_bool(facts.version_compatible)};\n"
        f"constexpr float kMean[] = {{{_floats(mean)}}};\n"
        f"constexpr float kStd[] = {{{_floats(std)}}};\n"
        f"constexpr char const* kLabels[] = {{\n    {labels},\n}};\n"
        "}  // namespace model\n"
    )


def _floats(values: Sequence[float]) -> str:
    return ", ".join(f"{float(value)!r}F" for value in values)


def _bool(value: bool) -> str:
    return "true" if value else "false"


def _quote(text: str) -> str:
    """A C++ string; other bytes than plain ASCII become octal escapes, which end by themselves."""
    plain = set(range(32, 127)) - set(b'"\\?')
    return '"' + "".join(chr(b) if b in plain else f"\\{b:03o}" for b in text.encode("utf-8")) + '"'


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="\n")
