"""`tune` on the device: make the graphs here, race them there, and take the graph that won.

The board races, evaluates and chooses; this machine makes graphs, which needs packages that boards
don't have. The machine with the GPU may be this one: then the same search runs here.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import numpy as np

from edge_convnext.build.assemble import model_part
from edge_convnext.build.compare import evaluate_options
from edge_convnext.build.entrants import verdict_batch
from edge_convnext.build.settle import prepare
from edge_convnext.build.tuning.board.files import write_board_files
from edge_convnext.build.tuning.board.gpu_graphs import make_gpu_graphs
from edge_convnext.build.tuning.board.graphs import make_cpu_graphs
from edge_convnext.build.tuning.board.values import BoardAim, BoardTuned
from edge_convnext.build.tuning.cost_model import Calibration
from edge_convnext.build.tuning.gpu_search import GpuSearch
from edge_convnext.build.tuning.gpu_tune import plan_capability, prepare_batch
from edge_convnext.build.tuning.trials import rank
from edge_convnext.core.cache import Cache, default_cache_folder
from edge_convnext.core.errors import ArtifactError, EdgeConvNextError, RecipeError
from edge_convnext.core.scratch import scratch_folder
from edge_convnext.data.places import require_outside
from edge_convnext.devices.bundle.search_manifest import SearchEntry
from edge_convnext.devices.bundle.write_search import write_search
from edge_convnext.devices.doctor import environment
from edge_convnext.devices.ssh.hosts import RemoteSettings
from edge_convnext.devices.ssh.search import as_words, examine_host, search_on_host
from edge_convnext.devices.tuning import SearchSettings, search_bundle
from edge_convnext.devices.tuning.journal import JOURNAL
from edge_convnext.networks.family import family_of_model
from edge_convnext.networks.litert_plan import is_tuned, require_tuned
from edge_convnext.runtimes.load import available_runtimes, runtime_names
from edge_convnext.runtimes.tensorrt.rtx_builder import why_no_rtx

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from edge_convnext.build.inputs import Inputs
    from edge_convnext.build.settle import Prepared
    from edge_convnext.build.tuning.board.candidates import BoardGraphs
    from edge_convnext.build.tuning.board.files import BoardTuneReport
    from edge_convnext.build.tuning.cost_model import Gpu
    from edge_convnext.core.artifacts import CpuRuntimeName
    from edge_convnext.core.cache import Cache
    from edge_convnext.core.progress import Track
    from edge_convnext.core.recipe import Recipe, TargetName
    from edge_convnext.data.images import Sample
    from edge_convnext.devices.tuning.result import BoardSearch
    from edge_convnext.measure.accuracy import Predictions
    from edge_convnext.networks.plans import Plan

__all__ = ["tune_board_to_files", "tune_on_board"]

_QUICK_IMAGES = 512  # that judge finalists on the board
_RTX_SAYS = "Candidates are ordered by rules: the cost model {} ({})."


def tune_on_board(
    recipe: Recipe,
    aim: BoardAim,
    folder: Path,
    cache: Cache,
    track: Track,
    say: Callable[[str], None],
    keep: Callable[[BoardTuned], None],
    on_read: Callable[[Inputs], None] | None = None,
) -> BoardTuned:
    """Search the plan that is the fastest accurate one on a board.

    Args:
        recipe: Recipe with the model, its data and the accuracy budget; INT8.
        aim: The board, the time, and what is raced.
        folder: Folder of the results; it keeps the journal, and of a search here engines.
        cache: Cache of finished stages: a build of the winner finds its graph there.
        track: Shows work that takes long.
        say: Called with each line of progress of the board.
        keep: Called with the result while the files that were fetched exist.
        on_read: Called with what was read, before any work is done.

    Raises:
        RecipeError: The precision is not int8, folds are off, or there are no calibration images.
        RemoteError: The board can't be reached, or the search failed there.
        ArtifactError: What the board says won is not what was sent there.
        EdgeConvNextError: A stage failed, as in a build.
    """
    started = time.monotonic()
    _check_recipe(recipe)
    runtimes = _look_at_board(recipe, aim)  # fails before any work
    machine = environment()
    targets: tuple[TargetName, ...] = ("tensorrt",) if aim.target == "tensorrt" else ("cpu",)
    quick = recipe.recover.model_copy(update={"enabled": False})
    raced = recipe.model_copy(update={"targets": targets, "runtime": "auto", "recover": quick})
    prepared = prepare(
        raced, cache, machine["versions"], track,
        fold_only=True, machine=machine["fingerprint"], on_read=on_read,
    )  # fmt: skip
    batch = aim.batch or verdict_batch(recipe)
    graphs = _make_graphs(prepared, aim, runtimes, batch, machine["fingerprint"])
    reference, samples = _find_answers(prepared, aim, machine["fingerprint"])
    with scratch_folder() as scratch:
        bundle = scratch / "search.ecb"
        write_search(
            bundle, model_part(prepared.inputs), prepared.inputs.info.preprocess,
            list(graphs.found.values()), _entry(recipe, aim, graphs, batch), reference, samples,
        )  # fmt: skip
        fetched = scratch / "fetched"
        fetched.mkdir()
        found = _run(bundle, fetched, folder, aim, track, say)
        won = found.won
        sent = graphs.found.get(won.graph)
        if sent is None or sent.sha256 != won.sha256:
            raise ArtifactError(
                f"{aim.host or folder}: the graph that won there, {won.graph}, is not the one that "
                "was made here; search again"
            )
        tuned = BoardTuned(
            recipe, aim, found, graphs.plans[won.graph, won.runtime], _best_float(found, graphs),
            sent.path, tuple(fetched / file.path for file in found.outputs), graphs.failed,
            tuple(graphs.notes), machine, batch, time.monotonic() - started,
        )  # fmt: skip
        keep(tuned)
    return tuned


def tune_board_to_files(
    recipe: Recipe,
    aim: BoardAim,
    folder: Path,
    track: Track,
    say: Callable[[str], None],
    cache: Cache | None = None,
    on_read: Callable[[Inputs], None] | None = None,
) -> BoardTuneReport:
    """Search on a board, and write what won into a folder.

    Raises:
        EdgeConvNextError: An error of `tune_on_board`; an earlier search's files stay then, and
            the journal says what was done.
    """
    require_outside(folder, recipe.data.source, recipe.data.calibration)
    store = cache or Cache(default_cache_folder(os.environ))
    written: list[BoardTuneReport] = []
    tune_on_board(
        recipe, aim, folder, store, track, say,
        lambda tuned: written.append(write_board_files(tuned, folder)), on_read,
    )  # fmt: skip
    return written[0]


def _check_recipe(recipe: Recipe) -> None:
    if recipe.precision != "int8":
        raise RecipeError(f"tune finds INT8 plans, and the precision is {recipe.precision}")
    if family_of_model(recipe.model).folds and not recipe.fold.enabled:
        raise RecipeError("tune has forms of folded weights alone: set fold.enabled to true")


def _look_at_board(recipe: Recipe, aim: BoardAim) -> tuple[CpuRuntimeName, ...]:
    """The CPU runtimes to race, of those that the board has; none for a GPU.

    Raises:
        RecipeError: The board lacks what the target needs.
    """
    if aim.host is None:
        there: Sequence[str] = available_runtimes()
        return _runtimes(recipe, there, "here") if aim.target != "tensorrt" else ()
    seen = examine_host(aim.host, aim.remote)
    abilities = [one for one in seen.get("abilities") or () if isinstance(one, dict)]
    if aim.target == "tensorrt":
        own = [one for one in abilities if one.get("name") == "tensorrt"]
        if own and not own[0].get("works"):
            reason = " ".join(str(own[0].get("reason") or "no reason is given").split())
            raise RecipeError(f"{aim.host}: builds no engines with TensorRT: {reason}")
        return ()
    working = [str(one.get("name")) for one in abilities if one.get("works")]
    return _runtimes(recipe, working, f"on {aim.host}")


def _runtimes(recipe: Recipe, there: Sequence[str], where: str) -> tuple[CpuRuntimeName, ...]:
    require_tuned(recipe.runtime)
    known = [name for name in runtime_names("graphs") if name in there and is_tuned(name)]
    wanted = [name for name in known if recipe.runtime in ("auto", name)]
    if not wanted:
        asked = "no runtime" if recipe.runtime == "auto" else f"no {recipe.runtime}"
        has = f"; it has {', '.join(known)}" if known else ""
        raise RecipeError(f"{asked} is installed {where}{has}")
    return tuple(wanted)


def _make_graphs(
    prepared: Prepared,
    aim: BoardAim,
    runtimes: Sequence[CpuRuntimeName],
    batch: int,
    machine: str,
) -> BoardGraphs:
    if aim.target == "tensorrt":
        assert aim.gpu is not None  # of this target
        ranked, note = _rank(prepared, batch, machine, aim.gpu, aim.full)
        made = make_gpu_graphs(prepared, batch, ranked, full=aim.full)
        made.notes.append(note)
        return made
    arm = aim.target == "arm-cpu"
    return make_cpu_graphs(prepared, runtimes, batch, machine, full=aim.full, arm=arm)


def _rank(
    prepared: Prepared, batch: int, machine: str, gpu: Gpu, full: bool
) -> tuple[list[Plan], str]:
    """Plans by modelled time, and a sentence on where their order comes from."""
    if reason := why_no_rtx():
        return [], _RTX_SAYS.format("can't be asked here", reason)
    runner = prepared.runner
    own = prepare_batch(runner.recipe, batch, runner.cache, dict(runner.versions), runner.track)
    search = GpuSearch(own, gpu, Calibration(), plan_capability(gpu.capability), machine)
    try:
        trials = search.run(every=full)
    except EdgeConvNextError as error:
        return [], _RTX_SAYS.format("failed", error)
    note = f"Candidates are ordered by the cost model of {gpu.name} and by rules, in turn."
    return [one.plan for one in rank(trials)], note


def _find_answers(
    prepared: Prepared, aim: BoardAim, machine: str
) -> tuple[Predictions | None, tuple[Sample, ...]]:
    """The float model's answers on the images that judge finalists; a quick search has fewer."""
    inputs = prepared.inputs
    if inputs.evaluation is None:
        return None, ()
    evaluation = evaluate_options([], inputs.weights, inputs.evaluation, prepared.runner, machine)
    samples = inputs.evaluation.samples
    if aim.full or len(samples) <= _QUICK_IMAGES:
        return evaluation.reference, samples
    rows = np.linspace(0, len(samples) - 1, _QUICK_IMAGES).round().astype(np.intp)
    return evaluation.of(rows).reference, tuple(samples[row] for row in rows)


def _entry(recipe: Recipe, aim: BoardAim, graphs: BoardGraphs, batch: int) -> SearchEntry:
    return SearchEntry(
        target="tensorrt" if aim.target == "tensorrt" else "cpu",
        entrants=tuple(graphs.entrants),
        batch=batch,
        threads=recipe.benchmark.threads,
        evaluate_batch=recipe.evaluate.batch,
        min_round_ms=recipe.benchmark.min_round_ms,
        warmup=recipe.benchmark.warmup,
        seed=recipe.seed,
        max_drop_pp=recipe.evaluate.max_drop_pp,
    )


def _run(
    bundle: Path,
    fetched: Path,
    folder: Path,
    aim: BoardAim,
    track: Track,
    say: Callable[[str], None],
) -> BoardSearch:
    """Search on the board; or here, in a folder of its own, where engines are kept."""
    folder.mkdir(parents=True, exist_ok=True)
    if aim.host is None:
        here = folder / "board"
        settings = SearchSettings(aim.limit, aim.power_modes, aim.lock_clocks)
        found = search_bundle(bundle, here, settings, track, say)
        for file in found.outputs:
            (fetched / file.path).symlink_to((here / file.path).absolute())
        return found
    words = as_words(aim.limit, aim.power_modes, aim.lock_clocks)
    remote = RemoteSettings(
        aim.remote.ssh_options, aim.remote.command, words, aim.remote.keep, aim.remote.give_up_s
    )
    return search_on_host(bundle, aim.host, fetched, folder / JOURNAL, remote, say)


def _best_float(found: BoardSearch, graphs: BoardGraphs) -> Plan | None:
    """The plan of the fastest float of the last race."""
    rows = [row for row in found.races[0].rows if row.precision != "int8"]
    if not rows:
        return None
    name = min(rows, key=lambda row: row.gpu_ms_p50 or row.latency_ms_p50).name
    trial = next(one for one in found.trials if one.name == name)
    return graphs.plans.get((trial.graph, trial.runtime))
