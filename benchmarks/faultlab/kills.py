"""`kill -9`, SIGINT and SIGTERM at random moments of every stage; the next build completes."""

from __future__ import annotations

import random
import shutil
import signal
import time
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.faultlab.lab import Build, Lab, Outcome, valid_or_absent

__all__ = ["Row", "kill", "stop"]

_WORDS = {signal.SIGINT: (130, "interrupted"), signal.SIGTERM: (143, "terminated")}
_SOON_S = 3.0
_MOST_TRIES = 3  # of one stage before the next one's turn: some take a hundredth of a second


@dataclass(frozen=True)
class Row:
    """What one scenario found."""

    scenario: str
    tried: int
    survived: int
    seconds: float
    notes: dict[str, Any]

    def line(self) -> str:
        """For the terminal."""
        return f"{self.scenario}: {self.survived} of {self.tried} in {self.seconds:.0f} s"

    def fields(self) -> dict[str, Any]:
        """For the result file."""
        return {**asdict(self), "seconds": round(self.seconds, 1)}


def kill(lab: Lab, variant: str, kills: int, first: int = 0, *, whole: bool = False) -> Row:
    """Kill builds, each time followed by one that completes with the same files.

    Survived: no process outlives the build by 2 s; its output has no manifest or a right one; the
    build after it ends with 0 and the reference's files and makes no finished stage again; and
    nothing is left in the cache's scratch folder, the output or TMPDIR.

    Args:
        lab: Where.
        variant: Of the build.
        kills: How many.
        first: How many went before in other rows: the stages take turns.
        whole: Begin with the undisturbed build's cache, not with an empty one.
    """
    started = time.perf_counter()
    hit = _counter(lab, variant)
    failures: list[str] = []
    survived = ended_before = 0
    with lab.scratch("kill") as (cache, out):
        if whole:
            lab.copy_cache(variant).rename(cache)
        turns = _Turns(lab, variant, cache, first)
        while hit.total() < kills:
            build = turns.start(out)
            build.send(signal.SIGKILL)
            ended = build.wait()
            if not turns.landed(ended, -signal.SIGKILL):
                ended_before += 1
                continue
            faults = ["a child outlives it"] if build.left_behind() else []
            hit[ended.last_stage] += 1
            if not valid_or_absent(out):
                faults.append("a manifest without its files")
            faults += _complete(lab, variant, cache, out)
            survived += not faults
            failures += [f"{ended.last_stage}: {fault}" for fault in faults]
    notes = {"killed_in": dict(hit), "ended_before_the_kill": ended_before, "failures": failures}
    seconds = time.perf_counter() - started
    return Row(f"kill -9, {variant}", hit.total(), survived, seconds, notes)


def stop(lab: Lab, variant: str, number: signal.Signals, times: int, *, whole: bool = False) -> Row:
    """Send SIGINT or SIGTERM to builds.

    Survived: as of `kill`, and one line of its own, the exit code, and within 3 s.
    """
    status, _ = _WORDS[number]
    started = time.perf_counter()
    hit = _counter(lab, variant)
    failures: list[str] = []
    delays: list[float] = []
    survived = 0
    with lab.scratch("stop") as (cache, out):
        if whole:
            lab.copy_cache(variant).rename(cache)
        turns = _Turns(lab, variant, cache, 0)
        while hit.total() < times:
            build = turns.start(out)
            sent = time.monotonic()
            build.send(number)
            ended = build.wait()
            if not turns.landed(ended, status) and ended.status == 0:
                continue  # it had ended before
            delays.append(time.monotonic() - sent)
            hit[ended.last_stage] += 1
            faults = ["a child outlives it"] if build.left_behind(0.0) else []
            faults += _judge_stopped(ended, number, delays[-1])
            faults += _complete(lab, variant, cache, out)
            survived += not faults
            failures += [f"{ended.last_stage}: {fault}" for fault in faults]
    notes = {
        "stopped_in": dict(hit), "longest_until_the_end_s": round(max(delays), 2),
        "failures": failures,
    }  # fmt: skip
    seconds = time.perf_counter() - started
    return Row(f"{number.name}, {variant}", hit.total(), survived, seconds, notes)


class _Turns:
    """Stages one after the other, in an order of chance, each at a moment of chance."""

    def __init__(self, lab: Lab, variant: str, cache: Path, first: int) -> None:
        self._lab, self._variant, self._cache = lab, variant, cache
        self._names = _stages(lab, variant)
        random.Random(variant).shuffle(self._names)  # the same in every row
        self._turn, self._tries = first, 0

    def start(self, out: Path) -> Build:
        """A build that is now, most likely, in the stage whose turn it is."""
        stage, moment = self._draw()
        self._tries += 1
        build = self._lab.start(self._variant, self._cache, out)
        if build.wait_for(stage):
            time.sleep(moment)
        return build

    def landed(self, ended: Outcome, status: int) -> bool:
        """Whether the signal ended the build; in the right stage, the next one's turn has come."""
        stage = self._names[self._turn % len(self._names)]
        met = ended.status == status
        if (met and ended.last_stage == stage) or self._tries >= _MOST_TRIES:
            self._turn, self._tries = self._turn + 1, 0
        return met

    def _draw(self) -> tuple[str, float]:
        """A stage and seconds into it; what the cache has of the stage is taken out."""
        reference = self._lab.reference(self._variant)
        stage, draw = self._names[self._turn % len(self._names)], self._lab.random
        indices = [index for index, (name, _) in enumerate(reference.stages) if name == stage]
        moment = draw.uniform(0, reference.duration_s(draw.choice(indices)))
        folder = self._cache / stage
        if folder.is_dir():
            entries = sorted(folder.iterdir())
            # All of an evaluation: it asks for what is not there in one pass.
            gone = entries if stage == "evaluate" else [draw.choice(entries)] if entries else []
            for entry in gone:
                shutil.rmtree(entry)
        return stage, moment


def _stages(lab: Lab, variant: str) -> list[str]:
    return sorted({name for name, _ in lab.reference(variant).stages} - {"between"})


def _counter(lab: Lab, variant: str) -> Counter[str]:
    """Of every stage, so that a stage that was never met shows."""
    return Counter(dict.fromkeys(_stages(lab, variant), 0))


def _judge_stopped(ended: Outcome, number: signal.Signals, delay_s: float) -> list[str]:
    status, word = _WORDS[number]
    faults = []
    if ended.status != status:
        faults.append(f"exit status {ended.status}: {ended.error[-300:]}")
    if not ended.error.endswith(f"\n{word}; finished stages are kept, run again to go on\n"):
        faults.append(f"it says {ended.error[-300:]}")
    if "Traceback" in ended.error:
        faults.append("a traceback")
    if delay_s > _SOON_S:
        faults.append(f"{delay_s:.1f} s until it ended")
    return faults


def _complete(lab: Lab, variant: str, cache: Path, out: Path) -> list[str]:
    """Build on what is there, and tell what is not as it should be."""
    finished = {path: path.stat().st_ino for path in cache.glob("*/*/entry.json")}
    ended = lab.build(variant, cache, out)
    if ended.status != 0:
        return [f"the next build ended with {ended.status}: {ended.error[-300:]}"]
    faults = [] if lab.is_same(variant, out) else [f"other files: {sorted(lab.hashes(out))}"]
    again = [
        path.parts[-3]
        for path, inode in finished.items()
        if path.stat().st_ino != inode and path.parts[-3] != "times"  # each build adds its own
    ]
    faults += [f"made again: {', '.join(again)}"] if again else []
    return faults + _left(lab, cache)


def _left(lab: Lab, cache: Path) -> list[str]:
    scratch = list((cache / "scratch").glob("*"))
    faults = [f"{len(scratch)} scratch folders left"] if scratch else []
    temporary = [path.name for path in lab.temporary.glob("edge-convnext-*")]
    return faults + ([f"TMPDIR has {temporary}"] if temporary else [])
