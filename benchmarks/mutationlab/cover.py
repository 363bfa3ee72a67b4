"""Which tests run which lines, and how long each takes: found once, with coverage.py."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import coverage
import pytest

__all__ = ["Cover", "Reach", "Watch"]

_SHARED = "fixture "  # a context that is no test: what a fixture of several tests did
_IMPORT = "import"


@dataclass(frozen=True)
class Reach:
    """One test of a group."""

    test: str  # node id
    seconds: float
    lines: dict[str, list[int]]  # by module, as a path below the checkout


@dataclass(frozen=True)
class Cover:
    """All tests of a group, the quick ones first."""

    tests: tuple[Reach, ...]
    at_import: dict[str, list[int]]  # lines that run while the tests are collected

    def save(self, path: Path) -> None:
        """Write it down."""
        path.write_text(json.dumps(asdict(self)), encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> Cover:
        """As it was saved."""
        content = json.loads(path.read_text(encoding="utf-8"))
        return cls(tuple(Reach(**one) for one in content["tests"]), content["at_import"])

    def choose(self, module: str, lines: tuple[int, int], *, whole: bool) -> list[Reach]:
        """Tests that run some of the lines, the quick ones first, then others of their files.

        The others are there for results that are kept between tests: the one that filled a cache
        is not the only one that reads it.

        Args:
            module: Path below the checkout.
            lines: First and last.
            whole: Any line of the module counts.
        """
        wanted = None if whole else set(range(lines[0], lines[1] + 1))

        def runs(seen: Sequence[int]) -> bool:
            return bool(seen) if wanted is None else not wanted.isdisjoint(seen)

        first = [one for one in self.tests if runs(one.lines.get(module, ()))]
        files = {_file(one.test) for one in first}
        if whole or runs(self.at_import.get(module, ())):
            files |= {_file(one.test) for one in self.tests}
        known = {one.test for one in first}
        return first + [
            one for one in self.tests if _file(one.test) in files and one.test not in known
        ]


class Watch:
    """A pytest plugin that runs every test under coverage, and keeps what it saw."""

    def __init__(self, root: Path, modules: Sequence[Path], data: Path) -> None:
        self.root = root
        self.coverage = coverage.Coverage(
            data_file=str(data), include=[str(root / one) for one in modules], config_file=False
        )
        self.seconds: dict[str, float] = {}
        self.failed: list[str] = []
        self.passed: dict[str, list[str]] = {}  # names of the fixtures by test
        self.context = _IMPORT

    def start(self) -> None:
        """Watch from here on."""
        self.coverage.start()
        self.coverage.switch_context(self.context)

    def _switch(self, context: str) -> None:
        self.context = context
        self.coverage.switch_context(context)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        """What runs now is this test's."""
        self._switch(item.nodeid)
        self.passed[item.nodeid] = list(getattr(item, "fixturenames", ()))
        return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: pytest.FixtureDef[object]) -> Iterator[None]:
        """What a fixture of several tests does is all of theirs."""
        before = self.context
        if fixturedef.scope != "function":
            self._switch(_SHARED + fixturedef.argname)
        try:
            return (yield)
        finally:
            self._switch(before)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Add the times of a test's parts; one that was skipped is none."""
        if report.failed:
            self.failed.append(report.nodeid)
        if report.skipped:
            self.passed.pop(report.nodeid, None)
        known = self.seconds.get(report.nodeid, 0.0)
        self.seconds[report.nodeid] = known + report.duration

    def finish(self) -> Cover:
        """What was seen; a test that fails as it is kills nobody, and is left out and told."""
        self.coverage.stop()
        for test in dict.fromkeys(self.failed):
            print(f"left out, fails without a mutant: {test}", file=sys.stderr)
            self.passed.pop(test, None)
        lines: dict[str, dict[str, set[int]]] = {}  # by context and module
        data = self.coverage.get_data()
        for file in data.measured_files():
            module = Path(file).relative_to(self.root).as_posix()
            for line, contexts in data.contexts_by_lineno(file).items():
                for context in contexts:
                    lines.setdefault(context, {}).setdefault(module, set()).add(line)
        tests = []
        for test, fixtures in self.passed.items():
            own: dict[str, set[int]] = {}
            for context in (test, *(_SHARED + name for name in fixtures)):
                for module, seen in lines.get(context, {}).items():
                    own.setdefault(module, set()).update(seen)
            tests.append(Reach(test, self.seconds[test], _sorted(own)))
        tests.sort(key=lambda one: one.seconds)
        return Cover(tuple(tests), _sorted(lines.get(_IMPORT, {})))


def _file(test: str) -> str:
    return test.partition("::")[0]


def _sorted(lines: dict[str, set[int]]) -> dict[str, list[int]]:
    return {module: sorted(each) for module, each in lines.items()}
