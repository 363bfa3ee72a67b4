"""Builds beside each other, clocks that jump, workers that die, and two builds alike."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import time
from collections import Counter
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.faultlab.kills import Row
from benchmarks.faultlab.lab import Build, Lab, Outcome
from edge_convnext.report.manifest import compare_builds, verify_build

__all__ = ["build_concurrently", "build_twice", "jump_clock", "kill_worker", "starve_worker"]

_HOUR_S = 3600.0
_JUMPS_H = (1.0, 30.0, 24.0 * 400, -1.0, -30.0, -24.0 * 400)


def build_concurrently(lab: Lab, variant: str, builds: int, same_out: bool = False) -> Row:
    """So many builds start at once on one cache, with an output each or one for all."""
    started = time.perf_counter()
    failures: list[str] = []
    survived = 0
    with lab.scratch("beside") as (cache, out):
        outs = [out if same_out else out / str(index) for index in range(builds)]
        running = [lab.start(variant, cache, each) for each in outs]
        # All first: one that is done may see another write the folder they have in common.
        ends = [build.wait() for build in running]
        for ended, each in zip(ends, outs, strict=True):
            good = ended.status == 0 and lab.hashes(each) == lab.reference(variant).hashes
            survived += good
            if not good:
                failures.append(f"{ended.status} {ended.error[-300:]}")
        for each in dict.fromkeys(outs):
            if not lab.is_same(variant, each):
                failures.append("something else lies in the output")
            failures += [check.path for check in verify_build(each) if check.state != "unchanged"]
        if list((cache / "scratch").glob("*")):
            failures.append("scratch folders left")
    where = "into one folder" if same_out else "on one cache"
    seconds = time.perf_counter() - started
    survived = survived if not failures else min(survived, builds - 1)
    return Row(f"{builds} at once {where}, {variant}", builds, survived, seconds,
               {"failures": failures})  # fmt: skip


def jump_clock(lab: Lab, variant: str) -> Row:
    """The clock jumps by hours to a year, both ways, at a stage's beginning.

    A second build, whose clock is right, works on the same cache meanwhile: neither may take the
    other's scratch folder for an abandoned one. Then `cache prune` of everything, with the jumped
    clock, leaves nothing.
    """
    started = time.perf_counter()
    failures: list[str] = []
    survived = 0
    for hours in _JUMPS_H:
        with lab.scratch("clock") as (cache, out):
            jumped = lab.start(variant, cache, out / "a", partial(_jump, hours * _HOUR_S))
            right = lab.start(variant, cache, out / "b")
            faults = []
            for name, build in (("a", jumped), ("b", right)):
                ended = build.wait()
                if ended.status != 0 or not lab.is_same(variant, out / name):
                    faults.append(f"{name}: {ended.status} {ended.error[-300:]}")
            seconds = [
                stage["seconds"] or 0.0
                for stage in json.loads((out / "a" / "report.json").read_text())["stages"]
            ]
            if any(not 0 <= each < 600 for each in seconds):
                faults.append(f"a stage's seconds are {seconds}")
            if left := _prune(lab, cache, -hours * _HOUR_S):
                faults.append(f"`cache prune --older-than-days 0` leaves {left}")
            survived += not faults
            failures += [f"{hours:+g} h: {fault}" for fault in faults]
    seconds_all = time.perf_counter() - started
    notes = {"hours": list(_JUMPS_H), "failures": failures}
    return Row(f"clock jumps, {variant}", len(_JUMPS_H), survived, seconds_all, notes)


def kill_worker(lab: Lab, variant: str, times: int, stage: str = "simplify") -> Row | None:
    """The isolated child of a stage is killed, as the system does when memory is out.

    Survived: the build goes on without what the simplifier was to make, says so in the report, and
    keeps nothing of it in the cache; without an engine that was asked for it ends with 3 and one
    line. The next build has the reference's files. None where the builder is not installed.
    """
    if not _has(lab, variant, stage):
        return None
    started = time.perf_counter()
    failures: list[str] = []
    reasons: Counter[str] = Counter()
    survived = 0
    source = lab.copy_cache(variant)
    for _ in range(times):
        with lab.scratch("worker") as (cache, out):
            shutil.copytree(source, cache)
            shutil.rmtree(cache / stage)
            build = lab.start(variant, cache, out)
            build.wait_for(stage)
            time.sleep(lab.random.uniform(0, 0.8))
            killed = _kill_children(build)
            ended = build.wait()
            faults = _judge_fallback(lab, variant, ended, cache, out)
            reasons["killed" if killed else "it had ended"] += 1
            survived += not faults
            failures += faults
    seconds = time.perf_counter() - started
    notes = {"worker": dict(reasons), "failures": failures}
    return Row(f"worker of {stage} killed, {variant}", times, survived, seconds, notes)


def starve_worker(
    lab: Lab, variant: str, limits_mib: tuple[int, ...], stage: str = "simplify"
) -> Row | None:
    """The isolated child of a stage may use only so much address space; survived: as above."""
    if not _has(lab, variant, stage):
        return None
    started = time.perf_counter()
    failures: list[str] = []
    reasons: Counter[str] = Counter()
    survived = 0
    source = lab.copy_cache(variant)
    for limit in limits_mib:
        with lab.scratch("starve") as (cache, out):
            shutil.copytree(source, cache)
            shutil.rmtree(cache / stage)
            ended = lab.build(variant, cache, out, partial(_starve, limit << 20))
            last = ended.error.strip().splitlines()[-1:]
            reasons[_simplify_reason(out) or ("made" if ended.status == 0 else last[0][-160:])] += 1
            faults = _judge_fallback(lab, variant, ended, cache, out)
            survived += not faults
            failures += [f"{limit} MiB: {fault}" for fault in faults]
    seconds = time.perf_counter() - started
    notes = {"limits_mib": list(limits_mib), "reasons": dict(reasons), "failures": failures}
    return Row(
        f"worker of {stage} out of memory, {variant}", len(limits_mib), survived, seconds, notes
    )


def build_twice(lab: Lab, variant: str, times: int = 1) -> Row:
    """Clean builds with caches of their own: which files are alike, and which can't be."""
    started = time.perf_counter()
    lab.reference(variant)
    first = lab.root / f"reference-{variant}"
    failures: list[str] = []
    found: dict[str, set[str]] = {}
    survived = 0
    for _ in range(times):
        with lab.scratch("twice") as (cache, out):
            ended = lab.build(variant, cache, out)
            comparisons = compare_builds(first, out) if ended.status == 0 else ()
            for one in comparisons:
                found.setdefault(one.state, set()).add(one.path)
            bad = [one.path for one in comparisons if one.state in ("different", "missing")]
            survived += ended.status == 0 and not bad
            failures += bad
    seconds = time.perf_counter() - started
    notes = {**{state: sorted(paths) for state, paths in found.items()}, "failures": failures}
    return Row(f"built twice, {variant}", times, survived, seconds, notes)


def _jump(by_s: float) -> None:
    """In the build: the clock jumps when the export begins; files made then have its time."""
    from edge_convnext.stages import export as stage

    right, export = time.time, stage.export_onnx
    offset = 0.0

    def jumped_export(*arguments: object) -> object:
        nonlocal offset
        offset = by_s
        return export(*arguments)  # type: ignore[arg-type]

    real_utime = os.utime

    def utime(path: str | Path, times: tuple[float, float] | None = None) -> None:
        real_utime(path, times or (time.time(), time.time()))

    time.time = lambda: right() + offset
    os.utime = utime  # type: ignore[assignment]
    stage.export_onnx = jumped_export  # type: ignore[assignment]


def _prune(lab: Lab, cache: Path, by_s: float) -> int:
    """Prune all with a clock that is off; returns how many entries are left."""
    from edge_convnext.core.cache import Cache

    right = time.time
    time.time = lambda: right() + by_s
    try:
        Cache(cache).prune(0.0)
    finally:
        time.time = right
    return sum(usage.entries for usage in Cache(cache).usage() if usage.stage != "unfinished")


def _has(lab: Lab, variant: str, stage: str) -> bool:
    return any(name == stage for name, _ in lab.reference(variant).stages)


def _judge_fallback(lab: Lab, variant: str, ended: Outcome, cache: Path, out: Path) -> list[str]:
    faults = []
    if ended.status != 0:
        if not (ended.is_one_line(3) and "no TensorRT for RTX engine" in ended.error):
            faults.append(f"{ended.status} {ended.error[-300:]}")
    elif not lab.is_same(variant, out) and not _simplify_reason(out):
        faults.append("other files, and no word of it")
    again = lab.build(variant, cache, out)
    if again.status != 0 or not lab.is_same(variant, out):
        faults.append(f"then: {again.status} {again.error[-300:]}")
    return faults


def _simplify_reason(out: Path) -> str | None:
    if not (out / "report.json").is_file():
        return None
    stages = json.loads((out / "report.json").read_text())["stages"]
    (simplify,) = [stage for stage in stages if stage["name"] == "simplify"]
    reasons = [variant.get("reason") for variant in simplify.get("variants", [])]
    return next((text for text in [simplify.get("reason"), *reasons] if text), None)


def _kill_children(build: Build) -> bool:
    """Kill what the build's process has started; False if that is nothing."""
    killed = False
    deadline = time.monotonic() + 1.0
    while not killed and time.monotonic() < deadline and build.poll() is None:
        for path in Path(f"/proc/{build.pid}/task").glob("*/children"):
            with suppress(OSError):
                for pid in path.read_text().split():
                    os.kill(int(pid), signal.SIGKILL)
                    killed = True
    return killed


def _starve(limit_bytes: int) -> None:
    """In the build: the first worker gets the limit, the build itself and later ones none."""
    import subprocess
    import sys

    start = subprocess.Popen.__init__

    def limited(self: object, *arguments: object, **named: object) -> None:
        def limit() -> None:
            resource.setrlimit(resource.RLIMIT_AS, (limit_bytes, limit_bytes))

        command: Any = arguments[0] if arguments else named.get("args")
        if command[0] == sys.executable:  # others ask the system for its facts
            subprocess.Popen.__init__ = start  # type: ignore[method-assign]
            named["preexec_fn"] = limit
        start(self, *arguments, **named)  # type: ignore[call-overload]

    subprocess.Popen.__init__ = limited  # type: ignore[method-assign]
