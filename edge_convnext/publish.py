"""Write a build's artefacts and report into the folder the user named."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from edge_convnext.artifacts import Precision
from edge_convnext.data import write_calibration_csv
from edge_convnext.errors import ArtifactError
from edge_convnext.evaluate import Predictions, write_predictions_csv
from edge_convnext.files import copy_atomic, why_unwritable, write_text_atomic
from edge_convnext.gpu_steps import GPU_FOLDER, gpu_graph_name
from edge_convnext.locks import hold_lock
from edge_convnext.manifest import MANIFEST, check_unchanged, write_manifest
from edge_convnext.recipe import DIGITS

if TYPE_CHECKING:
    from edge_convnext.pipeline import Outcome
    from edge_convnext.report import Report
    from edge_convnext.sensitivity import Sensitivity
    from edge_convnext.verdict import Requirement

__all__ = [
    "REPORT",
    "add_sensitivity",
    "amend_report",
    "check_addable",
    "check_writable",
    "publish",
    "write_report",
]

REPORT = "report.json"
_TABLES = "report.md"
_MODELS = tuple(f"model.{precision}" for precision in get_args(Precision))
_PRECISIONS = "|".join(get_args(Precision))
# By their full names: the folder may hold a user's own `model.best.onnx`.
_OURS = (
    *(f"{model}.onnx" for model in _MODELS),
    "calibration.csv",
    "predictions.csv",
    _TABLES,
    REPORT,
    MANIFEST,
)
_ENGINE = re.compile(rf"model\.({_PRECISIONS})\.rtx(\.sm[\d-]+\.b\d+)?\.engine(\.json)?")
_GPU_GRAPH = re.compile(rf"({_PRECISIONS})\.b\d+(\.opset17)?\.onnx")
# What `files.atomic_path` was writing when its process was killed.
_HALF_WRITTEN = re.compile(r"\.(.+)\.[a-z0-9_]{8}\.tmp")


def check_writable(folder: Path) -> None:
    """Fail before the first stage, not after the last, when the output can't be written.

    Raises:
        ArtifactError: The folder is a file, has files of the same names that no build wrote,
            or its nearest existing parent can't be written.
    """
    if folder.exists() and not folder.is_dir():
        raise ArtifactError(f"{folder}: is a file; choose another --out")
    old = _find_old(folder)
    if old and not any(path.suffix == ".onnx" for path in old):
        raise ArtifactError(
            f"{old[0]}: would be overwritten, and there is no model beside it that a build "
            "wrote; choose another --out"
        )
    if reason := why_unwritable(folder):
        raise ArtifactError(f"{folder}: can't be written ({reason}); choose another --out")


def publish(outcome: Outcome, folder: Path, require: Requirement | None) -> Report:
    """Copy the artefacts, then write the report that names them.

    An older build's files go first, `report.json` comes last but for `manifest.json`, which has
    its hash: a folder with a manifest is a whole build. Two builds write one after the other.

    Args:
        outcome: From `pipeline.run_chain`.
        folder: Made if it is not there; files that are not a build's are left alone.
        require: See `pipeline.build`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with hold_lock(folder.resolve()):  # --out may be a link
        return _write_all(outcome, folder, require)


def _write_all(outcome: Outcome, folder: Path, require: Requirement | None) -> Report:
    from edge_convnext.assemble import assemble_report

    drop_half_written(folder)
    drop_old(folder)
    names = _copy_models(outcome, folder)
    if outcome.inputs.calibration is not None and outcome.recipe.precision == "int8":
        root = _data_root(outcome)
        write_calibration_csv(outcome.inputs.calibration, folder / "calibration.csv", root)
    _write_predictions(outcome, folder)
    outputs = [path for path in _find_old(folder) if path.name not in (REPORT, MANIFEST)]
    report = assemble_report(outcome, folder, names, outputs, require)
    write_report(report, folder)
    return report


def drop_old(folder: Path) -> None:
    """Remove an older build: first what says that it is whole, last what says it is a build's."""
    old = _find_old(folder)
    for path in sorted(old, key=lambda one: (one.name != MANIFEST, one.suffix == ".onnx")):
        path.unlink(missing_ok=True)
    with suppress(OSError):  # there is none, or it holds files of the user's
        (folder / GPU_FOLDER).rmdir()


def drop_half_written(folder: Path) -> None:
    """Remove what builds that were killed while they wrote left in their output."""
    for path in (*folder.iterdir(), *(folder / GPU_FOLDER).glob(".*.tmp")):
        match = _HALF_WRITTEN.fullmatch(path.name)
        if match and (
            match[1] in _OURS or _ENGINE.fullmatch(match[1]) or _GPU_GRAPH.fullmatch(match[1])
        ):
            path.unlink()


def write_report(report: Report, folder: Path, known: Mapping[str, str] | None = None) -> None:
    """Write both forms of a build's report, and the manifest that has their hashes.

    Args:
        report: Of the build.
        folder: Of the build.
        known: See `manifest.write_manifest`.
    """
    from edge_convnext.markdown import to_markdown

    (folder / MANIFEST).unlink(missing_ok=True)  # until all is written it is no whole build
    write_text_atomic(folder / _TABLES, to_markdown(report))
    report.write(folder / REPORT)
    files = _find_old(folder)
    if known is not None:  # a file of our names that no build wrote is not taken for one of it
        ours = {*known, _TABLES, REPORT}
        files = [path for path in files if path.relative_to(folder).as_posix() in ours]
    write_manifest(folder, files, known)


def check_addable(folder: Path, report: Report) -> dict[str, str]:
    """Check that a build is as it was finished, before something is added to its report.

    Args:
        folder: Of the build.
        report: As it is there.

    Returns:
        SHA-256 by name, of all that an addition leaves alone.

    Raises:
        ArtifactError: A file is missing or was changed since.
    """
    outputs = {file.path: file.sha256 for file in report.outputs}
    # The tables are made from the report, so that one edited by hand misleads nobody later.
    found = check_unchanged(folder, outputs, (_TABLES,))
    return {name: sha256 for name, sha256 in found.items() if name != REPORT}


def amend_report(report: Report, folder: Path, before: Report) -> None:
    """Write a finished build's report anew; the files beside it keep the hashes they had.

    Args:
        report: The new one.
        folder: Of the build.
        before: The one that is there.

    Raises:
        ArtifactError: See `check_addable`, or the report was changed since it was read; nothing is
            written then.
    """
    with hold_lock(folder.resolve()):
        if type(before).read(folder / REPORT) != before:
            raise ArtifactError(
                f"{folder / REPORT}: another command has written it meanwhile; run this one again"
            )
        write_report(report, folder, check_addable(folder, before))


def add_sensitivity(folder: Path, found: Mapping[str, Sequence[Sensitivity]]) -> Report:
    """Write rankings into the report of a finished build.

    Args:
        folder: Of the build.
        found: By plan.

    Raises:
        ArtifactError: See `check_addable`; nothing is written then.
    """
    from edge_convnext.report import RankingReport, Report, SensitivityReport

    rankings = tuple(
        RankingReport(
            graph=plan, operations=tuple(SensitivityReport(**asdict(one)) for one in ranking)
        )
        for plan, ranking in found.items()
    )
    before = Report.read(folder / REPORT)
    report = before.model_copy(update={"sensitivity": rankings})
    amend_report(report, folder, before)
    return report


def _copy_models(outcome: Outcome, folder: Path) -> dict[str, str]:
    """Copy graphs and engine; returns shipped file name by the artefact's digest."""
    names: dict[str, str] = {}
    for option in (outcome.best_float, outcome.chosen):
        if option is not None and option.graph.digest not in names:
            name = f"model.{option.model.precision}.onnx"
            copy_atomic(option.model.path, folder / name)
            names[option.graph.digest] = name
    for graph in outcome.gpu_graphs.made:
        name = gpu_graph_name(graph.written.value.path)
        (folder / GPU_FOLDER).mkdir(exist_ok=True)
        copy_atomic(graph.written.value.path, folder / name)
        names.setdefault(graph.written.digest, name)
    for build in outcome.engines:
        if build.step is not None:
            engine = build.step.value.path
            copy_atomic(engine, folder / engine.name)
            copy_atomic(engine.with_name(f"{engine.name}.json"), folder / f"{engine.name}.json")
            names[build.step.digest] = engine.name
    return names


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


def _find_old(folder: Path) -> list[Path]:
    """Every file of a build that lies there."""
    named = [folder / name for name in _OURS]
    named += [path for path in folder.glob("model.*") if _ENGINE.fullmatch(path.name)]
    graphs = (folder / GPU_FOLDER).glob("*.onnx")
    named += [path for path in graphs if _GPU_GRAPH.fullmatch(path.name)]
    return sorted(path for path in named if path.is_file())
