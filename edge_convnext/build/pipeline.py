"""The chain on one screen: settle, graphs, engines, accuracy, race, choose, assemble, publish."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_convnext.build.arm_graphs import find_arm_graphs
from edge_convnext.build.assemble import Outcome, assemble_report
from edge_convnext.build.engines import build_engines
from edge_convnext.build.entrants import choose_entrants, evaluate_entrants, race_entrants
from edge_convnext.build.evaluating import Evaluator
from edge_convnext.build.inputs import DEMO_BANNER, Inputs, is_demo
from edge_convnext.build.int8_products import count_products
from edge_convnext.build.label import settle_label
from edge_convnext.build.outputs import list_files
from edge_convnext.build.publish import publish
from edge_convnext.build.quick_race import choose_plans
from edge_convnext.build.settle import Prepared, prepare
from edge_convnext.build.sieve import Sieve
from edge_convnext.build.slow_forms import remember_slow_forms
from edge_convnext.build.throughput import serve_chosen
from edge_convnext.core.artifacts import Precision
from edge_convnext.core.cache import Cache, default_cache_folder
from edge_convnext.core.files import AnyPath
from edge_convnext.core.progress import Track, untracked
from edge_convnext.core.recipe import Recipe
from edge_convnext.data.places import require_outside
from edge_convnext.devices.doctor import environment
from edge_convnext.networks.family import family_of_model
from edge_convnext.report.folder import check_writable
from edge_convnext.report.verdict import Requirement

if TYPE_CHECKING:
    from edge_convnext.report.contract import Report

__all__ = ["DEMO_BANNER", "build", "build_folder", "finish", "is_demo"]


def build(
    recipe: Recipe,
    out: AnyPath | None = None,
    *,
    require: Precision | None = None,
    require_likely: Precision | None = None,
    label: str | None = None,
    cache: Cache | None = None,
    track: Track = untracked,
    on_read: Callable[[Inputs], None] | None = None,
) -> Report:
    """Run the whole chain and write its artefacts and report.

    Args:
        recipe: Recipe of the build (`load_recipe`).
        out: Folder to write; None is `build/<model>-<precision>`.
        require: Precision that the verdict must ship, with the status shown, to pass.
        require_likely: Precision that the verdict must ship, shown or likely, to pass.
        label: Name of the build for its report; None is the commit, where git tells one.
        cache: Cache of finished stages; None is the user's cache folder.
        track: Shows work that takes long.
        on_read: Called with what was read and the source of each setting, before any work is done.

    Returns:
        The report, as written to `report.json`.

    Raises:
        EdgeConvNextError: The build failed; its one-line message says what to do. Nothing is
            written then.
    """
    folder = build_folder(recipe, out)
    requirement = Requirement.of(require, require_likely)
    named_as = settle_label(label)
    store = cache or Cache(default_cache_folder(os.environ))
    with store.guarded():
        machine = environment()
        prepared = prepare(
            recipe, store, machine["versions"], track, machine=machine["fingerprint"],
            on_read=on_read, choose=partial(choose_plans, machine=machine["fingerprint"]),
        )  # fmt: skip
        return finish(prepared, machine, folder, requirement, named_as)


def build_folder(recipe: Recipe, out: AnyPath | None = None) -> Path:
    """The folder that a build writes, which is not made yet.

    Args:
        recipe: Recipe of the build.
        out: Folder that was stated; None is `build/<model>-<precision>`.

    Raises:
        ArtifactError: It can't be written, or has files of those names that no build wrote.
        RecipeError: It lies among the images.
    """
    named = f"{family_of_model(recipe.model).short_name(recipe.model)}-{recipe.precision}"
    folder = Path(out) if out is not None else Path("build") / named
    check_writable(folder)
    require_outside(folder, recipe.data.source, recipe.data.calibration)
    return folder


def finish(
    prepared: Prepared,
    machine: Mapping[str, Any],
    folder: Path,
    require: Requirement | None,
    label: str | None,
) -> Report:
    """Measure the graphs and write the build's folder, as the last thing that is done.

    Args:
        prepared: Graphs of this build, with the inputs they were made from.
        machine: Facts from `doctor.environment`.
        folder: Folder to write.
        require: Verdict that the user requires; None requires nothing.
        label: Name of the build, from `settle_label` or an earlier report.
    """
    recipe, graphs = prepared.runner.recipe, prepared.graphs
    engines = build_engines(prepared.runner, graphs.for_gpu, prepared.targets)
    accuracy = Evaluator(prepared, machine["fingerprint"])
    sieve = Sieve(prepared, machine["fingerprint"])
    entrants = evaluate_entrants(prepared, accuracy, sieve)
    if recipe.precision != "fp32":  # a float has no other to beat
        entrants = replace(entrants, unfit=sieve.unfit_floats)
    raced = race_entrants(prepared, entrants, accuracy)
    timings = raced.timings if raced else None
    if timings is not None:
        info, raced_here = prepared.inputs.info, entrants.options
        remember_slow_forms(prepared.runner, info, raced_here, timings, machine["fingerprint"])
    choice = choose_entrants(recipe, entrants.judged, timings, accuracy, entrants.unfit)
    judged = [*entrants.judged, *entrants.for_arm]
    for_arm = find_arm_graphs(prepared, judged, accuracy.fallbacks)
    files, names = list_files(
        recipe, prepared.inputs, graphs, engines, choice, accuracy.found, for_arm
    )
    quantized = [*entrants.options, *entrants.for_arm]
    products = count_products(prepared.runner, quantized, machine["fingerprint"])
    outcome = Outcome(
        prepared,
        machine,
        engines,
        entrants,
        accuracy,
        raced,
        choice,
        tuple(sieve.refused),
        products,
        serve_chosen(prepared, entrants, choice),
        for_arm,
        label,
    )
    report = assemble_report(outcome, names, folder, require)
    return publish(files, report, folder)
