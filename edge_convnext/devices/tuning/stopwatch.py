"""Rounds of a search on a board: timed interleaved, written down, and never timed twice."""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge_convnext.core.errors import EdgeConvNextError, InferenceError
from edge_convnext.core.quotas import free_memory_bytes
from edge_convnext.core.sections import BenchmarkConfig
from edge_convnext.devices.tuning.memory import split_to_fit
from edge_convnext.measure.benchmark import benchmark

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from edge_convnext.core.progress import Track
    from edge_convnext.devices.bundle.search_manifest import SearchEntry
    from edge_convnext.devices.tuning.entrants import Entered
    from edge_convnext.devices.tuning.journal import Journal
    from edge_convnext.measure.halving import Rounds
    from edge_convnext.measure.timings import BenchmarkResult

__all__ = ["Stopwatch", "config_of"]


def config_of(search: SearchEntry, rounds: int) -> BenchmarkConfig:
    """How a search times, for a number of rounds."""
    return BenchmarkConfig(
        batches=(search.batch,),
        threads=search.threads,
        rounds=rounds,
        min_round_ms=search.min_round_ms,
        warmup=search.warmup,
    )


@dataclass
class Stopwatch:
    """Times candidates of a search, and takes what the journal has.

    Candidates that have no room in memory together are timed in groups. The first candidate runs
    in each group, and the times of a group are those of the first group by its times in both.
    """

    entered: Entered
    search: SearchEntry
    images: NDArray[np.float32]
    journal: Journal
    track: Track
    other_load_pct: float = 0.0  # largest share of the CPU that other programs took meanwhile

    def measure(self, names: Sequence[str], rounds: int) -> Rounds:
        """Median latency of each round in ms, by candidate; what can't be timed is left out.

        Raises:
            InferenceError: Not even one of them can be timed.
        """
        names = [name for name in names if name not in self.entered.lost]
        key = self._key(names, rounds)
        entry = self.journal.find("rung", key) if names else {"rounds": {}}
        if entry is None:
            deaths = self.journal.deaths("rung", key)
            groups = split_to_fit(names, self.entered.peaks, free_memory_bytes(), deaths)
            started = time.monotonic()
            with self.journal.announced("rung", key):
                times, load = self._time_groups(groups, rounds)
            lost = {name: self.entered.lost[name] for name in names if name not in times}
            seconds = time.monotonic() - started
            entry = self.journal.add(
                "rung", key, rounds=times, lost=lost, load=load, seconds=seconds
            )
        self.entered.lost |= entry.get("lost") or {}
        self.other_load_pct = max(self.other_load_pct, float(entry.get("load") or 0.0))
        found: Rounds = entry["rounds"]
        if not found:
            reason = next((f": {one}" for one in (entry.get("lost") or {}).values()), "")
            raise InferenceError(f"none of the candidates can be timed here{reason}")
        return found

    def _key(self, names: Sequence[str], rounds: int) -> str:
        digests = {name: self.entered.candidates[name].digest for name in names}
        text = json.dumps([digests, rounds, self.search.model_dump(exclude={"entrants"})])
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def _time_groups(
        self, groups: Sequence[Sequence[str]], rounds: int
    ) -> tuple[dict[str, list[float]], float]:
        times: dict[str, list[float]] = {}
        load = 0.0
        for group in groups:
            for result in self._time(group, rounds):
                load = max(load, result.other_load_pct or 0.0)
                own = _rounds_of(result)
                shared = next((name for name in own if name in times), None)
                if shared is None:
                    times |= own
                    continue
                base, here = times[shared], own[shared]
                for name in set(own) - set(times):
                    scaled = zip(own[name], base, here, strict=True)
                    times[name] = [one * there / now for one, there, now in scaled]
        return times, load

    def _time(self, names: Sequence[str], rounds: int) -> list[BenchmarkResult]:
        """Time some together; where that fails, by halves, and without those that fail alone."""
        try:
            return [self._benchmark(names, rounds)]
        except (EdgeConvNextError, MemoryError) as error:
            first, *others = names
            if not others or self._fails(first):
                self._lose(first, error)
                return self._time(others, rounds) if others else []
            if len(others) == 1:
                self._lose(others[0], error)
                return self._time([first], rounds)
        half = len(others) // 2
        return [
            result
            for part in (others[:half], others[half:])
            for result in self._time([first, *part], rounds)
        ]

    def _benchmark(self, names: Sequence[str], rounds: int) -> BenchmarkResult:
        config, seed = config_of(self.search, rounds), self.search.seed
        candidates = [self.entered.candidates[name] for name in names]
        return benchmark(candidates, self.images, config, seed, self.track, measure_memory=False)

    def _fails(self, name: str) -> bool:
        try:
            self._benchmark([name], 1)
        except (EdgeConvNextError, MemoryError):
            return True
        return False

    def _lose(self, name: str, error: BaseException) -> None:
        self.entered.lost[name] = f"can't be timed here: {str(error) or 'out of memory'}"


def _rounds_of(result: BenchmarkResult) -> dict[str, list[float]]:
    """The GPU's own time of each round where there is one; else the time of a call."""
    gpu = all(row.round_gpu_ms_p50 for row in result.rows)
    return {
        row.artifact: list(row.round_gpu_ms_p50 if gpu else row.round_latency_ms_p50)
        for row in result.rows
    }
