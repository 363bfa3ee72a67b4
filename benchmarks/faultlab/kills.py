"""`kill -9`, SIGINT and SIGTERM at random moments of every stage; the next build completes."""

from __future__ import annotations

import shutil
import signal
import time
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.faultlab.lab import Lab, valid_or_absent

__all__ = ["Row", "kill", "stop"]

_CLEAN_EVERY = 20  # kills: the cache is emptied, so that whole builds are interrupted too
_WORDS = {signal.SIGINT: (130, "interrupted"), signal.SIGTERM: (143, "terminated")}
_SOON_S = 3.0
_UNCACHED = ("evaluate", "benchmark", "publish", "between", "start")


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


def kill(lab: Lab, variant: str, kills: int) -> Row:
    """Kill builds, each time followed by one that completes with the same files.

    Survived: no process outlives the build by 2 s; its output has no manifest or a right one; the
    build after it ends with 0 and the reference's files and makes no finished stage again; and
    nothing is left in the cache's scratch folder, the output or TMPDIR.
    """
    started = time.perf_counter()
    hit: Counter[str] = Counter()
    failures: list[str] = []
    survived = ended_before = 0
    with lab.scratch("kill") as (cache, out):
        while (tried := sum(hit.values())) < kills:
            if tried % _CLEAN_EVERY == 0:
                shutil.rmtree(cache, ignore_errors=True)
            stage, moment = _draw(lab, variant, cache)
            build = lab.start(variant, cache, out)
            if build.wait_for(stage):
                time.sleep(moment)
            build.send(signal.SIGKILL)
            ended = build.wait()
            if ended.status != -signal.SIGKILL:
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
    return Row(f"kill -9, {variant}", sum(hit.values()), survived, seconds, notes)


def stop(lab: Lab, variant: str, number: signal.Signals, times: int) -> Row:
    """Send SIGINT or SIGTERM to builds.

    Survived: as of `kill`, and one line of its own, the exit code, and within 3 s.
    """
    status, word = _WORDS[number]
    started = time.perf_counter()
    hit: Counter[str] = Counter()
    failures: list[str] = []
    delays: list[float] = []
    survived = 0
    with lab.scratch("stop") as (cache, out):
        while sum(hit.values()) < times:
            stage, moment = _draw(lab, variant, cache)
            build = lab.start(variant, cache, out)
            if build.wait_for(stage):
                time.sleep(moment)
            if build.poll() is not None:
                build.wait()
                continue
            sent = time.monotonic()
            build.send(number)
            ended = build.wait()
            delays.append(time.monotonic() - sent)
            if ended.status == 0:
                continue
            hit[ended.last_stage] += 1
            faults = ["a child outlives it"] if build.left_behind(0.0) else []
            if ended.status != status:
                faults.append(f"exit status {ended.status}: {ended.error[-300:]}")
            if not ended.error.endswith(
                f"\n{word}; finished stages are kept, run again to go on\n"
            ):
                faults.append(f"it says {ended.error[-300:]}")
            if "Traceback" in ended.error:
                faults.append("a traceback")
            if delays[-1] > _SOON_S:
                faults.append(f"{delays[-1]:.1f} s until it ended")
            faults += _complete(lab, variant, cache, out)
            survived += not faults
            failures += [f"{ended.last_stage}: {fault}" for fault in faults]
    notes = {
        "stopped_in": dict(hit), "longest_until_the_end_s": round(max(delays), 2),
        "failures": failures,
    }  # fmt: skip
    seconds = time.perf_counter() - started
    return Row(f"{number.name}, {variant}", sum(hit.values()), survived, seconds, notes)


def _draw(lab: Lab, variant: str, cache: Path) -> tuple[str, float]:
    """A stage and a moment in it, in seconds; what the cache has of the stage is taken out."""
    reference = lab.reference(variant)
    names = sorted({name for name, _ in reference.stages} - {"between"})
    stage = lab.random.choice(names)
    indices = [index for index, (name, _) in enumerate(reference.stages) if name == stage]
    moment = lab.random.uniform(0, reference.duration_s(lab.random.choice(indices)))
    folder = cache / stage
    if folder.is_dir():
        entries = sorted(folder.iterdir())
        # All of an evaluation: it asks for what is not there in one pass.
        gone = entries if stage == "evaluate" else [lab.random.choice(entries)] if entries else []
        for entry in gone:
            shutil.rmtree(entry)
    return stage, moment


def _complete(lab: Lab, variant: str, cache: Path, out: Path) -> list[str]:
    """Build on what is there, and tell what is not as it should be."""
    finished = {path: path.stat().st_ino for path in cache.glob("*/*/entry.json")}
    ended = lab.build(variant, cache, out)
    if ended.status != 0:
        return [f"the next build ended with {ended.status}: {ended.error[-300:]}"]
    faults = [] if lab.is_same(variant, out) else [f"other files: {sorted(lab.hashes(out))}"]
    again = [path.parts[-3] for path, inode in finished.items() if path.stat().st_ino != inode]
    faults += [f"made again: {', '.join(again)}"] if again else []
    return faults + _left(lab, cache)


def _left(lab: Lab, cache: Path) -> list[str]:
    scratch = list((cache / "scratch").glob("*"))
    faults = [f"{len(scratch)} scratch folders left"] if scratch else []
    temporary = [path.name for path in lab.temporary.glob("edge-convnext-*")]
    return faults + ([f"TMPDIR has {temporary}"] if temporary else [])
