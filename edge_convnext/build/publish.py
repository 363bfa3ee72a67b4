"""Write a build's artefacts and report into the folder the user named."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from edge_convnext.build.gpu_steps import gpu_graph_name
from edge_convnext.core.artifacts import CPU_FOLDER, GPU_FOLDER, CpuRuntimeName, Precision
from edge_convnext.core.errors import ArtifactError
from edge_convnext.core.files import copy_atomic, write_text_atomic
from edge_convnext.core.locks import hold_lock
from edge_convnext.core.recipe import DIGITS
from edge_convnext.core.swap import (
    left_names,
    require_room,
    require_writable,
    swap,
    written_beside,
)
from edge_convnext.data import write_calibration_csv
from edge_convnext.measure.accuracy import Predictions, write_predictions_csv
from edge_convnext.report.manifest import MANIFEST, check_unchanged, read_manifest, write_manifest

if TYPE_CHECKING:
    from edge_convnext.build.pipeline import Outcome
    from edge_convnext.report.contract import Report
    from edge_convnext.report.verdict import Requirement
    from edge_convnext.stages.sensitivity import Sensitivity

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
_CPU_GRAPH = re.compile(rf"({_PRECISIONS})\.({'|'.join(get_args(CpuRuntimeName))})\.onnx")


def check_writable(folder: Path) -> None:
    """Fail before the first stage, not after the last, when the output can't be written.

    Raises:
        ArtifactError: The folder is a file, has files of the same names that no build wrote,
            or its nearest existing parent can't be written.
    """
    require_writable(folder)
    _find_old(folder)


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


def _write_reports(report: Report, folder: Path) -> None:
    from edge_convnext.report.markdown import to_markdown

    write_text_atomic(folder / _TABLES, to_markdown(report))
    report.write(folder / REPORT)


def write_report(report: Report, folder: Path, known: Mapping[str, str] | None = None) -> None:
    """Write both forms of a build's report, and the manifest that has their hashes.

    Args:
        report: Of the build.
        folder: Of the build; the caller holds its lock.
        known: See `manifest.write_manifest`.

    Raises:
        ArtifactError: There is no room on the disk; the older report is as it was.
    """
    with written_beside(folder) as new:
        _write_reports(report, new)
        files = [path for path in _files_in(folder) if path.name not in (REPORT, _TABLES)]
        if known is not None:  # a file of our names that no build wrote is not taken for one of it
            files = [path for path in files if path.relative_to(folder).as_posix() in known]
        write_manifest(folder, files, known, new)
        swap(new, folder, (), MANIFEST)


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
    from edge_convnext.report.contract import RankingReport, Report, SensitivityReport

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


def _list_models(outcome: Outcome) -> tuple[dict[str, Path], dict[str, str]]:
    """Graphs and engines by the name they ship under; and that name by the artefact's digest."""
    files: dict[str, Path] = {}
    names: dict[str, str] = {}
    for option in (outcome.best_float, outcome.chosen):
        if option is not None and option.graph.digest not in names:
            name = f"model.{option.model.precision}.onnx"
            files[name] = option.model.path
            names[option.graph.digest] = name
    for option in outcome.for_runtimes:  # another runtime than the winner's is best served by these
        if option.graph.digest not in names:
            name = f"{CPU_FOLDER}/{option.model.precision}.{option.runtime}.onnx"
            files[name] = option.model.path
            names[option.graph.digest] = name
    for graph in outcome.gpu_graphs.made:
        name = gpu_graph_name(graph.written.value.path)
        files[name] = graph.written.value.path
        names.setdefault(graph.written.digest, name)
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


def _files_in(folder: Path) -> list[Path]:
    """Every file there that is called as one of a build, but for the manifest."""
    named = _named_as_ours(folder)
    return sorted(path for path in named if path.is_file() and path != folder / MANIFEST)


def _find_old(folder: Path) -> set[str]:
    """Names of an older build's files, whole or not.

    Raises:
        ArtifactError: A file is called as one of a build, and none that was made there has it.
    """
    named = {path.relative_to(folder).as_posix() for path in _named_as_ours(folder)}
    if foreign := sorted(named - _answered_for(folder)) if named else []:
        raise ArtifactError(
            f"{folder / foreign[0]}: would be overwritten, and no build in {folder} says that it "
            "wrote it; move it, or choose another --out"
        )
    return named


def _named_as_ours(folder: Path) -> list[Path]:
    named = [folder / name for name in _OURS]
    named += [path for path in folder.glob("model.*") if _ENGINE.fullmatch(path.name)]
    graphs = (folder / GPU_FOLDER).glob("*.onnx")
    named += [path for path in graphs if _GPU_GRAPH.fullmatch(path.name)]
    graphs = (folder / CPU_FOLDER).glob("*.onnx")
    named += [path for path in graphs if _CPU_GRAPH.fullmatch(path.name)]
    return [path for path in named if os.path.lexists(path)]


def _answered_for(folder: Path) -> set[str]:
    """Names that a manifest or a report there has, or that a killed build was replacing."""
    from edge_convnext.report.contract import Report

    names = left_names(folder)
    with suppress(ArtifactError):
        names |= {*read_manifest(folder), MANIFEST}
    with suppress(ArtifactError):
        report = Report.read(folder / REPORT)
        if report.board is None:
            names |= {REPORT, _TABLES, MANIFEST} | {file.path for file in report.outputs}
    return names
