"""Run tests on mutants, each in a fork of a process that has imported everything already.

A mutant of a function's body is put into the running process: the function gets the changed code,
so whoever imported it before sees the change too. What runs on import (a constant, a default) is
changed in a fork that has not imported the package yet, by what loads the module.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, ModuleType

import pytest

from benchmarks.mutationlab.cover import Reach
from benchmarks.mutationlab.draw import Mutant

__all__ = ["Job", "Outcome", "SwapError", "in_forks", "load_changed", "run_hot", "run_tests"]

_KILLED, _SURVIVED, _BROKEN = 1, 0, 3


class SwapError(Exception):
    """A function can't get the changed code; load the module anew."""


@dataclass(frozen=True)
class Job:
    """A mutant and the tests that may kill it, in the order to run them in."""

    mutant: Mutant
    tests: tuple[Reach, ...]
    limit_s: float


@dataclass(frozen=True)
class Outcome:
    """What became of a mutant."""

    status: str  # killed, timeout, survived
    by: str  # the test, or nothing
    seconds: float


def in_forks(
    jobs: Sequence[Job],
    work: Callable[[Job], str | None],
    at_once: int,
    done: Callable[[Job, Outcome | None], None],
) -> None:
    """Do each job in a fork of its own.

    Args:
        jobs: In order.
        work: Called in the fork: the test that killed the mutant, or None.
        at_once: Forks that run at the same time.
        done: Called here with each outcome; None where `SwapError` was raised.
    """
    waiting, running = list(reversed(jobs)), dict[int, tuple[Job, float, Path]]()
    while waiting or running:
        while waiting and len(running) < at_once:
            job = waiting.pop()
            if not job.tests:
                done(job, Outcome("survived", "", 0.0))
                continue
            folder = Path(tempfile.mkdtemp(prefix="mutant-"))
            running[_fork(job, work, folder)] = job, time.monotonic(), folder
        for pid, (job, started, folder) in list(running.items()):
            ended, code = os.waitpid(pid, os.WNOHANG)
            late = time.monotonic() - started > job.limit_s
            if not ended and not late:
                continue
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)  # what it started too
            if not ended:
                os.waitpid(pid, 0)
            del running[pid]
            seconds = time.monotonic() - started
            done(job, _outcome(os.waitstatus_to_exitcode(code) if ended else None, folder, seconds))
            shutil.rmtree(folder, ignore_errors=True)
        time.sleep(0.003)


def _outcome(code: int | None, folder: Path, seconds: float) -> Outcome | None:
    by = folder / "by"
    name = by.read_text(encoding="utf-8") if by.is_file() else ""
    if code is None:
        return Outcome("timeout", name, seconds)
    if code == _BROKEN:
        return None
    return Outcome("survived" if code == _SURVIVED else "killed", name, seconds)


def _fork(job: Job, work: Callable[[Job], str | None], folder: Path) -> int:
    pid = os.fork()
    if pid:
        return pid
    code = _KILLED  # whatever ends the process otherwise is the mutant's doing
    try:
        os.setsid()
        null = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(null, stream)
        os.environ["TMPDIR"] = os.environ["PYTEST_DEBUG_TEMPROOT"] = tempfile.tempdir = str(folder)
        by = work(job)
        (folder / "by").write_text(by or "", encoding="utf-8")
        code = _SURVIVED if by is None else _KILLED
    except SwapError:
        code = _BROKEN
    except BaseException as error:
        (folder / "by").write_text(repr(error), encoding="utf-8")
    finally:
        os._exit(code)


class _Verdict:
    """A pytest plugin that remembers the first test that failed."""

    def __init__(self) -> None:
        self.by: str | None = None

    def pytest_collection(self) -> None:
        """The first example that fails will do: nobody reads the smallest."""
        from hypothesis import Phase, settings

        settings.register_profile(
            "first", settings.default, phases=(Phase.explicit, Phase.generate), database=None
        )
        settings.load_profile("first")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed and self.by is None:
            self.by = report.nodeid

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed and self.by is None:
            self.by = report.nodeid


class _Loop(_Verdict):
    """Takes the place of pytest's own loop over the tests that it collected."""

    def __init__(self, run: Callable[[_Loop], None]) -> None:
        super().__init__()
        self.run = run
        self.items: Mapping[str, pytest.Item] = {}

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        self.items = {item.nodeid: item for item in session.items}
        self.run(self)
        return True

    def first_failure(self, tests: Sequence[str]) -> str | None:
        """Run some of the tests until one fails."""
        items = [self.items[test] for test in tests]
        for item, following in zip(items, [*items[1:], None], strict=True):
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            if self.by is not None:
                break
        return self.by


def run_hot(
    files: Sequence[Path],
    jobs: Sequence[Job],
    at_once: int,
    done: Callable[[Job, Outcome | None], None],
) -> None:
    """Collect the tests once, then fork for every mutant."""

    def one(loop: _Loop, job: Job) -> str | None:
        _swap(job.mutant)
        return loop.first_failure([test.test for test in job.tests])

    def all_of_them(loop: _Loop) -> None:
        in_forks(jobs, lambda job: one(loop, job), at_once, done)

    run_tests([str(file) for file in files], _Loop(all_of_them))


def load_changed(job: Job) -> str | None:
    """Load the module with the change in it, then collect and run the tests."""
    sys.meta_path.insert(0, _Changed(job.mutant))
    verdict = _Verdict()
    code = run_tests(["-x", *(test.test for test in job.tests)], verdict)
    return verdict.by or (None if code == 0 else f"pytest ended with {code}")


def run_tests(arguments: Sequence[str], plugin: object) -> int:
    """Pytest in this process, without what the checkout's own settings add."""
    options = ["-q", "-s", "-o", "addopts=--strict-markers", "-p", "no:cacheprovider"]
    options += ["-p", "no:xdist", "-p", "no:randomly", "--hypothesis-seed=0"]
    return int(pytest.main([*options, *arguments], plugins=[plugin]))


def _swap(mutant: Mutant) -> None:
    """Give a function that is loaded the code of the changed one."""
    module = importlib.import_module(_dotted(mutant.module))
    fresh = next(_codes(compile(mutant.source(), mutant.module, "exec"), mutant.function), None)
    live: object = module
    for name in mutant.function.split("."):
        live = getattr(live, name)
    live = getattr(live, "__func__", live)
    try:
        live.__code__ = fresh  # type: ignore[attr-defined]
    except (AttributeError, TypeError, ValueError) as error:
        raise SwapError from error


def _codes(code: CodeType, name: str) -> Iterator[CodeType]:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            if constant.co_qualname == name:
                yield constant
            yield from _codes(constant, name)


def _dotted(module: str) -> str:
    return module.removesuffix(".py").replace("/", ".")


class _Changed(importlib.abc.MetaPathFinder, importlib.abc.SourceLoader):
    """Finds and loads one module, from the changed source."""

    def __init__(self, mutant: Mutant) -> None:
        self.name, self.file = _dotted(mutant.module), str(Path(mutant.module).resolve())
        self.source = mutant.source()

    def find_spec(
        self, fullname: str, path: object = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != self.name:
            return None
        return importlib.util.spec_from_file_location(fullname, self.file, loader=self)

    def get_filename(self, fullname: str) -> str:
        return self.file

    def get_data(self, path: str | bytes) -> bytes:
        return self.source.encode()
