"""Write a build's artefacts and report into the folder the user named."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from edge_convnext.build.gpu_chain import gpu_graph_name
from edge_convnext.core.artifacts import CPU_FOLDER, Precision
from edge_convnext.core.files import copy_atomic
from edge_convnext.core.locks import hold_lock
from edge_convnext.core.recipe import DIGITS
from edge_convnext.core.swap import (
    require_room,
    swap,
    written_beside,
)
from edge_convnext.data import write_calibration_csv
from edge_convnext.measure.accuracy import Predictions, write_predictions_csv
from edge_convnext.report.folder import _files_in, _find_old, _write_reports
from edge_convnext.report.manifest import MANIFEST, write_manifest

if TYPE_CHECKING:
    from edge_convnext.build.outcome import Outcome
    from edge_convnext.report.contract import Report
    from edge_convnext.report.verdict import Requirement

__all__ = [
    "publish",
]


def publish(outcome: Outcome, folder: Path, require: Requirement | None) -> Report:
    """Write the artefacts and the report that names them beside an older build, then swap.

    `report.json` comes last but for `manifest.json`, which has its hash: a folder with a manifest
    is a whole build. Two builds write one after the other.

    Args:
        outcome: From `pipeline.run_chain`.
        folder: Made if it is not there; files that are not a build's are left alone.
        require: See `pipeline.build`.

    Raises:
        ArtifactError: There is no room on the disk; an older build is as it was.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with hold_lock(folder.resolve()):  # --out may be a link
        old = _find_old(folder)
        with written_beside(folder) as new:
            report = _write_all(outcome, new, folder, require)
            swap(new, folder, old, MANIFEST)
    return report


def _write_all(outcome: Outcome, new: Path, folder: Path, require: Requirement | None) -> Report:
    """Write a whole build into `new`, which is about to become `folder`."""
    from edge_convnext.build.assemble import assemble_report

    files, names = _list_models(outcome)
    require_room(folder, sum(source.stat().st_size for source in files.values()))
    for name, source in files.items():
        copy_atomic(source, new / name)
    if outcome.inputs.calibration is not None and outcome.recipe.precision == "int8":
        root = _data_root(outcome)
        write_calibration_csv(outcome.inputs.calibration, new / "calibration.csv", root)
    _write_predictions(outcome, new)
    made = assemble_report(outcome, new, names, _files_in(new), require)
    report = made.model_copy(update={"folder": str(folder)})
    _write_reports(report, new)
    write_manifest(new, _files_in(new))
    return report


def _list_models(outcome: Outcome) -> tuple[dict[str, Path], dict[str, str]]:
    """Graphs and engines by the name they ship under; and that name by the artefact's digest."""
    files: dict[str, Path] = {}
    names: dict[str, str] = {}
    for option in (outcome.best_float, outcome.chosen):
        if option is not None and option.digest not in names:
            name = f"model.{option.model.precision}.onnx"
            files[name] = option.model.path
            names[option.digest] = name
    for option in outcome.for_runtimes:  # another runtime than the winner's is best served by these
        if option.digest not in names:
            name = f"{CPU_FOLDER}/{option.model.precision}.{option.runtime}.onnx"
            files[name] = option.model.path
            names[option.digest] = name
    for lineage in outcome.graphs.for_gpu:
        name = gpu_graph_name(lineage.final.value.path)
        files[name] = lineage.final.value.path
        names.setdefault(lineage.final.digest, name)
    for build in outcome.engines:
        if build.step is not None:
            engine = build.step.value.path
            files[engine.name] = engine
            files[f"{engine.name}.json"] = engine.with_name(f"{engine.name}.json")
            names[build.step.digest] = engine.name
    return files, names


def _write_predictions(outcome: Outcome, folder: Path) -> None:
    evaluation = outcome.evaluation
    if evaluation is None:
        return
    predictions: dict[Precision, Predictions] = {"fp32": evaluation.reference}
    if outcome.chosen is not None and outcome.recipe.precision != "fp32":
        predictions[outcome.recipe.precision] = evaluation.options[outcome.chosen.name]
    classes = outcome.inputs.info.classes
    write_predictions_csv(folder / "predictions.csv", predictions, classes)


def _data_root(outcome: Outcome) -> Path:
    """The folder that recorded paths start from: the data's, so that they can be read back."""
    stated = outcome.recipe.data.source or outcome.recipe.data.calibration
    if stated is not None and stated != DIGITS:
        source = Path(stated)
        return source if source.is_dir() else source.parent
    samples = outcome.inputs.calibration.images.samples if outcome.inputs.calibration else ()
    return Path(os.path.commonpath([sample.path.parent for sample in samples]))
