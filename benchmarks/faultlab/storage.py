"""Disks that fill up, folders that can't be written or vanish, bytes that flip."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.faultlab.kills import Row
from benchmarks.faultlab.lab import Lab, Outcome, valid_or_absent
from edge_convnext.core.marks import MARK

__all__ = [
    "fill_at_every_opening",
    "fill_tmpfs",
    "flip_bytes",
    "limit_file_size",
    "read_only_cache",
    "vanish",
]

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
_MOST_OPENINGS = 40  # of one stage; more than any has


def fill_at_every_opening(lab: Lab, variant: str, stages: tuple[str, ...] | None = None) -> Row:
    """No room from the n-th file or folder made on, for every n of every stage.

    An audit hook in the build's own process refuses; its children's writes are `fill_tmpfs`'s.
    Survived: exit 3, one line, no manifest without its files, nothing left in the cache's scratch
    folder; and after the last n the build completes with the reference's files.
    """
    started = time.perf_counter()
    reference = lab.reference(variant)
    tried: Counter[str] = Counter()
    failures: list[str] = []
    survived = 0
    names = dict.fromkeys(name for name, _ in reference.stages if name != "between")
    for stage in stages or tuple(names):
        with lab.scratch("full") as (cache, out):
            shutil.copytree(lab.copy_cache(variant), cache)
            shutil.rmtree(cache / stage, ignore_errors=True)
            for count in range(1, _MOST_OPENINGS):
                ended = lab.build(variant, cache, out, partial(_refuse, count, (cache, out)))
                if ended.status == 0:
                    if not lab.is_same(variant, out):
                        failures.append(f"{stage}: other files in the end")
                    break
                tried[ended.last_stage] += 1
                faults = _judge(ended, cache, out)
                survived += not faults
                failures += [f"{stage}, {count}: {fault}" for fault in faults]
                if stage != "publish" and ended.last_stage == "publish":
                    break
    notes = {"refused_in": dict(tried), "failures": failures}
    seconds = time.perf_counter() - started
    tries = sum(tried.values())
    return Row(f"no room for a new file, {variant}", tries, survived, seconds, notes)


def fill_tmpfs(lab: Lab, variant: str, steps: int) -> Row | None:
    """Cache, output and TMPDIR on a file system of so many KiB, from none to enough.

    Survived: as above, or a completed build. None where mounting is not permitted.
    """
    started = time.perf_counter()
    needed_kib = 64 + sum(
        (path.stat().st_size + 4095) // 4096 * 4 + 4
        for path in (lab.copy_cache(variant)).rglob("*")
    )
    failures: list[str] = []
    ended_in: Counter[str] = Counter()
    survived = 0
    for step in range(1, steps + 1):
        size_kib = max(4, needed_kib * 2 * step // steps)
        with _tmpfs(lab, f"size={size_kib}k") as mount:
            if mount is None:
                return None
            before, lab.temporary = lab.temporary, mount / "tmp"
            lab.temporary.mkdir()
            try:
                ended = lab.build(variant, mount / "cache", mount / "out")
            finally:
                lab.temporary = before
            faults = _judge_any(lab, variant, ended, mount / "cache", mount / "out")
        ended_in["completed" if ended.status == 0 else ended.last_stage] += 1
        survived += not faults
        failures += [f"{size_kib} KiB: {fault}" for fault in faults]
    notes = {"sizes_kib": [max(4, needed_kib * 2 // steps), needed_kib * 2],
             "ended_in": dict(ended_in), "failures": failures}  # fmt: skip
    seconds = time.perf_counter() - started
    return Row(f"full tmpfs, {variant}", steps, survived, seconds, notes)


def limit_file_size(lab: Lab, variant: str, steps: int) -> Row:
    """No file may become larger than a limit, the build's children included."""
    started = time.perf_counter()
    largest = max(path.stat().st_size for path in lab.copy_cache(variant).rglob("*"))
    failures: list[str] = []
    ended_in: Counter[str] = Counter()
    survived = 0
    for step in range(steps):
        limit = (largest * 4) >> step
        with lab.scratch("limit") as (cache, out):
            # The log is a file too.
            ended = lab.build(variant, cache, out, partial(_limit, max(limit, 8192)))
            faults = _judge_any(lab, variant, ended, cache, out)
        ended_in["completed" if ended.status == 0 else ended.last_stage] += 1
        survived += not faults
        failures += [f"{limit} bytes: {fault}" for fault in faults]
    notes = {"ended_in": dict(ended_in), "failures": failures}
    seconds = time.perf_counter() - started
    return Row(f"file size limit, {variant}", steps, survived, seconds, notes)


def read_only_cache(lab: Lab, variant: str) -> Row | None:
    """A cache that can't be written: empty (one line), and whole (it serves)."""
    started = time.perf_counter()
    failures: list[str] = []
    for whole in (False, True):
        with lab.scratch("ro") as (_, out), _tmpfs(lab, "size=64m") as mount:
            if mount is None:
                return None
            if whole:
                shutil.copytree(lab.copy_cache(variant), mount, dirs_exist_ok=True)
            subprocess.run(["mount", "-o", "remount,ro", str(mount)], check=True)
            ended = lab.build(variant, mount, out)
            if whole and not (ended.status == 0 and lab.is_same(variant, out)):
                failures.append(f"whole: {ended.status} {ended.error[-300:]}")
            if not whole and not (ended.is_one_line(3) and "EDGE_CONVNEXT_CACHE" in ended.error):
                failures.append(f"empty: {ended.status} {ended.error[-300:]}")
    seconds = time.perf_counter() - started
    notes = {"failures": failures}
    return Row(f"read-only cache, {variant}", 2, 2 - len(failures), seconds, notes)


def vanish(lab: Lab, variant: str, times: int) -> Row:
    """The cache folder is removed at a random moment.

    Survived: the build completes with the reference's files, or ends with 3 and one line that
    names the cache; then the next one completes.
    """
    started = time.perf_counter()
    failures: list[str] = []
    removed_in: Counter[str] = Counter()
    completed = survived = 0
    reference = lab.reference(variant)
    for _ in range(times):
        with lab.scratch("vanish") as (cache, out):
            index = lab.random.randrange(len(reference.stages))
            stage = reference.stages[index][0]
            moment = lab.random.uniform(0, reference.duration_s(index))
            build = lab.start(variant, cache, out)
            if build.wait_for(stage):
                time.sleep(moment)
            for _attempt in range(3):  # a stage may write while it is removed
                shutil.rmtree(cache, ignore_errors=True)
            ended = build.wait()
            removed_in[stage] += 1
            faults = []
            if ended.status == 0:
                completed += 1
            elif not ended.is_one_line(3) or "cache" not in ended.error:
                faults.append(f"{ended.status} {ended.error[-400:]}")
            if not valid_or_absent(out):
                faults.append("a manifest without its files")
            again = lab.build(variant, cache, out)
            if again.status != 0 or not lab.is_same(variant, out):
                faults.append(f"then: {again.status} {again.error[-300:]}")
            survived += not faults
            failures += [f"{stage}: {fault}" for fault in faults]
    notes = {"removed_in": dict(removed_in), "completed": completed, "failures": failures}
    seconds = time.perf_counter() - started
    return Row(f"vanished cache, {variant}", times, survived, seconds, notes)


def flip_bytes(lab: Lab, variant: str, per_file: int) -> Row:
    """One bit flips in a cached file: noticed, said, made again, with the reference's files."""
    started = time.perf_counter()
    failures: list[str] = []
    kinds: Counter[str] = Counter()
    survived = 0
    source = lab.copy_cache(variant)
    # Of the digits, which are 1,797 images of one kind, some.
    # Of a mark only `prune` takes notice: it leaves a folder alone whose mark is damaged.
    files = [path for path in sorted(source.rglob("*")) if path.is_file() and path.name != MARK]
    images = [path for path in files if path.suffix == ".png"]
    files = [path for path in files if path.suffix != ".png"] + images[:3]
    with lab.scratch("flip") as (cache, out):
        shutil.copytree(source, cache)
        for file in [file for file in files for _ in range(per_file)]:
            path = cache / file.relative_to(source)
            content = bytearray(path.read_bytes())
            if not content:
                continue
            position = lab.random.randrange(len(content))
            content[position] ^= 1 << lab.random.randrange(8)
            path.write_bytes(content)
            ended = lab.build(variant, cache, out)
            faults = []
            if ended.status != 0 or not lab.is_same(variant, out):
                faults.append(f"{ended.status} {ended.error[-300:]}")
            if "making it again" not in ended.error:
                faults.append("not said")
            stage = path.relative_to(cache).parts[0]
            kinds[f"{stage}/{'entry' if path.name == 'entry.json' else 'file'}"] += 1
            survived += not faults
            failures += [f"{file.relative_to(source)} at {position}: {it}" for it in faults]
    notes = {"flipped": dict(kinds), "failures": failures}
    seconds = time.perf_counter() - started
    return Row(f"flipped bit, {variant}", sum(kinds.values()), survived, seconds, notes)


def _judge(ended: Outcome, cache: Path, out: Path) -> list[str]:
    """What is wrong with how a build failed."""
    faults = [] if ended.is_one_line(3) else [f"{ended.status} {ended.error[-400:]}"]
    if not valid_or_absent(out):
        faults.append("a manifest without its files")
    if list((cache / "scratch").glob("*")):
        faults.append("scratch folders left")
    return faults


def _judge_any(lab: Lab, variant: str, ended: Outcome, cache: Path, out: Path) -> list[str]:
    if ended.status == 0:
        return [] if lab.is_same(variant, out) else ["completed with other files"]
    return _judge(ended, cache, out)


def _refuse(count: int, roots: tuple[Path, ...]) -> None:
    """In the build: the `count`-th making of a file or folder under `roots` and all after fail."""
    left = count
    prefixes = tuple(map(str, roots))

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal left
        if event == "open":
            path, _, flags = arguments
            if not flags & _WRITING:
                return
        elif event == "os.mkdir":
            path = arguments[0]
        else:
            return
        if isinstance(path, (str, os.PathLike)) and str(path).startswith(prefixes):
            left -= 1
            if left <= 0:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    sys.addaudithook(hook)


def _limit(limit_bytes: int) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # as Python does
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, limit_bytes))


@contextmanager
def _tmpfs(lab: Lab, options: str) -> Iterator[Path | None]:
    """A file system of its own, or None where that is not permitted."""
    mount = lab.folder("tmpfs")
    mount.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(mount)]
    if not sys.platform.startswith("linux") or subprocess.run(command, check=False).returncode:
        yield None
        return
    try:
        yield mount
    finally:
        subprocess.run(["umount", "-l", str(mount)], check=True)
        mount.rmdir()
