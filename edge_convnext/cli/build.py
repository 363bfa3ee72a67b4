"""`edge-convnext build`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from edge_convnext.cli.build_progress import build_progress, kind_of
from edge_convnext.cli.console import (
    Terminal,
    note,
    print_outcome,
    progress,
    show_page,
    show_read,
)
from edge_convnext.cli.flags import Overrides
from edge_convnext.cli.hosts import Remote, measure_build
from edge_convnext.cli.options import (
    BATCH,
    CHAIN,
    DATA,
    GPU,
    MEASURE,
    MODEL,
    PREPARED,
    PREPROCESS,
    QUANTIZATION,
    RecipeOption,
    flags,
    resolve,
)
from edge_convnext.cli.planning import Planning
from edge_convnext.cli.requirement import Required
from edge_convnext.cli.signature import command, in_panel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_convnext.core.recipe import Recipe
    from edge_convnext.report.contract import Report
    from edge_convnext.report.verdict import Requirement

__all__ = ["build"]

_FLAGS = flags(
    *("model", "load.weights", "precision"),
    *PREPROCESS,
    *("data.source", "data.calibration", "data.labels", "quantize.subset_size"),
    *("data.skip_bad_images", "data.allow_duplicates"),
    *("targets", "runtime", "fold.enabled", "simplify.enabled", "export.opset", "export.batch"),
    *("export.form", "export.gelu", "quantize.placement", "quantize.ignored_names"),
    *("quantize.ignored_types", "quantize.activations_range_estimator"),
    *("recover.enabled", "seed"),
    *("engine.batches", "engine.input", "engine.compute_capabilities"),
    *(
        "benchmark.scope",
        "benchmark.batches",
        "benchmark.threads",
        "benchmark.rounds",
        "evaluate.max_drop_pp",
    ),
    *("evaluate.allow_bad_model", "evaluate.max_class_drop_pp", "benchmark.wait_quiet_min"),
    "benchmark.throughput",
    panels=(MODEL, PREPARED, DATA, CHAIN, QUANTIZATION, BATCH, GPU, MEASURE),
    limits=False,  # the recipe checks numbers: its one-line message names the flag
)


@command
def build(
    *,
    recipe: RecipeOption = None,
    stated: Annotated[Overrides, _FLAGS],
    tune: Annotated[
        Literal["off", "quick", "full"],
        typer.Option(
            help="Search for the fastest plans on this machine first. off: take the shipped ones.",
            rich_help_panel=CHAIN,
        ),
    ] = "off",
    required: Annotated[Required, in_panel(MEASURE)],
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for the build. Default: build/<model>-<precision>/."),
    ] = None,
    show: Annotated[
        bool, typer.Option("--open", help="Show report.html in the browser at the end.")
    ] = False,
    label: Annotated[
        str | None,
        typer.Option(
            help="Name of this build in its report, for `history`. Default: the commit that git "
            "tells of the working folder."
        ),
    ] = None,
    planning: Planning,
    remote: Annotated[Remote, in_panel("Over SSH")],
    terminal: Terminal,
) -> None:
    """Build a measured model: checkpoint to ONNX, INT8, engine, accuracy, latency, verdict.

    Without a recipe, weights and data, a demo model is trained on bundled digits.
    """
    remote.require_host()
    required.refuse_both()
    chosen = resolve(recipe, stated)
    for told in stated.told:
        note(told, terminal.silent)
    _check_label(label)
    planning.save(chosen, recipe, out)
    if planning.dry_run:
        planning.show(chosen, out, tune, terminal, remote.host or ())
        return
    _warn_of_engines(chosen, terminal.silent)
    settings = remote.settings(required.words())
    if remote.host:
        from edge_convnext.devices.ssh import check_hosts

        check_hosts(remote.host, settings)  # before the build, which takes minutes
    report = _build_here(chosen, out, tune, required, label, terminal.silent)
    errors: list[str] = []
    if remote.host:
        report, errors = measure_build(report, remote.host, settings, terminal.silent)
    elif chosen.targets != "auto":
        asked = required.requirement()
        report, errors = _measure_here(report, chosen.targets, asked, terminal.silent)
    print_outcome(report, terminal.json)
    if show:
        _show(report)
    for error in errors:
        note(f"error: {error}")
    if errors:
        raise typer.Exit(3)
    if not _passed(report):
        raise typer.Exit(1)


def _build_here(
    recipe: Recipe,
    out: Path | None,
    tune: Literal["off", "quick", "full"],
    required: Required,
    label: str | None,
    silent: bool,
) -> Report:
    """Search plans if that is asked for, then build."""
    from edge_convnext.build import pipeline
    from edge_convnext.core.heap import keep_heap
    from edge_convnext.measure.to_report import few_rounds_notes

    keep_heap()
    if pipeline.is_demo(recipe):
        note(pipeline.DEMO_BANNER, silent)
    for few in few_rounds_notes(recipe):  # before the work, which takes minutes
        note(few, silent)
    on_read = show_read(silent)
    with build_progress(silent, kind_of(recipe, tune)) as track:
        if tune != "off":
            from edge_convnext.build.tuning.tune import search_plans

            recipe = search_plans(recipe, tune, track, on_read)
        return pipeline.build(
            recipe,
            out,
            require=required.require,
            require_likely=required.require_likely,
            label=label,
            track=track,
            on_read=on_read,
        )


def _check_label(label: str | None) -> None:
    """Refuse a label that a report can't have, before anything is written or read."""
    from edge_convnext.build.label import settle_label

    if label is not None:
        settle_label(label)


def _show(report: Report) -> None:
    from edge_convnext.core.files import expand_home
    from edge_convnext.report.manifest import PAGE

    show_page(expand_home(report.folder) / PAGE)


def _passed(report: Report) -> bool:
    """Whether every verdict that decides is passed; boards decide if the build could not."""
    verdicts = [run.verdict for run in report.boards]
    if report.verdict.ship != "undecided" or not verdicts:
        verdicts.append(report.verdict)
    return all(one.passed for one in verdicts)


def _warn_of_engines(recipe: Recipe, silent: bool) -> None:
    """Warn, before the build, of what will prevent its engines from being measured."""
    if {"rtx", "tensorrt"} & {*recipe.targets}:
        from edge_convnext.devices.bench.builders import why_no_engines

        if reason := why_no_engines():
            note(f"no engine will be measured here: {reason}", silent)


def _measure_here(
    report: Report, targets: Sequence[str], require: Requirement | None, silent: bool
) -> tuple[Report, list[str]]:
    """Build, race and evaluate the engines of a build at once, if this machine has the GPU.

    Returns:
        The report, with this machine as a board if it was measured; and errors, which don't undo
        the finished build.
    """
    from edge_convnext.core.errors import EdgeConvNextError
    from edge_convnext.devices.bench.here import builders_for, measure_here

    builders, reason = builders_for(targets)
    if reason is not None:
        note(f"{'not every' if builders else 'no'} engine is measured here: {reason}", silent)
    if not builders:
        return report, []
    try:
        with progress(silent) as track:
            return measure_here(
                report, builders, require, track, lambda text: note(text, silent)
            ), []
    except EdgeConvNextError as error:
        return report, [str(error)]
