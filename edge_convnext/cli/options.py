"""Flags that override a field of the recipe: each is declared once, in `FLAGS`.

A command names the fields it takes: `stated: Annotated[Overrides, flags("load.weights", …)]`.
A field's row gives the option that typer reads, the override of the recipe, and the flag's name in
messages about its value. A new field needs one row, and a place in a command.

Choices and limits are stated both here and in the recipe, because importing pydantic would slow
`--help`; a test compares them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from edge_convnext.cli.completion import (
    complete_model,
    complete_recipe,
    complete_runtime,
    complete_words,
)
from edge_convnext.cli.flags import Flag, FlagGroup
from edge_convnext.cli.habits import PRECISION_METAVAR, read_precision
from edge_convnext.cli.measure_rows import MEASURE_ROWS
from edge_convnext.cli.panels import (
    BATCH,
    CHAIN,
    DATA,
    GPU,
    MEASURE,
    MODEL,
    PREPARED,
    QUANTIZATION,
)
from edge_convnext.cli.quantize_rows import QUANTIZE_ROWS
from edge_convnext.cli.values import (
    PRECISIONS,
    Precision,
    as_batch,
    as_source,
    as_text,
    as_three_numbers,
    check_image_size,
    check_runtime,
    one_of,
)

if TYPE_CHECKING:
    from edge_convnext.core.recipe import Recipe

__all__ = [
    "BATCH",
    "CHAIN",
    "DATA",
    "FLAGS",
    "GPU",
    "MEASURE",
    "MODEL",
    "PREPARED",
    "PREPROCESS",
    "QUANTIZATION",
    "ModelArgument",
    "RecipeOption",
    "RuntimeOption",
    "ThreadsOption",
    "flags",
    "resolve",
]

_TARGETS = ("cpu", "arm-cpu", "rtx", "tensorrt")
_SIZE_HELP = "Image size in pixels: one number for a square, or the height and the width, as 64,96."

_ROWS = (
    *QUANTIZE_ROWS,
    Flag(
        "model", "--model", str,
        "Network: a size of ConvNeXt V2 (atto, femto, …), a name that `models` lists, timm:NAME, "
        "hf:FOLDER, hf:OWNER/NAME, or module:pkg.file:fn, your function that returns a "
        "torch.nn.Module; its code runs. Default: what the recipe or the weights state, or atto.",
        MODEL, complete=complete_model,
    ),
    Flag(
        "load.weights", "--weights", str,
        "Checkpoint: a file or a folder; or an ONNX file of your own, without --model. in1k: "
        "ImageNet weights. timm: those of a timm:NAME. hf:…: of a folder or of the hub. random: "
        "untrained weights, to measure speed only.", MODEL,
    ),
    Flag(
        "precision", "--precision", Precision, "Precision to build.", MODEL,
        metavar=PRECISION_METAVAR, parser=read_precision, complete=complete_words(*PRECISIONS),
    ),
    Flag(
        "preprocess.image_size", "--image-size", str, _SIZE_HELP, PREPARED,
        metavar="N|HEIGHT,WIDTH", aliases=("--imgsz",),
        callback=check_image_size,
    ),
    Flag(
        "preprocess.resize", "--resize", Literal["squash", "shortest"],
        "How images are resized. squash: to the size, whatever their aspect. shortest: by the "
        "short side, then a centre crop.", PREPARED,
    ),
    Flag(
        "preprocess.crop_pct", "--crop-pct", float,
        "Part of the image that the centre crop keeps, 0..1.", PREPARED,
    ),
    Flag(
        "preprocess.interpolation", "--interpolation",
        Literal["nearest", "bilinear", "bicubic", "lanczos"],
        "Filter that images are resized with.", PREPARED,
    ),
    Flag(
        "preprocess.mean", "--mean", str,
        "Mean that is subtracted from pixels in 0..1: one number, or red,green,blue.", PREPARED,
        to_recipe=as_three_numbers,
    ),
    Flag(
        "preprocess.std", "--std", str,
        "Standard deviation that pixels are divided by after --mean: one number, or "
        "red,green,blue.", PREPARED,
        to_recipe=as_three_numbers,
    ),
    Flag(
        "data.source", "--data", Path,
        "Labelled images: a folder with one subfolder per class, or a CSV.", DATA,
        to_recipe=as_source,
    ),
    Flag(
        "data.calibration", "--calibration", Path,
        "Calibration images: a folder or a CSV. Default: drawn from the training side.", DATA,
        to_recipe=as_text,
    ),
    Flag(
        "data.labels", "--labels", Path,
        "File with one class name a line, in the order of the logits.", DATA,
        to_recipe=as_text,
    ),
    Flag(
        "data.skip_bad_images", "--skip-bad-images", bool,
        "Leave unreadable images out and count them.", DATA,
    ),
    Flag(
        "data.allow_duplicates", "--allow-duplicates", bool,
        "Go on if over 1 % of the evaluation images are training images too. The training "
        "copies are left out in any case.", DATA,
    ),
    Flag(
        "targets", "--target", list[str],
        "Target to build for; repeatable. Default: all that can be built here. arm-cpu: the CPU "
        "of a board, checked here and timed there.", CHAIN,
        metavar=f"[{'|'.join(_TARGETS)}]", callback=one_of(_TARGETS),
        complete=complete_words(*_TARGETS),
    ),
    Flag(
        "runtime", "--runtime", str,
        "Runtime for the CPU: onnxruntime, openvino or litert. auto: all that are installed.",
        CHAIN, metavar="NAME", callback=check_runtime, complete=complete_runtime,
    ),
    Flag(
        "fold.enabled", "--fold/--no-fold", bool,
        "Fold norms into the layers that read them, which is exact.", CHAIN,
    ),
    Flag(
        "simplify.enabled", "--simplify/--no-simplify", bool,
        "Simplify the ONNX graph with onnxsim.", CHAIN,
    ),
    Flag("export.opset", "--opset", int, "ONNX opset, 18 or later.", CHAIN),
    Flag(
        "export.batch", "--export-batch", str,
        "What the ONNX graph takes: one batch size, or dynamic, which is any.", BATCH,
        to_recipe=as_batch,
    ),
    Flag(
        "export.form", "--form", str,
        "Form of the ONNX graph: raw, linear, conv, …. auto: the best for each runtime.", CHAIN,
        metavar="NAME",
    ),
    Flag(
        "export.gelu", "--gelu", Literal["erf", "tanh", "hardswish", "auto"],
        "GELU of the INT8 graph. erf: exact. tanh: nearly. hardswish: coarse, for --recover. auto: "
        "the best for each runtime.", CHAIN,
    ),
    Flag(
        "recover.enabled", "--recover/--no-recover", bool,
        "Fine-tune the INT8 graphs for some minutes, with the float ones as teachers.", CHAIN,
    ),
    Flag(
        "seed", "--seed", int,
        "Seed of splits, draws and training. Default: the recipe's, or 0.", CHAIN,
    ),
    Flag(
        "engine.batches", "--engine-batch", list[int],
        "What graphs and engines for TensorRT take: one of each for every size; repeatable. "
        "Default: 1 and 8; without --target, 1.", BATCH,
    ),
    Flag("engine.input", "--input", Literal["float32", "float16", "uint8"],
        "Type of the graphs' images. uint8: pixels, normalised in the graph. Default: float16 for "
        "TensorRT, float32 for a CPU.", CHAIN, also=("export.input",),
    ),
    Flag(
        "engine.compute_capabilities", "--compute-capability", list[str],
        "Compute capability of the GPUs that the engine is for, such as 8.9; repeatable. Default: "
        "8.6, 8.9 and 12.0.", GPU,
    ),
    Flag(
        "benchmark.batches", "--batch", list[int],
        "What is timed on the CPU, of graphs that take it; repeatable. Default: 1 and 8.", BATCH,
    ),
    *MEASURE_ROWS,
    Flag(
        "train.image_size", "--image-size", str, _SIZE_HELP, PREPARED,
        metavar="N|HEIGHT,WIDTH", aliases=("--imgsz",),
        callback=check_image_size,
        also=("preprocess.image_size",),
    ),
    Flag("train.epochs", "--epochs", int, "Number of passes over the data.", least=1),
    Flag("train.batch", "--batch", int, "Number of images in each step.", least=1),
    Flag("train.lr", "--lr", float, "Peak learning rate.", least=0),
    Flag(
        "train.bfloat16", "--bfloat16/--no-bfloat16", bool,
        "Compute products in bfloat16. Default: if that is faster in the first steps.",
    ),
    Flag(
        "recover.images", "--images", int,
        "Number of images from the training side; a fifth of them only judges the result.",
    ),
    Flag("recover.epochs", "--epochs", int, "Number of passes over the images."),
    Flag("recover.lr", "--lr", float, "Learning rate of the weights."),
)  # fmt: skip

FLAGS: Mapping[str, Flag] = {row.field: row for row in _ROWS}

PREPROCESS = (
    "preprocess.image_size",
    "preprocess.resize",
    "preprocess.crop_pct",
    "preprocess.interpolation",
    "preprocess.mean",
    "preprocess.std",
)

RecipeOption = Annotated[
    str | None,
    typer.Option(
        help="Recipe with the settings that other options leave out: a shipped recipe's name, or a "
        "YAML file.",
        autocompletion=complete_recipe,
    ),
]
ThreadsOption = Annotated[int | None, FLAGS["benchmark.threads"].option()]
RuntimeOption = Annotated[
    str | None,
    typer.Option(
        callback=check_runtime,
        metavar="NAME",
        autocompletion=complete_runtime,
        help="Runtime for an .onnx model. Default: the one that its report.json chose.",
    ),
]
ModelArgument = Annotated[
    Path, typer.Argument(help="A built .onnx or .tflite model, or an .engine.")
]


def flags(
    *fields: str | Flag,
    panels: Collection[str] = (PREPARED,),
    limits: bool = True,
    required: bool = False,
) -> FlagGroup:
    """Make the flags of some fields, in the order of `--help`.

    Args:
        fields: Fields of the recipe, or rows that differ from the table's.
        panels: Headings that this command shows.
        limits: True if the command line checks numbers before the recipe does.
        required: True if each flag has to be stated.
    """
    rows = tuple(FLAGS[one] if isinstance(one, str) else one for one in fields)
    return FlagGroup(rows, panels, limits, required)


def resolve(recipe: str | None, stated: Mapping[str, Any]) -> Recipe:
    """Make the recipe of a command line; an error of a flag's value names the flag.

    Raises:
        RecipeError: The recipe can't be read, or a value is invalid.
    """
    from edge_convnext.networks.recipe_file import resolve_recipe

    return resolve_recipe(recipe, stated, {field: row.flag for field, row in FLAGS.items()})
