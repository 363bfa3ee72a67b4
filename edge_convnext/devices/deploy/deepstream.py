"""DeepStream: the configuration, labels and graph of an nvinfer element that classifies.

nvinfer builds engines itself, but not these: it sets no INT8 without a calibration table, and falls
back to FP16 with a warning (`nvdsinfer_model_builder.cpp`). So TensorRT's own program builds the
engine on the board, and the configuration names that engine and no graph.

Source: DeepStream's page on Gst-nvinfer (properties, `y = net-scale-factor * (x - mean)`), and
`nvdsinfer_context_impl_output_parsing.cpp`: the classifier reads float32, takes the largest of what
exceeds the threshold, and reads all labels of an output from one line, between semicolons.
"""

from __future__ import annotations

from textwrap import wrap
from typing import TYPE_CHECKING

from edge_convnext.core.errors import ArtifactError, ExportError
from edge_convnext.devices.deploy.programs import write_text
from edge_convnext.graph.file import read_opset, read_proto, write_proto
from edge_convnext.stages.to_float_pixels import PIXELS, PROBABILITIES, use_float_pixels

if TYPE_CHECKING:
    from pathlib import Path

    from edge_convnext.core.artifacts import Preprocess
    from edge_convnext.devices.deploy.facts import Deployable

__all__ = ["CONFIG", "tell_scaling", "write_deepstream"]

CONFIG = "config_infer.txt"
_GRAPH, _ENGINE, _LABELS, _BUILD = "model.onnx", "model.engine", "labels.txt", "build_engine.sh"
_FORMATS = {1: 2, 3: 0}  # by channels: GRAY and RGB, as `model-color-format` counts them
_TYPED_OPSET = 18  # from this on graphs are strongly typed; those before are for TensorRT 8


def write_deepstream(facts: Deployable, folder: Path, max_batch: int) -> None:
    """Write the four files into a new folder.

    Args:
        facts: ONNX graph of a build for a GPU, of RGB or grey images.
        folder: Folder to write to.
        max_batch: Largest batch of a graph with a free batch.

    Raises:
        ArtifactError: The graph is none for a GPU, or its images are not those of a build.
    """
    proto = read_proto(facts.path)
    typed = read_opset(proto) >= _TYPED_OPSET
    batch = facts.batch or max_batch
    try:
        use_float_pixels(proto, facts.info, facts.metadata.get("images_layout"))
    except ExportError as error:
        raise ArtifactError(f"{facts.path}: {error}") from error
    write_proto(proto, folder / _GRAPH)
    classes = facts.info.classes or tuple(map(str, range(facts.info.num_classes)))
    names = (" ".join(name.replace(";", ",").split()) for name in classes)
    write_text(folder / _LABELS, f"{';'.join(names)}\n")
    write_text(folder / CONFIG, _to_config(facts, batch))
    write_text(folder / _BUILD, _to_script(facts, batch, typed=typed))
    (folder / _BUILD).chmod(0o755)


def tell_scaling(preprocess: Preprocess) -> str:
    """What nvinfer does otherwise than the evaluation did; empty where it does the same."""
    told: list[str] = [] if preprocess.interpolation == "bilinear" else [preprocess.interpolation]
    if preprocess.resize == "shortest":
        told.append("cut from the centre")
    how = f", {' and '.join(told)}" if told else ""
    return (
        f"nvinfer scales the whole frame to {preprocess.width}x{preprocess.height}, bilinear and "
        f"without antialiasing; the accuracy of the report is of images that Pillow scaled{how}. "
        "Evaluate on frames of your pipeline before you rely on it."
    )


def _to_config(facts: Deployable, batch: int) -> str:
    preprocess, channels = facts.info.preprocess, facts.info.in_channels
    lines = {
        "gpu-id": 0,
        "gie-unique-id": 1,
        "process-mode": 1,  # whole frames
        "network-type": 1,  # a classifier
        "model-engine-file": _ENGINE,
        "labelfile-path": _LABELS,
        "batch-size": batch,
        "infer-dims": f"{channels};{preprocess.height};{preprocess.width}",
        "network-input-order": 0,  # NCHW
        "model-color-format": _FORMATS[channels],
        # The graph normalises: y = net-scale-factor * (x - mean) has one factor for all channels.
        "net-scale-factor": 1.0,
        "maintain-aspect-ratio": 0,
        "scaling-filter": 1,  # bilinear
        "output-blob-names": PROBABILITIES,
        "classifier-threshold": 0.0,  # the default, 0.51, drops what the model is less sure of
    }
    comment = "\n".join(f"# {one}" for one in wrap(tell_scaling(preprocess), 96))
    body = "\n".join(f"{key}={value}" for key, value in lines.items())
    head = f"# {facts.info.model}, {facts.label}. Run ./{_BUILD} on the board first."
    return f"{head}\n{comment}\n[property]\n{body}\n"


def _to_script(facts: Deployable, batch: int, *, typed: bool) -> str:
    channels, preprocess = facts.info.in_channels, facts.info.preprocess
    sizes = f"{channels}x{preprocess.height}x{preprocess.width}"
    flags = ["--onnx=" + _GRAPH, "--saveEngine=" + _ENGINE]
    if typed:
        flags.append("--stronglyTyped")
    elif facts.precision != "fp32":
        flags += ["--fp16", *(["--int8"] if facts.precision == "int8" else [])]
    if facts.batch is None:
        shapes = {"min": 1, "opt": batch, "max": batch}
        flags += [f"--{one}Shapes={PIXELS}:{number}x{sizes}" for one, number in shapes.items()]
    needed = "10 or later" if typed else "8.6"
    lines = " \\\n    ".join(flags)
    return (
        "#!/bin/sh\n"
        f"# Builds {_ENGINE} for the GPU of this board, with TensorRT {needed}.\n"
        "set -eu\n"
        'cd "$(dirname "$0")"\n'
        "PATH=$PATH:/usr/src/tensorrt/bin\n"
        f"trtexec {lines}\n"
    )
