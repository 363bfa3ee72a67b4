"""Write a deployment into a new folder, whole or not at all."""

from __future__ import annotations

import re
import shutil
import tempfile
from pathlib import Path
from typing import Literal, TypeAlias

from edge_convnext.core.errors import ArtifactError
from edge_convnext.core.files import NO_ROOM, AnyPath
from edge_convnext.data.places import require_outside
from edge_convnext.devices.bundle.manifest import REPORT
from edge_convnext.devices.deploy.deepstream import write_deepstream
from edge_convnext.devices.deploy.facts import (
    Choice,
    Deployable,
    Kind,
    choose_model,
    read_deployable,
    read_tensors,
)
from edge_convnext.devices.deploy.litert import write_litert_program
from edge_convnext.devices.deploy.programs import (
    PREPARE,
    reads_images,
    to_prepare,
    write_program,
    write_text,
)
from edge_convnext.devices.deploy.triton import LABELS, MODEL_FILES, to_config
from edge_convnext.report.contract import Report

__all__ = ["DeployFormat", "choose_for", "write_deployment"]

DeployFormat: TypeAlias = Literal["python", "cpp", "triton", "deepstream", "litert"]

_KINDS: dict[DeployFormat, tuple[Kind, ...]] = {
    "python": ("tensorrt", "tensorrt_rtx"),
    "cpp": ("tensorrt", "tensorrt_rtx"),
    "triton": ("tensorrt", "onnx"),
    "deepstream": ("onnx",),
    "litert": ("litert",),
}


def choose_for(kind: DeployFormat, folder: Path, model: Path | None = None) -> Choice:
    """The file that `write_deployment` takes, and why, as `facts.choose_model` returns it."""
    return choose_model(folder, _KINDS[kind], model, for_gpu=kind == "deepstream")


def write_deployment(
    folder: AnyPath,
    kind: DeployFormat,
    output: AnyPath,
    model: AnyPath | Deployable | None = None,
    *,
    max_batch: int = 8,
    queue_delay_us: int = 100,
) -> tuple[Path, ...]:
    """Write what runs a build without this package.

    Args:
        folder: Folder that `edge-convnext build` wrote.
        kind: Python script or C++ program with TensorRT alone, Triton model repository, what
            DeepStream's nvinfer needs, or a Python script and Android's assets with LiteRT alone.
        output: New or empty folder.
        model: Engine or ONNX file, read or not; None takes what the verdict ships.
        max_batch: Largest batch of a model of Triton's or DeepStream's with a free batch.
        queue_delay_us: Time that Triton waits for a batch to fill, in microseconds.

    Returns:
        The files, relative to `output`.

    Raises:
        ArtifactError: The build has no such model; it is damaged, of another build, or of a kind
            that this format can't use; or the output has files or can't be written.
    """
    folder = Path(folder)
    output = Path(output)
    if (folder / REPORT).is_file():
        require_outside(output, *Report.read(folder / REPORT).data_folders)
    if isinstance(model, Deployable):
        facts = model
    else:
        named = Path(model) if model else choose_for(kind, folder).path
        facts = read_deployable(named, folder)
    _require_usable(facts, kind)
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
            elif kind == "deepstream":
                write_deepstream(facts, made, max_batch)
            elif kind == "litert":
                write_litert_program(facts, made)
            else:
                write_program(facts, made, kind)
            if output.exists():
                output.rmdir()
            made.rename(output)
    except OSError as error:
        room = "free some space, or " if error.errno in NO_ROOM else ""
        raise ArtifactError(
            f"{output}: can't be written ({error.strerror}); {room}choose another --out"
        ) from error
    return tuple(path.relative_to(output) for path in sorted(output.rglob("*")) if path.is_file())


def _require_usable(facts: Deployable, kind: DeployFormat) -> None:
    """Refuse a model of another kind than the format runs, or that takes no images."""
    if kind == "deepstream" and facts.kind != "onnx":
        raise ArtifactError(
            f"{facts.path}: an engine, and deepstream takes a graph, which gets its normalisation; "
            "pass --model with an .onnx file of gpu/"
        )
    if kind == "litert" and facts.kind != kind:
        raise ArtifactError(
            f"{facts.path}: no LiteRT model, which {kind} runs; pass --model with a .tflite file"
        )
    if kind == "triton" and facts.kind == "litert":
        raise ArtifactError(
            f"{facts.path}: Triton runs no LiteRT models; pass --model with an .onnx model"
        )
    if kind != "triton" and facts.kind not in _KINDS[kind]:
        raise ArtifactError(
            f"{facts.path}: not an engine, and {kind} runs engines; pass --model ENGINE"
        )
    if kind != "triton" and not reads_images(facts):
        raise ArtifactError(
            f"{facts.path}: takes {facts.info.in_channels} channels, and {kind} reads image "
            "files (3: RGB, 1: grey); deploy it with --format triton"
        )


def _require_new(output: Path) -> None:
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise ArtifactError(f"{output}: is there already; choose another --out, or remove it")


def _write_triton(
    facts: Deployable, build: Path, folder: Path, max_batch: int, queue_delay_us: int
) -> None:
    name = re.sub(r"[^\w-]+", "_", facts.info.model)  # safe as a folder's name
    labelled = bool(facts.info.classes)
    tensors = read_tensors(facts, build)
    config = to_config(facts, tensors, name, max_batch, queue_delay_us, labelled)
    version = folder / name / "1"
    version.mkdir(parents=True)
    shutil.copyfile(facts.path, version / MODEL_FILES[facts.kind])
    if reads_images(facts):
        write_text(folder / name / PREPARE, to_prepare(facts, tensors[0].dtype))
    write_text(folder / name / "config.pbtxt", config)
    if labelled:
        write_text(
            folder / name / LABELS,
            "".join(f"{' '.join(label.split())}\n" for label in facts.info.classes),
        )
