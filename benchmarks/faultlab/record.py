"""Rows as they come: a run that is stopped goes on where it was."""

from __future__ import annotations

import hashlib
import json
import os
import platform
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from benchmarks.faultlab.kills import Row
from edge_convnext.core.files import write_text_atomic
from edge_convnext.devices.doctor import environment

__all__ = ["Record", "join_rows"]

_ROOT = Path(__file__).parents[2]


class Record:
    """A file of JSON lines, and the result made of them.

    The first line says what ran, of which version and where; each other line is one part of a
    scenario. The result is written anew with every part.

    Args:
        out: Of the result; the lines lie beside it, `.jsonl`.
        settings: Of the run; they and the version must be those of the lines that are there.
    """

    def __init__(self, out: Path, settings: dict[str, Any]) -> None:
        self.seed = int(settings["seed"])
        self._out, self._lines = out, out.with_suffix(".jsonl")
        run = {
            **settings, "sources": _hash_sources(), "versions": environment()["versions"],
            "machine": f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()}",
        }  # fmt: skip
        self.parts: dict[str, dict[str, Any]] = {}
        text = self._lines.read_text(encoding="utf-8") if self._lines.exists() else ""
        whole = text[: text.rfind("\n") + 1]  # it may have been stopped while it wrote
        if whole != text:
            write_text_atomic(self._lines, whole)
        if not whole:
            begun = datetime.now(timezone.utc).isoformat(timespec="seconds")
            self._run = {"created": begun, **run}
            self._append(self._run)
            return
        first, *others = whole.splitlines()
        self._run = json.loads(first)
        if other := [key for key in run if run[key] != self._run.get(key)]:
            raise SystemExit(
                f"{self._lines}: is of other {', '.join(other)}; remove it, or pass another --out"
            )
        for line in others:
            content = json.loads(line)
            self.parts[content["part"]] = content["row"]

    def add(self, part: str, row: Row | None, reason: str = "") -> None:
        """Keep a part's row, or why there is none."""
        fields = row.fields() if row else {"skipped": reason}
        self._append({"part": part, "row": fields})
        self.parts[part] = fields
        self.write()

    def write(self) -> dict[str, Any]:
        """Write the result of what is there, and return it."""
        rows = [row for row in self.parts.values() if "skipped" not in row]
        joined = join_rows(rows)
        kills = _count_kills(joined)
        content = {
            **self._run,
            "seconds": round(sum(row["seconds"] for row in rows), 1),
            "skipped": {
                name: row["skipped"] for name, row in self.parts.items() if "skipped" in row
            },
            "kills_per_stage": kills,
            "never_killed_in": [
                f"{stage} of {build}"
                for stage, by_build in kills.items()
                for build, count in by_build.items()
                if count == 0
            ],
            "rows": joined,
        }
        write_text_atomic(self._out, json.dumps(content, indent=1) + "\n")
        return content

    def _append(self, content: dict[str, Any]) -> None:
        with self._lines.open("a", encoding="utf-8") as file:
            file.write(json.dumps(content) + "\n")


def join_rows(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One row for each scenario: the sum of its parts."""
    joined: dict[str, dict[str, Any]] = {}
    for row in rows:
        before = joined.get(row["scenario"])
        joined[row["scenario"]] = _add(before, row) if before else row
    return list(joined.values())


def _add(first: Any, second: Any) -> Any:
    """Counts and lists of two parts together; of extremes the greater."""
    if isinstance(first, dict):
        keys = dict.fromkeys([*first, *second])
        return {
            key: max(first[key], second[key])
            if key.startswith("longest") and key in first and key in second
            else _add(first.get(key), second.get(key))
            for key in keys
        }
    if first is None or second is None:
        return second if first is None else first
    if isinstance(first, str):
        return first
    return round(first + second, 1) if isinstance(first, float) else first + second


def _count_kills(rows: list[dict[str, Any]]) -> dict[str, dict[str, int]]:
    """By stage, the kills of each build; `between` is while finished stages are read."""
    table: dict[str, dict[str, int]] = {}
    for row in rows:
        for stage, kills in row["notes"].get("killed_in", {}).items():
            table.setdefault(stage, {})[row["scenario"].removeprefix("kill -9, ")] = kills
    return dict(sorted(table.items()))


def _hash_sources() -> str:
    """SHA-256 over the package and the laboratory: one result is of one version."""
    digest = hashlib.sha256()
    for folder in ("edge_convnext", "benchmarks/faultlab", "recipes"):
        for path in [*sorted((_ROOT / folder).rglob("*")), _ROOT / "benchmarks" / "faults.py"]:
            if path.suffix in (".py", ".yaml"):
                digest.update(f"{path.relative_to(_ROOT)}\n".encode() + path.read_bytes())
    return digest.hexdigest()
