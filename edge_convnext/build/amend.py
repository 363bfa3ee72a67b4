"""Work on a finished build: rank its operators, or build it again with fine-tuning."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_convnext.build.budget import rank_plan
from edge_convnext.build.pipeline import finish
from edge_convnext.build.settle import Prepared, prepare
from edge_convnext.core.cache import Cache, default_cache_folder
from edge_convnext.core.errors import ArtifactError
from edge_convnext.core.files import expand_home
from edge_convnext.core.progress import Track, untracked
from edge_convnext.core.recipe import DIGITS, Recipe
from edge_convnext.data.places import require_outside
from edge_convnext.networks.recipe_file import make_recipe
from edge_convnext.networks.stated_weights import is_path
from edge_convnext.report.file_names import REPORT
from edge_convnext.report.folder import amend_report
from edge_convnext.stages import quantize
from edge_convnext.stages.sensitivity import Sensitivity

if TYPE_CHECKING:
    from edge_convnext.report.contract import Report

__all__ = ["add_sensitivity", "rank_build", "recover_build"]


def rank_build(
    folder: Path,
    cache: Cache | None = None,
    track: Track = untracked,
    *,
    overrides: Mapping[str, Any] | None = None,
) -> dict[str, tuple[Sensitivity, ...]]:
    """Rank the operators of every INT8 graph of a finished build by the accuracy they cost.

    Args:
        folder: Folder of the build. Its recipe is read from `report.json`; stages that are no
            longer in the cache run again.
        cache: Cache of finished stages; None is the user's cache folder.
        track: Shows work that takes long.
        overrides: Dotted field to value, on top of that recipe; a model that is code of the user's
            own has to be stated again.

    Returns:
        Rankings by plan, such as `conv.inner`; the most harmful operator comes first.

    Raises:
        ArtifactError: There is no report, the build has no INT8 graph, it was changed after it
            was made, or it can't be made again.
    """
    from edge_convnext.devices.doctor import environment
    from edge_convnext.report.folder import check_addable

    report, recipe = _read_int8_build(folder, overrides)
    check_addable(folder, report)  # now, not after minutes of work
    store = cache or Cache(default_cache_folder(os.environ))
    with store.guarded():
        prepared = prepare(recipe, store, environment()["versions"], track)
        return _rank_graphs(folder, report, prepared)


def _rank_graphs(
    folder: Path, report: Report, prepared: Prepared
) -> dict[str, tuple[Sensitivity, ...]]:
    if not prepared.graphs.quantized:
        raise ArtifactError(
            f"{folder}: has graphs for GPUs only, and only graphs for the CPU are ranked; "
            "build with --target cpu as well"
        )
    known = {one.artifact.sha256 for one in report.stage("quantize").variants if one.artifact}
    for lineage in prepared.graphs.quantized:
        made = lineage.at(quantize.STAGE)
        if made is not None and made.digest not in known:
            raise ArtifactError(
                f"{folder}: the INT8 graph {lineage.plan.label} differs from the one in the "
                "report (tool versions, data or machine may differ); build again first"
            )
    return {
        lineage.plan.label: rank_plan(prepared.runner, lineage, prepared.samples)
        for lineage in prepared.graphs.quantized
    }


def recover_build(
    folder: Path,
    overrides: Mapping[str, Any] | None = None,
    out: Path | None = None,
    *,
    cache: Cache | None = None,
    track: Track = untracked,
) -> Report:
    """Build a finished INT8 build again, with its graphs fine-tuned; it keeps its label.

    Args:
        folder: Folder of the build. Its recipe is read from `report.json`; stages that are no
            longer in the cache run again.
        overrides: Values by dotted field, which replace those of that recipe.
        out: Folder to write; None replaces the build.
        cache: Cache of finished stages; None is the user's cache folder.
        track: Shows work that takes long.

    Returns:
        The report; `recoveries` has what fine-tuning did to each graph.

    Raises:
        ArtifactError: There is no report, the build is not of INT8, or it has no images to
            train with.
        EdgeConvNextError: An error of `build`; nothing is written then.
    """
    from edge_convnext.devices.doctor import environment
    from edge_convnext.report.folder import check_writable

    report, recipe = _read_int8_build(folder, {**(overrides or {}), "recover.enabled": True})
    check_writable(out or folder)
    if out is not None:
        require_outside(out, recipe.data.source, recipe.data.calibration)
    machine = environment()
    store = cache or Cache(default_cache_folder(os.environ))
    with store.guarded():
        prepared = prepare(recipe, store, machine["versions"], track)
        if prepared.unrecovered is not None:  # fine-tuning is the only thing that was asked for
            raise ArtifactError(f"{folder}: {prepared.unrecovered}")
        return finish(prepared, machine, out or folder, None, report.label)


def _read_int8_build(
    folder: Path, overrides: Mapping[str, Any] | None = None
) -> tuple[Report, Recipe]:
    """The report of a finished INT8 build, and the recipe that makes it again."""
    from edge_convnext.report.contract import Report

    path = folder / REPORT
    report = Report.read(path)
    recipe = make_recipe(report.repeatable_recipe, str(path), overrides)
    if recipe.precision != "int8":
        raise ArtifactError(f"{folder}: is a build of {recipe.precision}; pass one of INT8")
    _require_files(folder, recipe)
    return report, recipe


def _require_files(folder: Path, recipe: Recipe) -> None:
    """Refuse a recorded recipe whose files are gone; the message says how to name them anew."""
    weights, data = recipe.load.weights, recipe.data.source
    named = (
        ("--weights", weights if weights is not None and is_path(weights) else None),
        ("--data", data if data != DIGITS else None),
    )
    for flag, stated in named:
        if stated is not None and not expand_home(stated).exists():
            raise ArtifactError(
                f"{folder}: was built from {stated}, which is not here; pass {flag}, or run "
                "where the build ran"
            )


def add_sensitivity(folder: Path, found: Mapping[str, Sequence[Sensitivity]]) -> Report:
    """Write rankings into the report of a finished build.

    Args:
        folder: Folder of the build.
        found: Rankings by plan, as `rank_build` returns them.

    Raises:
        ArtifactError: The build was changed after it was made, or another command has written its
            report meanwhile. Nothing is written then.
    """
    from edge_convnext.report.contract import Report
    from edge_convnext.report.stages import RankingReport, SensitivityReport

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
