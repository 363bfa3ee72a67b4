"""`edge-convnext bench BUNDLE`: everything that happens on the board, in order."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_convnext.core.errors import ArtifactError, EdgeConvNextError
from edge_convnext.core.files import AnyPath
from edge_convnext.core.marks import MARK, mark, remove_marked
from edge_convnext.core.places import require_outside
from edge_convnext.core.progress import Track, untracked
from edge_convnext.core.swap import require_writable
from edge_convnext.devices.bench.builders import find_builders, why_no_engines
from edge_convnext.devices.bench.choose import choose
from edge_convnext.devices.bench.engines import BuiltEngine, EngineBuilder, build_engines
from edge_convnext.devices.bench.entries import cpu_entries, engine_entry
from edge_convnext.devices.bench.measure import (
    compare,
    evaluate_entries,
    judge_entries,
    measure_energy,
    race,
    try_entries,
)
from edge_convnext.devices.bench.readings import Readings, find_readings
from edge_convnext.devices.bench.report import Measured, Seen, find_old, publish_board
from edge_convnext.devices.bundle import open_bundle
from edge_convnext.devices.doctor import environment
from edge_convnext.measure.quiet import race_in_quiet
from edge_convnext.networks.recipe_file import make_recipe
from edge_convnext.report.contract import EnergyReport, LeftOutReport, Report
from edge_convnext.runtimes.load import available_runtimes, has_bf16

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edge_convnext.core.artifacts import RuntimeName
    from edge_convnext.core.recipe import BenchmarkConfig, Recipe
    from edge_convnext.devices.bench.entries import Entry
    from edge_convnext.devices.bundle import Unpacked
    from edge_convnext.devices.bundle.read import UnpackedEvaluation
    from edge_convnext.measure.accuracy import Comparison, Predictions
    from edge_convnext.measure.benchmark import BenchmarkResult
    from edge_convnext.report.verdict import Requirement

__all__ = ["BoardSettings", "bench_bundle"]

_TIMED_IMAGES = 32
_WORK = "work"
_ENGINES = "engines"  # of any bundle: their names tell what they were built from


@dataclass(frozen=True)
class BoardSettings:
    """What a user may state; None: as the build did."""

    runtimes: tuple[RuntimeName, ...] | None = None  # on the CPU; None: all that are installed
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
        path: What `edge-convnext bundle` wrote.
        out: Folder for the report and the file that ships; `work/` in it keeps engines and
            logits, which an interrupted run goes on from.
        settings: Batches, rounds and the like.
        track: Shows the work.
        say: Told of what a user should know at once.
        readings: Of mode, clocks and power; None: this machine's.
        builders: Of engines; None: those that work here.

    Returns:
        The report, as written to `report.json`.

    Raises:
        ArtifactError: Not a sound bundle, or nothing in it runs here.
        EdgeConvNextError: In one line, what is wrong and what to do; no report is written then.
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
        with _removed_on_failure(out, work):
            _check_folder(out)
            if not work.is_dir():
                work.mkdir(parents=True)
                mark(work)
            unpacked = bundle.unpack(work / "bundle", track)
            require_outside(out, *unpacked.report.data_folders)
        _drop_others(work)
        before = readings.state()
        if before is not None and before.get("clocks_locked") is not True:
            say("the clocks are not locked: timings vary more; --lock-clocks holds them meanwhile")
        measured = _measure(unpacked, work, chosen, readings, builders, track)
        after = readings.state()
    seen = Seen(before, after, readings.reason, readings.differences())
    return publish_board(measured, out, seen, chosen.require)


@contextlib.contextmanager
def _removed_on_failure(out: Path, work: Path) -> Iterator[None]:
    """Where the block fails, what it made is removed; what was there before stays."""
    known = [path for path in (out, work.parent, work) if path.exists()]
    unpacked = work / "bundle"
    whole = unpacked.exists()
    try:
        yield
    except (EdgeConvNextError, OSError):
        if not whole:
            shutil.rmtree(unpacked, ignore_errors=True)
        for path in (work, work.parent, out):
            if path not in known:
                with contextlib.suppress(OSError):  # it is not empty, or was never made
                    (path / MARK).unlink(missing_ok=True)
                    path.rmdir()
        raise


def _measure(
    unpacked: Unpacked,
    work: Path,
    settings: BoardSettings,
    readings: Readings,
    builders: Sequence[EngineBuilder] | None,
    track: Track,
) -> Measured:
    machine = environment()
    # The desk's number of threads means nothing on another machine.
    stated: dict[str, Any] = {"benchmark.threads": settings.threads}
    stated |= {"benchmark.batches": settings.batches} if settings.batches else {}
    stated |= {"benchmark.rounds": settings.rounds} if settings.rounds else {}
    recipe = make_recipe(unpacked.report.recipe, str(unpacked.folder), stated)
    config = recipe.benchmark
    engines, left_out = _build(unpacked, builders, work.parent / _ENGINES, settings.batches, track)
    runtimes = settings.runtimes or available_runtimes()
    entries = cpu_entries(unpacked, runtimes, has_bf16(runtimes))
    entries += [engine_entry(engine) for engine in engines]
    evaluation = unpacked.evaluation()
    images = _timed_images(unpacked, evaluation)
    entries, refused = try_entries(entries, images, config.threads)
    predictions: dict[str, Predictions] = {}
    comparisons: dict[str, Comparison] = {}
    evaluate_seconds: float | None = None
    if evaluation is not None:
        started = time.perf_counter()
        facts = {"fingerprint": machine["fingerprint"], "versions": machine["versions"]}
        predictions, broken = evaluate_entries(
            entries,
            evaluation,
            recipe.evaluate.batch,
            config.threads,
            work / "logits",
            facts,
            track,
        )
        entries = [entry for entry in entries if entry.name in predictions]
        refused += broken
        comparisons = compare(evaluation.reference, predictions)
        evaluate_seconds = time.perf_counter() - started
    started = time.perf_counter()
    once = partial(_race, entries, images, config, recipe, comparisons, track)
    timings = race_in_quiet(once, config.wait_quiet_min, _load, track)
    race_seconds = time.perf_counter() - started
    meter = readings.meter()
    energy: tuple[EnergyReport, ...] = ()
    if meter is not None:
        batch = min(row.batch for row in timings.rows)
        fitting = [entry for entry in entries if entry.fits(batch)]
        with contextlib.closing(meter):
            energy = measure_energy(
                track(fitting, "measuring energy", len(fitting)),
                images,
                batch,
                config.threads,
                settings.energy_seconds,
                meter,
            )
    return Measured(
        unpacked=unpacked,
        recipe=recipe,
        machine=machine,
        engines=tuple(engines),
        entries=tuple(entries),
        left_out=(*left_out, *refused),
        reference=evaluation.reference if evaluation else None,
        predictions=predictions,
        comparisons=comparisons,
        evaluate_seconds=evaluate_seconds,
        timings=timings,
        race_seconds=race_seconds,
        energy=energy,
    )


def _race(
    entries: Sequence[Entry],
    images: NDArray[np.float32],
    config: BenchmarkConfig,
    recipe: Recipe,
    comparisons: Mapping[str, Comparison],
    track: Track,
) -> BenchmarkResult:
    """Time everything, and then in fresh loads what may ship and what it has to beat."""
    timings = race(entries, images, config, recipe.seed, track)
    budget = recipe.evaluate.max_drop_pp
    choice = choose(entries, recipe.precision, timings, comparisons, budget)
    finalists = [*([choice.wanted] if choice.wanted else []), *choice.rivals]
    return judge_entries(timings, finalists, images, config, recipe.seed, track)


def _load(timings: BenchmarkResult) -> float | None:
    return timings.other_load_pct


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
    """Real images where there are some; a ConvNeXt takes the same time whatever it is shown."""
    if evaluation is not None:
        return next(iter(evaluation.batches(min(_TIMED_IMAGES, len(evaluation)))))
    side, channels = unpacked.preprocess.image_size, unpacked.manifest.model.in_channels
    return np.random.default_rng(0).standard_normal((1, channels, side, side), np.float32)


def _drop_others(work: Path) -> None:
    """Remove what benches of other bundles left beside `work`; engines and timings stay."""
    if work.parent.is_dir():
        for other in work.parent.iterdir():
            if other.name != work.name:
                remove_marked(other)


def _check_folder(out: Path) -> None:
    """Refuse, before the first engine, to write over a build or where nothing can be written."""
    from edge_convnext.report.folder import REPORT

    report = out / REPORT
    if report.is_file() and Report.read(report).board is None:
        raise ArtifactError(f"{out}: is a build's folder; choose another --out")
    require_writable(out)
    find_old(out)
    out.mkdir(parents=True, exist_ok=True)
