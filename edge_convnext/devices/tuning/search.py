"""`edge-convnext tune SEARCH`: everything of a search that happens on the board, in order."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_convnext.core.errors import ArtifactError
from edge_convnext.core.files import AnyPath
from edge_convnext.core.marks import mark
from edge_convnext.core.progress import Track, untracked
from edge_convnext.core.quotas import free_memory_bytes
from edge_convnext.core.swap import require_writable
from edge_convnext.devices.bench.builders import find_builders
from edge_convnext.devices.bench.readings import Readings, find_readings
from edge_convnext.devices.bench.work_folder import UNPACKED, drop_unpacked
from edge_convnext.devices.bundle.read import SearchBundle, open_search
from edge_convnext.devices.doctor import environment
from edge_convnext.devices.jetson.power_modes import JetsonModes, PowerMode, PowerModes
from edge_convnext.devices.tuning.contest import (
    Contest,
    Judgement,
    choose_winner,
    judge_finalists,
    race_entrants,
)
from edge_convnext.devices.tuning.entrants import enter_engines, enter_graphs
from edge_convnext.devices.tuning.journal import JOURNAL, Journal
from edge_convnext.devices.tuning.last_race import Finals, race_in_modes, run_last_race
from edge_convnext.devices.tuning.memory import workspace_mib
from edge_convnext.devices.tuning.publish import find_old, publish_search
from edge_convnext.devices.tuning.result import BoardSearch, LastRace
from edge_convnext.devices.tuning.stopwatch import Stopwatch
from edge_convnext.devices.tuning.trials import list_trials
from edge_convnext.report.described import EnvironmentReport
from edge_convnext.runtimes.load import available_runtimes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edge_convnext.devices.bench.engines import EngineBuilder
    from edge_convnext.devices.bundle.unpacked import UnpackedEvaluation, UnpackedSearch
    from edge_convnext.measure.candidates import Candidate

__all__ = ["SearchSettings", "search_bundle"]

_TIMED_IMAGES = 32
_BUILD_SHARE = 0.6  # of the time: engines are built one at a time, and each takes minutes
_FLOATS = 2  # floats of the last race


@dataclass(frozen=True)
class SearchSettings:
    """Settings that a user may state."""

    minutes: float | None = None  # of building and timing; None: no limit
    power_modes: tuple[str, ...] = ()  # numbers or names; none is changed that is not listed
    lock_clocks: bool = False  # in each power mode, of a Jetson
    energy_seconds: float = 5.0  # of each candidate, where the board has a power meter

    @property
    def limit_s(self) -> float:
        """Seconds of building and timing."""
        return math.inf if self.minutes is None else 60.0 * self.minutes


@dataclass(frozen=True)
class _Here:
    """This board, and where the search works."""

    machine: dict[str, Any]
    readings: Readings
    fresh: Callable[[], Readings]  # readings of a race of their own
    modes: PowerModes
    asked: tuple[PowerMode, ...]
    builder: EngineBuilder | None
    work: Path
    journal: Journal


def search_bundle(
    path: AnyPath,
    out: AnyPath,
    settings: SearchSettings | None = None,
    track: Track = untracked,
    say: Callable[[str], None] = lambda _: None,
    readings: Readings | None = None,
    builders: Sequence[EngineBuilder] | None = None,
    modes: PowerModes | None = None,
) -> BoardSearch:
    """Race the graphs of a search on this machine, and choose the one that ships.

    Args:
        path: Bundle that `edge-convnext tune --host` wrote.
        out: Folder for `search.json`, for the engine that won, and for the journal. Its `work/`
            keeps the unpacked bundle, engines and logits: an interrupted search goes on.
        settings: Time and power modes.
        track: Progress over engines, graphs and timings.
        say: Called with each line that the user should read at once.
        readings: Readings of mode, clocks and power; None for this machine's.
        builders: Builders of engines; None for those that work here.
        modes: Power modes; None for this machine's.

    Returns:
        What was found, as written to `search.json`.

    Raises:
        ArtifactError: The bundle is damaged, nothing of it runs here, or the disk is full.
        BoardError: A power mode is listed that can't be set here.
        EdgeConvNextError: The search failed; the journal keeps what was done.
    """
    path, out, chosen = Path(path), Path(out), settings or SearchSettings()
    bundle = open_search(path)
    require_writable(out)
    find_old(out)
    here = _look_around(bundle, out, chosen, readings, builders, modes)
    if here.journal.begun:
        spent = here.journal.spent_s
        say(f"going on with the search: {spent:.0f} s of building and timing were done before")
    unpacked = bundle.unpack(here.work / UNPACKED, track)
    found, winner = _search(unpacked, here, chosen, track, say)
    published = publish_search(found, winner, out)
    drop_unpacked(here.work)
    return published


def _search(
    unpacked: UnpackedSearch,
    here: _Here,
    settings: SearchSettings,
    track: Track,
    say: Callable[[str], None],
) -> tuple[BoardSearch, Candidate]:
    """What was found, and the candidate that won."""
    with _locked(here, settings):
        before = here.readings.state()
        if before is not None and before.get("clocks_locked") is not True:
            say("the clocks are not locked, so timings vary more; --lock-clocks locks them")
        images = unpacked.evaluation()
        watch = _enter(unpacked, _timed_images(unpacked, images), here, settings, track)
        for name, reason in watch.entered.lost.items():
            say(f"left out, {name}: {reason}")
        contest = race_entrants(watch.entered, watch, settings.limit_s)
        judgement = judge_finalists(
            contest, watch.entered, images, watch.images, watch, here.work / "logits",
            {"fingerprint": here.machine["fingerprint"], "versions": here.machine["versions"]},
        )  # fmt: skip
        names = _finalists(contest, judgement, watch)
        current = here.modes.current()
        mode = current.label if current else None
        finals = run_last_race(names, watch, here.fresh(), settings.energy_seconds, mode)
    races = race_in_modes(
        names, here.asked, here.modes, watch, here.fresh, settings.energy_seconds,
        lambda: _locked(here, settings),
    )  # fmt: skip
    found = _tell(unpacked, here, watch, contest, judgement, finals, races, before)
    return found, watch.entered.candidates[found.winner]


def _locked(here: _Here, settings: SearchSettings) -> AbstractContextManager[object]:
    """Clocks of the power mode in force, held at their maximum if the user wants it."""
    return here.readings.locked_clocks() if settings.lock_clocks else nullcontext()


def _look_around(
    bundle: SearchBundle,
    out: Path,
    settings: SearchSettings,
    readings: Readings | None,
    builders: Sequence[EngineBuilder] | None,
    modes: PowerModes | None,
) -> _Here:
    """Refuse, before any work, what this board can't do."""
    modes = modes or JetsonModes()
    asked = modes.find(settings.power_modes)
    builder = None
    machine = environment()
    if bundle.manifest.search.target == "tensorrt":
        builder = _find_builder(builders)
        machine["versions"]["tensorrt"] = builder.version
    work = out / "work" / bundle.digest[:16]
    if not work.is_dir():
        work.mkdir(parents=True)
        mark(work)
    identity = {
        "bundle": bundle.digest,
        "fingerprint": machine["fingerprint"],
        "versions": machine["versions"],
        "device": builder.device if builder else None,
    }
    journal = Journal(out / JOURNAL, identity)
    given = readings

    def fresh() -> Readings:
        return given or find_readings()

    return _Here(machine, fresh(), fresh, modes, asked, builder, work, journal)


def _find_builder(builders: Sequence[EngineBuilder] | None) -> EngineBuilder:
    """The classic TensorRT of this machine; it builds with half of the memory that is free."""
    reason = None
    if builders is None:
        builders, reason = find_builders(lambda: workspace_mib(free_memory_bytes()))
    found = next((one for one in builders if one.runtime == "tensorrt"), None)
    if found is None:
        raise ArtifactError(
            f"no engine can be built here: {reason or 'TensorRT is not installed'}; "
            "`edge-convnext doctor` says what is missing"
        )
    return found


def _enter(
    unpacked: UnpackedSearch,
    images: NDArray[np.float32],
    here: _Here,
    settings: SearchSettings,
    track: Track,
) -> Stopwatch:
    search = unpacked.manifest.search
    if here.builder is None:
        entered = enter_graphs(unpacked, available_runtimes(), images, here.journal, track)
    else:
        # Beside the work of all searches: they share engines and timings of kernels.
        folder, limit = here.work.parent / "engines", _BUILD_SHARE * settings.limit_s
        entered = enter_engines(unpacked, here.builder, images, folder, here.journal, limit, track)
    return Stopwatch(entered, search, images, here.journal, track)


def _finalists(contest: Contest, judgement: Judgement, watch: Stopwatch) -> list[str]:
    """Candidates of the last race: INT8 that are right and accurate enough, and the best floats."""
    right = [name for name in judgement.judged if name not in judgement.wrong]
    budget = watch.search.max_drop_pp
    kept = [name for name in right if judgement.holds(name, budget)] or right
    if not kept:
        reason = next(iter(judgement.wrong.values()), "nothing was evaluated")
        raise ArtifactError(f"no finalist of the search is right here: {reason}")
    floats = contest.floats.finalists if contest.floats else ()
    return [*kept, *[name for name in floats if name not in judgement.wrong][:_FLOATS]]


def _tell(
    unpacked: UnpackedSearch,
    here: _Here,
    watch: Stopwatch,
    contest: Contest,
    judgement: Judgement,
    finals: Finals,
    races: Sequence[LastRace],
    before: dict[str, Any] | None,
) -> BoardSearch:
    winner, why = choose_winner(judgement, finals.laps, watch.entered, watch.search.max_drop_pp)
    machine, reason = here.machine, here.readings.reason
    notes = [f"Mode, clocks, temperature and power were not read: {reason}."] if reason else []
    if judgement.unheld:
        notes.append(f"What is computed here was not held to ONNX Runtime's: {judgement.unheld}.")
    board = machine["jetson"] or next(iter(machine["gpus"]), None) or machine["cpu_model"]
    return BoardSearch(
        created=datetime.now(timezone.utc).replace(microsecond=0),
        bundle_sha256=unpacked.digest,
        board=str(board),
        environment=EnvironmentReport.model_validate(machine),
        builder=f"TensorRT {here.builder.version}" if here.builder else None,
        trials=list_trials(unpacked, watch.entered, contest, judgement, winner, why),
        winner=winner,
        races=(finals.race, *races),
        stopped=contest.quantized.stopped,
        seconds=here.journal.spent_s,
        other_load_pct=watch.other_load_pct,
        state=before,
        notes=tuple(notes),
    )


def _timed_images(
    unpacked: UnpackedSearch, evaluation: UnpackedEvaluation | None
) -> NDArray[np.float32]:
    """Real images if there are any, else noise."""
    if evaluation is not None:
        return next(iter(evaluation.batches(min(_TIMED_IMAGES, len(evaluation)))))
    like = unpacked.preprocess
    shape = (1, unpacked.manifest.model.in_channels, like.height, like.width)
    return np.random.default_rng(0).standard_normal(shape, np.float32)
