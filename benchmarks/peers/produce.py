"""Run one peer in its own interpreter, and keep what it made or what it said when it failed."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.peers.catalog import ENVIRONMENTS, Peer
from benchmarks.peers.task import Graph, Task
from edge_convnext.core.files import sha256_bytes, sha256_file, write_text_atomic
from edge_convnext.core.marks import make_marked, remove_marked

__all__ = ["explain", "last_line", "produce", "read_record", "write_record"]

_ADAPTERS = Path(__file__).parent / "adapters"
_RECORD = "record.json"
_TIME_LIMIT_S = 900
_REASON_CHARS = 300
_FOLDERS = re.compile(r"(?<![\w./])/(?:[^\s/'\",:;()]+/)+")
# No tool shall report to its makers what it is run on, nor look for a GPU.
_SETTINGS = {
    "NNCF_CI": "1",
    "OLIVE_DISABLE_TELEMETRY": "1",
    "CUDA_VISIBLE_DEVICES": "",
    "PYTHONPATH": "",
    "PYTHONWARNINGS": "ignore",
}


def produce(peer: Peer, task: Task, venvs: Path, retry: bool = False) -> Graph:
    """Quantize, unless the same was done before; a failure is an outcome.

    Args:
        peer: Which.
        task: What it works on.
        venvs: Where environments are made and kept.
        retry: Whether to try once more what failed.
    """
    assert task.raw.path is not None
    folder = task.folder / "graphs" / peer.name
    pins = ENVIRONMENTS[peer.environment] if peer.environment else ()
    files = (_ADAPTERS / "call.py", _ADAPTERS / f"{peer.adapter}.py", task.raw.path)
    key = [sha256_file(file) for file in files]
    key += [task.calibration.name, peer.choice, peer.file, *pins]
    made = read_record(folder, key, retry)
    if made is None:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        python, reason = sys.executable, None
        if peer.environment is not None:
            python, reason = _find_environment(venvs.absolute() / peer.environment, pins)
        if reason is None:
            reason = _run_adapter(peer, python, task, folder)
        made = {"reason": reason}
        if reason is None:
            made |= json.loads((folder / "graph.json").read_text(encoding="utf-8"))
        write_record(folder, key, made)
    path = None if made["reason"] else folder / peer.file
    versions = tuple(made.get("versions", pins))
    return Graph(
        peer.tool, peer.variant, path, made.get("build_s"), made["reason"], versions,
        peer.only_runtime,
    )  # fmt: skip


def read_record(folder: Path, key: Sequence[str], retry: bool) -> dict[str, object] | None:
    """What was kept of an equal run, or None."""
    try:
        record = json.loads((folder / _RECORD).read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError):
        return None
    if record["key"] != _digest(key) or (retry and record["outcome"]["reason"]):
        return None
    outcome: dict[str, object] = record["outcome"]
    return outcome


def write_record(folder: Path, key: Sequence[str], outcome: dict[str, object]) -> None:
    """Keep an outcome."""
    record = {"key": _digest(key), "outcome": outcome}
    write_text_atomic(folder / _RECORD, json.dumps(record))


def explain(text: str) -> str:
    """A message on one line, without this machine's folders."""
    line = _FOLDERS.sub("", " ".join(text.split()))
    return line if len(line) <= _REASON_CHARS else f"{line[:_REASON_CHARS]}..."


def last_line(output: str) -> str:
    """The last line that says something: of a traceback, the error itself."""
    lines = [line.strip() for line in output.splitlines() if re.search(r"\w", line)]
    return explain(lines[-1]) if lines else "no message"


def _digest(key: Sequence[str]) -> str:
    return sha256_bytes(json.dumps(key).encode())


def _find_environment(folder: Path, pins: Sequence[str]) -> tuple[str, str | None]:
    """The interpreter of an environment, made now if need be, or why there is none."""
    python, marker = folder / "bin" / "python", folder / "installed.json"
    if marker.is_file() and json.loads(marker.read_text(encoding="utf-8")) == list(pins):
        return str(python), None
    if folder.exists() and not remove_marked(folder):
        return str(python), f"{folder} is there, and no run of this script made it: move it"
    folder.parent.mkdir(parents=True, exist_ok=True)
    make_marked(folder)
    for command in (
        [sys.executable, "-m", "venv", str(folder)],
        [str(python), "-m", "pip", "install", "--quiet", *pins],
    ):
        reason = _run(command, folder.parent)
        if reason is not None:
            return str(python), f"can't be installed: {reason}"
    write_text_atomic(marker, json.dumps(pins))
    return str(python), None


def _run_adapter(peer: Peer, python: str, task: Task, folder: Path) -> str | None:
    command = [
        python, str(_ADAPTERS / f"{peer.adapter}.py"), str(task.raw.path), str(task.calibration),
        str(folder.absolute() / peer.file), peer.choice,
    ]  # fmt: skip
    scratch = folder / "scratch"  # some write into the working folder
    scratch.mkdir()
    reason = _run(command, scratch, folder / "output.txt")
    shutil.rmtree(scratch, ignore_errors=True)
    return reason


def _run(command: Sequence[str], folder: Path, log: Path | None = None) -> str | None:
    """Run a command in a folder; why it failed, or None."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env={**os.environ, **_SETTINGS},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=_TIME_LIMIT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"still running after {_TIME_LIMIT_S} s, so it was ended"
    if log is not None:
        log.write_text(done.stdout, encoding="utf-8")
    if done.returncode == 0:
        return None
    if done.returncode < 0:
        return f"crashed with signal {-done.returncode}; it last said: {last_line(done.stdout)}"
    return last_line(done.stdout)
