"""The candidates of a search on a board: each graph in its runtime, each engine built once.

What can't be built or run here is lost, with the reason, and the search goes on. That is so of what
runs out of memory too. Each candidate for a CPU first runs in a process of its own. Engines are
built one at a time, in processes of their own, with a part of the memory that is free.
"""

from __future__ import annotations

import errno
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from edge_convnext.core.errors import EdgeConvNextError
from edge_convnext.core.files import NO_ROOM
from edge_convnext.devices.bench.candidates import cpu_candidate, engine_candidate, list_hints
from edge_convnext.devices.bench.engines import build_engines
from edge_convnext.devices.bench.measure import try_candidates
from edge_convnext.devices.tuning.journal import out_of_room
from edge_convnext.measure.memory import measure_peak_memory
from edge_convnext.runtimes.load import has_bf16

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from edge_convnext.core.artifacts import RuntimeName
    from edge_convnext.core.progress import Track
    from edge_convnext.devices.bench.engines import EngineBuilder
    from edge_convnext.devices.bundle.manifest import BundledGraph
    from edge_convnext.devices.bundle.search_manifest import Entrant
    from edge_convnext.devices.bundle.unpacked import UnpackedSearch
    from edge_convnext.devices.tuning.journal import Journal
    from edge_convnext.measure.candidates import Candidate

__all__ = ["Entered", "enter_engines", "enter_graphs"]

_MOST_DEATHS = 2  # of the process in one piece of work, before that is left out
_LEAST_ROOM = 32 << 20  # bytes; with less, a builder that failed may have had no room
_KILLED = "the search was killed twice while this was {}: out of memory?"


@dataclass
class Entered:
    """The candidates that run here, and why others do not."""

    candidates: dict[str, Candidate] = field(default_factory=dict)  # by name
    graphs: dict[str, str] = field(default_factory=dict)  # name of its graph, by name
    usual: list[str] = field(default_factory=list)  # names of those that others have to beat
    peaks: dict[str, int] = field(default_factory=dict)  # bytes of a process of it alone
    lost: dict[str, str] = field(default_factory=dict)  # reasons, by name
    sources: dict[str, Path] = field(default_factory=dict)  # graphs of engines, by name

    def add(self, one: Candidate, entrant: Entrant, source: Path | None = None) -> None:
        """Enter a candidate that runs."""
        self.candidates[one.name] = one
        self.graphs[one.name] = entrant.graph
        if entrant.usual:
            self.usual.append(one.name)
        if source is not None:
            self.sources[one.name] = source


def enter_graphs(
    unpacked: UnpackedSearch,
    installed: Sequence[RuntimeName],
    images: NDArray[np.float32],
    journal: Journal,
    track: Track,
) -> Entered:
    """Enter each graph in its CPU runtime, if it runs there in a process of its own.

    Args:
        unpacked: The search.
        installed: CPU runtimes that are installed here.
        images: Normalised images, float32[N, C, H, W].
        journal: Journal of the search.
        track: Shows the candidates.
    """
    entered, search = Entered(), unpacked.manifest.search
    batch = images[: search.batch]
    listed = list(_list_graphs(unpacked, installed, entered))
    for one, entrant in track(listed, "trying each graph", len(listed)):
        known = journal.find("tried", one.name)
        if known is None and journal.deaths("tried", one.name) >= _MOST_DEATHS:
            known = journal.add("tried", one.name, lost=_KILLED.format("tried"))
        if known is None:
            with journal.announced("tried", one.name):
                found = _try_alone(one, batch, search.threads)
            lost, peak = (found, None) if isinstance(found, str) else (None, found)
            known = journal.add("tried", one.name, lost=lost, peak=peak)
        if known.get("lost"):
            entered.lost[one.name] = str(known["lost"])
            continue
        entered.add(one, entrant)
        entered.peaks[one.name] = int(known.get("peak") or 0)
    return entered


def _list_graphs(
    unpacked: UnpackedSearch, installed: Sequence[RuntimeName], entered: Entered
) -> list[tuple[Candidate, Entrant]]:
    graphs = {graph.name: graph for graph in unpacked.manifest.graphs}
    listed = []
    for entrant in unpacked.manifest.search.entrants:
        graph, settings = graphs[entrant.graph], tuple(sorted(entrant.settings.items()))
        runtime = next((name for name in installed if name == entrant.runtime), None)
        if runtime is None:
            name = f"{entrant.graph} {entrant.runtime}"
            entered.lost[name] = f"{entrant.runtime} is not installed here"
            continue
        for hint in list_hints(graph, runtime, has_bf16((runtime,))):
            listed.append((cpu_candidate(unpacked, graph, runtime, hint, settings), entrant))
    return listed


def _try_alone(one: Candidate, images: NDArray[np.float32], threads: int | None) -> int | str:
    """Bytes of a process that runs it alone, or why it does not run."""
    options = one.options(len(images), threads)
    try:
        return measure_peak_memory(one.runtime, one.model.path, images, options).peak_bytes
    except EdgeConvNextError as error:
        return str(error)


def enter_engines(
    unpacked: UnpackedSearch,
    builder: EngineBuilder,
    images: NDArray[np.float32],
    folder: Path,
    journal: Journal,
    limit_s: float,
    track: Track,
) -> Entered:
    """Build the engine of each graph, one at a time, in the order of the search.

    Args:
        unpacked: The search.
        builder: Builds engines of this machine.
        images: Normalised images, float32[N, C, H, W].
        folder: Folder of engines and of the timing cache that all builds share.
        journal: Journal of the search.
        limit_s: Seconds of building and timing after which no further build is begun.
        track: Shows the engines.

    Raises:
        ArtifactError: The disk is full.
    """
    entered, search = Entered(), unpacked.manifest.search
    graphs = {graph.name: graph for graph in unpacked.manifest.graphs}
    entrants = search.entrants
    for entrant in track(entrants, "building engines", len(entrants)):
        graph = graphs[entrant.graph]
        name = f"{graph.name} {builder.runtime}"
        reason = _why_unbuilt(name, journal, limit_s)
        if reason is not None:
            entered.lost[name] = reason
            continue
        path = unpacked.graph_path(graph)
        found = _build(unpacked, graph, builder, folder, journal)
        if isinstance(found, str):
            entered.lost[name] = found
            continue
        runs, refused = _try_here(found, images, search.threads)
        if runs:
            entered.add(found, entrant, path)
        else:
            entered.lost[found.name] = refused
    return entered


def _why_unbuilt(name: str, journal: Journal, limit_s: float) -> str | None:
    known = journal.find("engine", name)
    if known is None and journal.deaths("engine", name) >= _MOST_DEATHS:
        known = journal.add("engine", name, lost=_KILLED.format("built"))
    if known is not None:
        return None if known.get("lost") is None else str(known["lost"])
    if journal.spent_s >= limit_s:
        return "not built: the time limit"
    return None


def _build(
    unpacked: UnpackedSearch,
    graph: BundledGraph,
    builder: EngineBuilder,
    folder: Path,
    journal: Journal,
) -> Candidate | str:
    """The candidate of an engine, built now or earlier; or why there is none."""
    name = f"{graph.name} {builder.runtime}"
    source = (graph, unpacked.graph_path(graph), unpacked.manifest.member(graph.file).sha256)
    started = time.monotonic()
    try:
        with journal.announced("engine", name):
            built, failed = build_engines(builder, [source], folder)
    except OSError as error:
        if error.errno in NO_ROOM:
            raise out_of_room(folder, error) from error
        raise
    seconds = time.monotonic() - started
    if failed and shutil.disk_usage(folder).free < _LEAST_ROOM:
        raise out_of_room(folder, OSError(errno.ENOSPC, "No space left on device"))
    lost = failed[0].reason if failed else None if built else "this TensorRT reads no such graph"
    again = journal.find("engine", name) is not None and all(one.reused for one in built)
    journal.add("engine", name, lost=lost, seconds=0.0 if again else seconds)
    return engine_candidate(built[0]) if built else str(lost)


def _try_here(one: Candidate, images: NDArray[np.float32], threads: int | None) -> tuple[bool, str]:
    """Whether an engine runs on the GPU, and the reason if it does not."""
    try:
        try_candidates([one], images, threads)
    except (EdgeConvNextError, MemoryError) as error:
        return False, str(error) or "out of memory"
    return True, ""
