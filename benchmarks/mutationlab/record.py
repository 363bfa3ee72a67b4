"""What became of the mutants: rows on disk as they are made, and the tables of them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

from benchmarks.mutationlab.draw import Mutant
from benchmarks.mutationlab.forks import Outcome
from benchmarks.mutationlab.groups import ROOT, Group

__all__ = ["Record", "Tally", "digest_of", "read_equivalents", "table", "tally"]

_KILLED = ("killed", "timeout")


class Record:
    """The rows of one group; those of an earlier state of code and tests stay in the file."""

    def __init__(self, path: Path, group: Group) -> None:
        self.path, self.group = path, group
        self._head = path.with_suffix(".json")

    def open(
        self, drawn: Sequence[Mutant], of: int, state: str, *, keep_killed: bool
    ) -> list[Mutant]:
        """Note what is drawn, and return those that have no row yet.

        Args:
            drawn: The sample.
            of: How many mutants it was drawn from.
            state: Digest of the modules and their tests.
            keep_killed: Whether a mutant killed in another state counts as killed in this one.
        """
        head = {
            "of": of, "state": state, "keep_killed": keep_killed,
            "drawn": {one.id: _described(one) for one in drawn},
        }  # fmt: skip
        self._head.write_text(json.dumps(head, indent=1), encoding="utf-8")
        known = self.known()
        return [one for one in drawn if one.id not in known]

    def add(self, mutant: Mutant, outcome: Outcome, state: str) -> None:
        """Append a row; it is on disk when this returns."""
        row = {"id": mutant.id, "state": state, **asdict(outcome)}
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")

    def known(self) -> dict[str, dict[str, Any]]:
        """The last row of each drawn mutant that still counts."""
        head = json.loads(self._head.read_text(encoding="utf-8"))
        rows = {}
        if self.path.is_file():
            for line in self.path.read_text(encoding="utf-8").splitlines():
                row = json.loads(line)
                kept = head["keep_killed"] and row["status"] in _KILLED
                if row["id"] in head["drawn"] and (row["state"] == head["state"] or kept):
                    rows[row["id"]] = {**head["drawn"][row["id"]], **row}
        return rows

    def kept(self) -> int:
        """How many rows are of an earlier state of code or tests."""
        state = json.loads(self._head.read_text(encoding="utf-8"))["state"]
        return sum(row["state"] != state for row in self.known().values())

    def of(self) -> int:
        """How many mutants the sample was drawn from."""
        return int(json.loads(self._head.read_text(encoding="utf-8"))["of"])


@dataclass(frozen=True)
class Tally:
    """Of one group, or of all."""

    group: str
    of: int  # mutants that there are
    drawn: int
    killed: int
    equivalent: int
    survivors: tuple[dict[str, Any], ...]

    @property
    def score_pct(self) -> float:
        """Killed of those that change something."""
        return 100.0 * self.killed / (self.drawn - self.equivalent)


def tally(record: Record, equivalents: Mapping[str, str]) -> Tally:
    """Count one group.

    Raises:
        ValueError: What is called equivalent was killed.
    """
    rows = record.known().values()
    killed = [row for row in rows if row["status"] in _KILLED]
    wrong = [row["id"] for row in killed if row["id"] in equivalents]
    if wrong:
        raise ValueError(f"called equivalent, but killed: {' '.join(wrong)}")
    survivors = [row for row in rows if row["status"] not in _KILLED]
    alive = tuple(row for row in survivors if row["id"] not in equivalents)
    same = len(survivors) - len(alive)
    return Tally(record.group.name, record.of(), len(rows), len(killed), same, alive)


def table(tallies: Sequence[Tally]) -> str:
    """Markdown."""
    lines = [
        "| what is decided | mutants | drawn | killed | equivalent | survived | score |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {one.group} | {one.of} | {one.drawn} | {one.killed} | {one.equivalent} | "
        f"{len(one.survivors)} | {one.score_pct:.0f} % |"
        for one in tallies
    ]
    return "\n".join(lines) + "\n"


def read_equivalents(path: Path) -> dict[str, str]:
    """Reasons by the mutant's id."""
    if not path.is_file():
        return {}
    rows = yaml.safe_load(path.read_text(encoding="utf-8"))
    return {row["id"]: row["reason"] for row in rows}


def digest_of(paths: Sequence[Path]) -> str:
    """Of the files' names and bytes."""
    digest = hashlib.sha256()
    for path in paths:
        content = (ROOT / path).read_bytes()
        digest.update(f"{path} {hashlib.sha256(content).hexdigest()}\n".encode())
    return digest.hexdigest()


def _described(mutant: Mutant) -> dict[str, Any]:
    return {
        "module": mutant.module, "function": mutant.function, "line": mutant.lines[0],
        "before": mutant.before, "after": mutant.after,
    }  # fmt: skip
