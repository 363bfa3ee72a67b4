"""The files that a build leaves next to its report, and their names."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from edge_convnext.core.artifacts import CPU_FOLDER, TFLITE_SUFFIX, Precision
from edge_convnext.core.recipe import DIGITS
from edge_convnext.data.calibration import write_calibration_csv
from edge_convnext.measure.accuracy import Predictions, write_predictions_csv
from edge_convnext.report.beside import Beside
from edge_convnext.report.file_names import CALIBRATION, PREDICTIONS, gpu_graph_name

if TYPE_CHECKING:
    from edge_convnext.build.engines import EngineBuild
    from edge_convnext.build.entrants import Choice
    from edge_convnext.build.graphs import Graphs
    from edge_convnext.build.inputs import Inputs
    from edge_convnext.build.lineage import Lineage
    from edge_convnext.core.artifacts import OnnxModel
    from edge_convnext.core.recipe import Recipe
    from edge_convnext.core.step import Step
    from edge_convnext.data.calibration import CalibrationSet
    from edge_convnext.measure.candidates import Candidate
    from edge_convnext.measure.evaluation import Evaluation

__all__ = ["list_files", "list_models"]


def list_files(
    recipe: Recipe,
    inputs: Inputs,
    graphs: Graphs,
    engines: Iterable[EngineBuild],
    choice: Choice,
    evaluation: Evaluation | None,
    for_arm: Mapping[str, Step[OnnxModel]] | None = None,
) -> tuple[Beside, dict[str, str]]:
    """List the files to publish, and the shipped name of each artefact by its digest.

    Args:
        recipe: Recipe of this build.
        inputs: Inputs of the build, for calibration images and class names.
        graphs: Graphs of the build; those for TensorRT all ship.
        engines: Engines of the build; those that were built ship.
        choice: Models that ship.
        evaluation: Evaluation that has the predictions; None without labelled images.
        for_arm: Graphs for Arm CPUs, by the name that they ship under.
    """
    models, names = list_models(choice, graphs.for_gpu, engines, for_arm)
    tables: dict[str, Callable[[Path], object]] = {}
    if inputs.calibration is not None and recipe.precision == "int8":
        root = _data_root(recipe, inputs.calibration)
        record = partial(write_calibration_csv, inputs.calibration, relative_to=root)
        tables[CALIBRATION] = record
    if evaluation is not None:
        answers = _answers(recipe.precision, evaluation, choice.chosen)
        write = partial(write_predictions_csv, predictions=answers, classes=inputs.info.classes)
        tables[PREDICTIONS] = write
    return Beside(models, tables), names


def list_models(
    choice: Choice,
    for_gpu: Iterable[Lineage],
    engines: Iterable[EngineBuild],
    for_arm: Mapping[str, Step[OnnxModel]] | None = None,
) -> tuple[dict[str, Path], dict[str, str]]:
    """Graphs and engines by their shipped name, and that name by the artefact's digest."""
    files: dict[str, Path] = {}
    names: dict[str, str] = {}
    first = [one for one in (choice.best_float, choice.chosen) if one is not None]
    for option in (*first, *choice.for_runtimes):  # the best files for those that did not win, too
        if option.digest not in names:
            name = _name_graph(option, files, won=option in first)
            files[name] = option.model.path
            names[option.digest] = name
    for name, step in (for_arm or {}).items():
        if step.digest not in names:
            files[name] = step.value.path
            names[step.digest] = name
    for lineage in for_gpu:
        name = gpu_graph_name(lineage.final.value.path)
        files[name] = lineage.final.value.path
        names.setdefault(lineage.final.digest, name)
    for build in engines:
        if build.step is not None:
            engine = build.step.value.path
            files[engine.name] = engine
            files[f"{engine.name}.json"] = engine.with_name(f"{engine.name}.json")
            names[build.step.digest] = engine.name
    return files, names


def _name_graph(option: Candidate, taken: Collection[str], *, won: bool) -> str:
    """The shipped name of a graph that was chosen, of all or for its runtime.

    There is one LiteRT model of each precision. Where it won, the graph of the first runtime of
    ONNX has the usual name, which scripts of users read.
    """
    usual = f"model.{option.model.precision}"
    if option.model.path.suffix == TFLITE_SUFFIX:
        return f"{usual}{TFLITE_SUFFIX}"
    if won or (f"{usual}{TFLITE_SUFFIX}" in taken and f"{usual}.onnx" not in taken):
        return f"{usual}.onnx"
    return f"{CPU_FOLDER}/{option.model.precision}.{option.runtime}.onnx"


def _answers(
    precision: Precision, evaluation: Evaluation, chosen: Candidate | None
) -> dict[Precision, Predictions]:
    """Logits of FP32, and of the model that ships in the requested precision."""
    found: dict[Precision, Predictions] = {"fp32": evaluation.reference}
    if chosen is not None and precision != "fp32":
        found[precision] = evaluation.options[chosen.name]
    return found


def _data_root(recipe: Recipe, calibration: CalibrationSet) -> Path:
    """The folder that recorded paths are relative to: the data's, so that they can be read back."""
    stated = recipe.data.source or recipe.data.calibration
    if stated is not None and stated != DIGITS:
        source = Path(stated)
        return source if source.is_dir() else source.parent
    samples = calibration.images.samples
    return Path(os.path.commonpath([sample.path.parent for sample in samples]))
