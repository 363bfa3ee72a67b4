"""`edge-convnext bench BUNDLE`: everything that happens on the board, in order."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_convnext.core.files import AnyPath
from edge_convnext.core.marks import mark
from edge_convnext.core.progress import Track, untracked
from edge_convnext.data.places import require_outside
from edge_convnext.devices.bench.builders import find_builders, why_no_engines
from edge_convnext.devices.bench.candidates import fused_for_others, list_candidates
from edge_convnext.devices.bench.choose import Choice, choose, near_float
from edge_convnext.devices.bench.engines import BuiltEngine, EngineBuilder, build_engines
from edge_convnext.devices.bench.measure import (
    compare,
    evaluate_candidates,
    measure_energy,
    require_fitting,
    try_candidates,
)
from edge_convnext.devices.bench.publish import publish_board
from edge_convnext.devices.bench.readings import Readings, find_readings
from edge_convnext.devices.bench.report import Measured, Seen, board_files, board_report
from edge_convnext.devices.bench.right_here import keep_right
from edge_convnext.devices.bench.work_folder import (
    UNPACKED,
    check_folder,
    drop_others,
    drop_unpacked,
    removed_on_failure,
)
from edge_convnext.devices.bundle import open_bundle
from edge_convnext.devices.doctor import environment
from edge_convnext.measure.evaluation import Evaluation
from edge_convnext.measure.race import race
from edge_convnext.measure.to_report import few_rounds_notes
from edge_convnext.networks.recipe_file import make_recipe
from edge_convnext.report.contract import Report
from edge_convnext.report.described import EnergyReport, LeftOutReport
from edge_convnext.runtimes.load import available_runtimes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edge_convnext.core.artifacts import RuntimeName
    from edge_convnext.core.recipe import Recipe
    from edge_convnext.devices.bundle import Unpacked
    from edge_convnext.devices.bundle.unpacked import UnpackedEvaluation
    from edge_convnext.measure.candidates import Candidate
    from edge_convnext.measure.timings import BenchmarkResult
    from edge_convnext.report.verdict import Requirement

__all__ = ["BoardSettings", "bench_bundle"]

_TIMED_IMAGES = 32
_WORK = "work"
_LOGITS = "logits"
_ENGINES = "engines"  # folder for engines of all bundles; their names are keys of their inputs


@dataclass(frozen=True)
class BoardSettings:
    """Settings that a user may state; None means the build's value."""

    runtimes: tuple[RuntimeName, ...] | None = None  # on the CPU; None: all installed ones
    batches: tuple[int, ...] | None = None
    threads: int | None = None
    rounds: int | None = None
    lock_clocks: bool = False
    energy_seconds: float = 5.0  # of each candidate, where the board has a power meter
    require: Requirement | None = None


def bench_bundle(
    path: AnyPath,
    out: AnyPath,
    settings: BoardSettings | None = None,
    track: Track = untracked,
    say: Callable[[str], None] = lambda _: None,
    readings: Readings | None = None,
    builders: Sequence[EngineBuilder] | None = None,
) -> Report:
    """Measure a bundle on this machine and decide what ships here.

    Args:
        path: Bundle that `edge-convnext bundle` wrote.
        out: Folder for the report and the file that ships. Its `work/` keeps engines and logits
            for the next run, and until this one is finished the unpacked bundle too: an
            interrupted run can continue.
        settings: Batches, rounds and the like; None for the build's.
        track: Progress over engines, images and timings.
        say: Called with each line that the user should read at once.
        readings: Readings of mode, clocks and power; None for this machine's.
        builders: Builders of engines; None for those that work here.

    Returns:
        The report, as written to `report.json`.

    Raises:
        ArtifactError: The bundle is damaged, or nothing in it runs here.
        EdgeConvNextError: The bench failed; the message says why and what to do. No report is
            written then.
    """
    path = Path(path)
    out = Path(out)
    chosen = settings or BoardSettings()
    bundle = open_bundle(path)
    readings = readings or find_readings()
    needs_gpu = any(graph.kind != "cpu" for graph in bundle.manifest.graphs)
    if builders is None and needs_gpu and (reason := why_no_engines()):
        say(f"no engine is built or measured here: {reason}")  # while it can still be installed
    locked = readings.locked_clocks() if chosen.lock_clocks else contextlib.nullcontext()
    with locked:
        work = out / _WORK / bundle.digest[:16]
        with removed_on_failure(out, work):
            check_folder(out)
            if not work.is_dir():
                work.mkdir(parents=True)
                mark(work)
            unpacked = bundle.unpack(work / UNPACKED, track)
            require_outside(out, *unpacked.report.data_folders)
        recipe = _recipe_here(unpacked, chosen)
        for few in few_rounds_notes(recipe):
            say(few)  # before the work, which takes minutes
        drop_others(work)
        before = readings.state()
        if before is not None and before.get("clocks_locked") is not True:
            say("the clocks are not locked, so timings vary more; --lock-clocks locks them")
        measured = _measure(unpacked, recipe, work, chosen, readings, builders, track)
        after = readings.state()
    seen = Seen(before, after, readings.reason, readings.differences())
    report = board_report(measured, seen, chosen.require, out)
    published = publish_board(board_files(measured, report.verdict), report, out)
    drop_unpacked(work)
    return published


def _measure(
    unpacked: Unpacked,
    recipe: Recipe,
    work: Path,
    settings: BoardSettings,
    readings: Readings,
    builders: Sequence[EngineBuilder] | None,
    track: Track,
) -> Measured:
    machine, config = environment(), recipe.benchmark
    engines, unbuilt = _build(unpacked, builders, work.parent / _ENGINES, settings.batches, track)
    runtimes = settings.runtimes or available_runtimes()
    candidates = list_candidates(unpacked, runtimes, engines, machine["cpu_flags"])
    unbuilt += fused_for_others(unpacked, runtimes)
    images = unpacked.evaluation()
    shown = _timed_images(unpacked, images)
    candidates, refused = try_candidates(candidates, shown, config.threads)
    evaluation, unheld = None, "the bundle has no images"
    if images is not None:
        evaluation, broken = _evaluate(candidates, images, recipe, work / _LOGITS, machine, track)
        candidates = [one for one in candidates if one.name in evaluation.options]
        sources = {one.name: unpacked.graph_path(one.graph) for one in engines}
        logits = {name: found.logits for name, found in evaluation.options.items()}
        candidates, wrong, unheld = keep_right(candidates, logits, sources, shown, config.threads)
        evaluation = _without(evaluation, candidates)
        refused += (*broken, *wrong)
    require_fitting(candidates, config.batches)
    choose_from = partial(_choose, candidates, recipe, evaluation)
    raced = race(candidates, shown, recipe, lambda timings: choose_from(timings).finalists, track)
    return Measured(
        unpacked=unpacked,
        recipe=recipe,
        machine=machine,
        engines=engines,
        candidates=candidates,
        left_out=(*unbuilt, *refused),
        evaluation=evaluation,
        unheld=unheld,
        race=raced,
        choice=choose_from(raced.timings),
        energy=_measure_energy(candidates, shown, raced.timings, settings, readings, track),
    )


def _recipe_here(unpacked: Unpacked, settings: BoardSettings) -> Recipe:
    """Return the build's recipe with the user's settings for this machine."""
    # The number of threads of the build's machine means nothing on another one.
    stated: dict[str, Any] = {"benchmark.threads": settings.threads}
    stated |= {"benchmark.batches": settings.batches} if settings.batches else {}
    stated |= {"benchmark.rounds": settings.rounds} if settings.rounds else {}
    return make_recipe(unpacked.report.recipe, str(unpacked.folder), stated)


def _evaluate(
    candidates: Sequence[Candidate],
    images: UnpackedEvaluation,
    recipe: Recipe,
    folder: Path,
    machine: Mapping[str, Any],
    track: Track,
) -> tuple[Evaluation, list[LeftOutReport]]:
    """Evaluate the candidates; those with logits that are not finite are left out, with reasons."""
    started = time.perf_counter()
    facts = {"fingerprint": machine["fingerprint"], "versions": machine["versions"]}
    batch, threads = recipe.evaluate.batch, recipe.benchmark.threads
    found, broken = evaluate_candidates(candidates, images, batch, threads, folder, facts, track)
    compared = compare(images.reference, found)
    seconds = time.perf_counter() - started
    return Evaluation(images.reference, found, compared, cached=False, seconds=seconds), broken


def _without(evaluation: Evaluation, kept: Sequence[Candidate]) -> Evaluation:
    """The evaluation of those that are kept."""
    names = [one.name for one in kept]
    return replace(
        evaluation,
        options={name: evaluation.options[name] for name in names},
        comparisons={name: evaluation.comparisons[name] for name in names},
    )


def _choose(
    candidates: Sequence[Candidate],
    recipe: Recipe,
    evaluation: Evaluation | None,
    timings: BenchmarkResult,
) -> Choice:
    compared = evaluation.comparisons if evaluation is not None else {}
    near, budget = near_float(candidates, evaluation), recipe.evaluate.max_drop_pp
    return choose(candidates, recipe.precision, timings, compared, budget, near)


def _measure_energy(
    candidates: Sequence[Candidate],
    images: NDArray[np.float32],
    timings: BenchmarkResult,
    settings: BoardSettings,
    readings: Readings,
    track: Track,
) -> tuple[EnergyReport, ...]:
    """Measure energy of each candidate at the smallest timed batch; empty without a meter."""
    meter = readings.meter()
    if meter is None:
        return ()
    batch = min(row.batch for row in timings.rows)
    fitting = [one for one in candidates if one.fits(batch)]
    shown = track(fitting, "measuring energy", len(fitting))
    seconds = settings.energy_seconds
    with contextlib.closing(meter):
        return measure_energy(shown, images, batch, settings.threads, seconds, meter)


def _build(
    unpacked: Unpacked,
    builders: Sequence[EngineBuilder] | None,
    folder: Path,
    batches: tuple[int, ...] | None,
    track: Track,
) -> tuple[list[BuiltEngine], list[LeftOutReport]]:
    graphs = [
        (graph, unpacked.graph_path(graph), unpacked.manifest.member(graph.file).sha256)
        for graph in unpacked.manifest.graphs
        if graph.kind != "cpu" and (batches is None or graph.batch in (None, *batches))
    ]
    engines: list[BuiltEngine] = []
    left_out: list[LeftOutReport] = []
    if not graphs:
        return engines, left_out
    reason = None
    if builders is None:
        builders, reason = find_builders()
    for builder in track(builders, "building engines", len(builders)) if builders else ():
        built, failed = build_engines(builder, graphs, folder)
        engines += built
        left_out += [LeftOutReport(artifact=one.name, reason=one.reason) for one in failed]
    if not builders:
        why = reason or "no TensorRT builds engines here"
        left_out += [LeftOutReport(artifact=graph.name, reason=why) for graph, _, _ in graphs]
    return engines, left_out


def _timed_images(unpacked: Unpacked, evaluation: UnpackedEvaluation | None) -> NDArray[np.float32]:
    """Return real images if there are any, else noise.

    The time is taken not to depend on them, which was measured for ConvNeXt only.
    """
    if evaluation is not None:
        return next(iter(evaluation.batches(min(_TIMED_IMAGES, len(evaluation)))))
    like = unpacked.preprocess
    shape = (1, unpacked.manifest.model.in_channels, like.height, like.width)
    return np.random.default_rng(0).standard_normal(shape, np.float32)
