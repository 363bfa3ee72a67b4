"""One bench on one board, from copying the bundle to fetching the report.

Everything on the board lies in one folder, named by the bundle and the options. So the same command
finds what an earlier one left: a part of the bundle, a running bench, or a finished one. The bench
is detached and writes a log. After a lost connection, the log is simply read again.

    bundle.part, bundle.ecb    the copy, and the copy when it is whole
    log, console, pid, code    the bench's stderr, stdout, process, and exit code once it ended
    out/                       what the bench writes
"""

from __future__ import annotations

import hashlib
import json
import shlex
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Literal, TypeVar

from edge_convnext.core.errors import ArtifactError, RemoteError
from edge_convnext.core.files import atomic_path, sha256_file
from edge_convnext.core.locks import hold_lock
from edge_convnext.core.swap import swap, written_beside
from edge_convnext.core.version import __version__
from edge_convnext.devices.bench.publish import OWN_FILES, find_old
from edge_convnext.devices.ssh import scripts
from edge_convnext.devices.ssh.client import ConnectionLostError, Host, last_line, quote
from edge_convnext.devices.ssh.lacking import why_no_engines
from edge_convnext.devices.ssh.relay import Relay
from edge_convnext.devices.ssh.running import following
from edge_convnext.report.contract import Report
from edge_convnext.report.described import FileReport
from edge_convnext.report.file_names import REPORT
from edge_convnext.report.manifest import (
    MANIFEST,
    PAGE,
    TABLES,
    read_manifest,
    require_unedited,
)

__all__ = ["Session", "SilentEndError"]

CHUNK_BYTES = 1 << 18
FIRST_WAIT_S = 1.0  # before another try after a lost connection; doubled each time
_LONGEST_WAIT_S = 30.0
_SPARE_BYTES = 64 << 20  # for engines, logits and reports, beside the bundle and its content
_MAX_REPORT = 256 << 20  # bytes
_FINISHED = ("0", "1")  # exit codes; 1: the verdict is not the required one
_KILLED = ("", "137")  # with everything around it, or alone, as a system short of memory does

_STOP_TIMEOUT_S = 18.0

_NOUNS = {"bench": "bench", "tune": "search"}

T = TypeVar("T")
Say = Callable[[str], None]


class SilentEndError(RemoteError):
    """What ran on the board ended without a message: it was killed, or the board was restarted."""


@dataclass(frozen=True)
class Session:
    """The run of one bundle on one board."""

    host: Host
    bundle: Path
    arguments: tuple[str, ...]  # of `bench`, after the bundle and `-o`
    command: str = "edge-convnext"  # on the board; shell words
    keep: bool = False
    give_up_s: float = 600.0  # without a connection
    say: Say = lambda _: None
    verb: Literal["bench", "tune"] = "bench"  # what is done there with the bundle
    further: tuple[str, ...] = ()  # arguments that do not name the folder: others go on there
    _stopped: threading.Event = field(default_factory=threading.Event, init=False, compare=False)
    # Held while the bench is started, so that a stop comes before or after that.
    _starting: threading.Lock = field(default_factory=threading.Lock, init=False, compare=False)
    _at: list[str] = field(default_factory=list, init=False, compare=False)  # folder there

    def check(self) -> str:
        """Check that the board has this package, and not an older one.

        Returns:
            Name of the board.

        Raises:
            RemoteError: It can't be reached, or has no edge-convnext that can bench a bundle.
        """
        return self._ask()[0]

    def _ask(self) -> tuple[str, str]:
        """Name of the board, and why it runs no engines; see `check`."""
        seen = self.examine()
        gpus = [str(gpu["name"]) for gpu in seen["gpus"]]
        board = str(seen["jetson"] or next(iter(gpus), None) or seen["cpu_model"])
        return board, why_no_engines(seen)

    def examine(self) -> dict[str, Any]:
        """What `doctor --json` says on the board.

        Raises:
            RemoteError: As for `check`.
        """
        try:
            answer = self.host.run(scripts.doctor(self.command))
        except ConnectionLostError as error:
            raise RemoteError(f"{error}; check --host and --ssh-option") from error
        install = f"pip install 'edge-convnext=={__version__}'"
        try:
            seen: dict[str, Any] = json.loads(scripts.between_marks(answer.text))
            version = str(seen["edge_convnext"])
            _ = [gpu["name"] for gpu in seen["gpus"]], seen["jetson"] or seen["cpu_model"]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            said = last_line(answer.errors)
            raise RemoteError(
                f"{self.host.name}: no edge-convnext answers there ({said or 'no output'}); on the "
                f"board: {install}, or name it with --remote-command"
            ) from error
        if _number(version) < _number(__version__):
            raise RemoteError(
                f"{self.host.name}: has edge-convnext {version}, this is {__version__}; on the "
                f"board: {install}"
            )
        return seen

    def run(self, out: Path) -> Report:
        """Copy, bench, fetch, and remove everything from the board.

        Args:
            out: Folder for the report and the files that ship.

        Raises:
            RemoteError: A step failed; the message says which. The files on the board stay, and
                the same call goes on from them.
        """
        find_old(out)  # fails before any work if a file is in the way

        def take(folder: str) -> Report:
            self.work(folder)
            return self._take(folder, out)

        return self.carry_out(take)

    def carry_out(self, do: Callable[[str], T]) -> T:
        """Copy the bundle, do something in its folder on the board, and remove that.

        Args:
            do: Called with the folder on the board, in which the bundle lies.

        Raises:
            RemoteError: As for `run`.
        """
        board, lacking = self._ask()  # the first contact fails at once
        self.say(f"reached {board}{f'; {lacking}' if lacking else ''}")
        sha256 = sha256_file(self.bundle)
        with following(self):
            folder = self.patiently(lambda: self._prepare(sha256))
            self._at.append(folder)
            self._refuse_second(self.patiently(lambda: self.do(scripts.others(folder))))
            self.patiently(lambda: self._copy(folder, sha256))
            done = do(folder)
            if not self.keep:
                self.patiently(lambda: self.do(scripts.remove(folder)))
            return done

    def stop(self) -> str:
        """Stop the bench there, and return one line about what is left; empty where nothing is.

        It is called from another thread; `run` then ends with an error.
        """
        self._stopped.set()
        if not self._at:
            return ""
        if self._starting.acquire(timeout=_STOP_TIMEOUT_S):
            self._starting.release()
        try:
            answer = self.host.run(scripts.stop(self._at[0]), timeout_s=_STOP_TIMEOUT_S)
            self._require(answer.code, answer.errors, "stopping the bench")
        except RemoteError:
            return self.unstopped()
        noun = self._noun
        what = f"its {noun} was stopped" if "stopped" in answer.text else f"no {noun} runs there"
        return (
            f"{self.host.name}: {what}; the same command goes on from what is left in "
            f"{self._at[0]} (to remove it: {self._remotely(f'rm -r {quote(self._at[0])}')})"
        )

    def unstopped(self) -> str:
        """One line for a bench that could not be asked to stop; empty where none was started."""
        if not self._at:
            return ""
        kill = self._remotely(_kill(self._at[0]))
        return (
            f"{self.host.name}: could not be asked to stop; a bench that runs there goes on, in "
            f"{self._at[0]}: the same command picks it up, or stop it with: {kill}"
        )

    def _remotely(self, line: str) -> str:
        return f"{self.host.login} {shlex.quote(line)}"

    def _prepare(self, sha256: str) -> str:
        named = [sha256, self.arguments, self.command]
        text = json.dumps(named if self.verb == "bench" else [*named, self.verb])
        name = hashlib.sha256(text.encode()).hexdigest()[:24]
        return self.do(scripts.prepare(name)).strip()

    def _copy(self, folder: str, sha256: str) -> None:
        """Send the part that is not there yet."""
        size = self.bundle.stat().st_size
        state = dict(
            line.partition("=")[::2] for line in self.do(scripts.look(folder)).splitlines()
        )
        if state.get("whole") == "1":
            return
        have = int(state["have"]) if state.get("have", "").isdecimal() else 0
        kib = state.get("free_kib", "")
        free = int(kib) * 1024 if kib.isdecimal() else None  # None: its df has no number
        if have > size or (have and state.get("sha256") != _prefix_sha256(self.bundle, have)):
            have = 0  # part of another file, or damaged: start anew
        needed = (size - have) + size + _SPARE_BYTES
        if free is not None and free < needed:
            raise RemoteError(
                f"{self.host.name}: its disk is full: {free / 1e6:.0f} MB free where "
                f"{needed / 1e6:.0f} MB are needed, in {folder}"
            )
        done = have
        shown = 0.0

        def sent(count: int) -> None:
            nonlocal done, shown
            done += count
            if time.monotonic() - shown > 2.0 or done == size:
                shown = time.monotonic()
                self.say(f"copied {done / 1e6:.1f} of {size / 1e6:.1f} MB")

        answer = self.host.send(scripts.receive(folder, have), _read_from(self.bundle, have), sent)
        self._require(answer.code, answer.errors, "copying the bundle")
        answer = self.host.run(scripts.seal(folder, sha256))
        if answer.code != 0:
            raise ConnectionLostError(f"{self.host.name}: the copy came out damaged")

    def work(self, folder: str) -> None:
        """Start the bench unless it runs or is done, and relay its log to the end.

        Raises:
            SilentEndError: It ended without a message: something killed it.
            RemoteError: It failed; or as for `run`.
        """
        noun = self._noun
        started = self.patiently(lambda: self._start(folder))
        self._refuse_second(started)
        self.say(
            {"running": f"the {noun} is still running", "done": f"the {noun} was done"}.get(
                started.strip(), f"the {noun} has started"
            )
        )
        relay = Relay(self.say)
        self.patiently(lambda: self._follow(folder, relay), relay.is_new)
        answer = self.patiently(lambda: self.do(scripts.exit_code(folder))).strip()
        if answer in _KILLED:
            raise SilentEndError(
                f"{self.host.name}: the {noun} ended without a message (a restart, or no memory?); "
                "run the same command again to go on"
            )
        if answer not in _FINISHED:
            why = relay.last.removeprefix("error: ") or f"exit code {answer}"
            raise RemoteError(f"{self.host.name}: the {noun} failed there: {why}")

    @property
    def _noun(self) -> str:
        return _NOUNS[self.verb]

    def _start(self, folder: str) -> str:
        with self._starting:
            if self._stopped.is_set():
                raise RemoteError(f"{self.host.name}: stopped")
            return self.do(scripts.start(folder, self._remote_line(folder)))

    def _refuse_second(self, found: str) -> None:
        """Refuse a second bench on a board: they would disturb each other's timings."""
        for line in found.splitlines():
            mark, _, rest = line.partition(" ")
            if mark == "other":
                folder = rest.partition(" ")[2]
                raise RemoteError(
                    f"{self.host.name}: another bench runs there, of another bundle or with other "
                    "options; wait for it, pick it up with the command that started it, or stop "
                    f"it with: {self._remotely(_kill(folder))}"
                )

    def _remote_line(self, folder: str) -> str:
        own = (*self.arguments, *self.further)
        words = (self.verb, f"{folder}/bundle.ecb", "--out", f"{folder}/out", *own)
        return f"{self.command} {' '.join(quote(word) for word in words)}"

    def _follow(self, folder: str, relay: Relay) -> None:
        for piece in self.host.stream(scripts.follow(folder, relay.received)):
            relay.add(piece)

    def _take(self, folder: str, out: Path) -> Report:
        """Fetch everything, and then replace the files of an earlier bench in `out`."""
        out.mkdir(parents=True, exist_ok=True)
        with hold_lock(out.resolve()), written_beside(out) as new:
            old = find_old(out)
            report = self.patiently(lambda: self._fetch(folder, out, new))
            kept = {file.path for file in _files_of(report)}
            swap(new, out, old - kept, MANIFEST)
        return report

    def _fetch(self, folder: str, out: Path, new: Path) -> Report:
        """Fetch the report and every file that it lists into `new`."""
        with atomic_path(new / REPORT) as scratch:
            self.receive(f"{folder}/out/{REPORT}", scratch, _MAX_REPORT)
            report = Report.read(scratch)
            if report.board is None:
                raise ArtifactError(f"{self.host.name}: sent a report that is of no board")
            for file in _files_of(report):
                if not any(_is(root / file.path, file) for root in (out, new)):
                    self.fetch_file(f"{folder}/out/{file.path}", new / file.path, file)
            with atomic_path(new / TABLES) as text:
                self.receive(f"{folder}/out/{TABLES}", text, _MAX_REPORT)
        with atomic_path(new / MANIFEST) as hashes:
            self.receive(f"{folder}/out/{MANIFEST}", hashes, _MAX_REPORT)
        if PAGE in read_manifest(new):  # a board with an older version makes none
            with atomic_path(new / PAGE) as page:
                self.receive(f"{folder}/out/{PAGE}", page, _MAX_REPORT)
        require_unedited(new / REPORT)
        return report

    def fetch_file(self, source: str, target: Path, file: FileReport) -> None:
        """Fetch a file whose size and hash are known."""
        with atomic_path(target) as scratch:
            self.receive(source, scratch, file.bytes)
            if sha256_file(scratch) != file.sha256:
                raise ConnectionLostError(f"{self.host.name}: {file.path} came out damaged")

    def receive(self, source: str, target: Path, limit: int) -> None:
        """Fetch a file of at most `limit` bytes."""
        size = 0
        with target.open("wb") as file:
            for piece in self.host.stream(f"exec cat {quote(source)}"):
                size += len(piece)
                if size > limit:
                    raise RemoteError(f"{self.host.name}: {source} is larger than it states")
                file.write(piece)

    def do(self, script: str) -> str:
        """Run a script there that has to succeed, and return what it prints."""
        answer = self.host.run(script)
        self._require(answer.code, answer.errors, "a command")
        return answer.text

    def _require(self, code: int, errors: str, what: str) -> None:
        if code != 0:
            said = last_line(errors) or f"exit code {code}"
            raise RemoteError(f"{self.host.name}: {what} failed there: {said}")

    def patiently(self, do: Callable[[], T], advanced: Callable[[], bool] = lambda: False) -> T:
        """Repeat a step until it succeeds, or the connection is lost for too long.

        Args:
            do: Step that goes on where it was interrupted.
            advanced: Function that says whether there was progress since the last call.
        """
        wait, since = FIRST_WAIT_S, None
        while True:
            if self._stopped.is_set():
                raise RemoteError(f"{self.host.name}: stopped")
            try:
                return do()
            except ConnectionLostError as error:
                if self._stopped.is_set():
                    continue  # a line of it would be the last that a user reads after Ctrl-C
                now = time.monotonic()
                if since is None or advanced():
                    wait, since = FIRST_WAIT_S, now
                if now - since + wait > self.give_up_s:
                    raise RemoteError(
                        f"{error}; what runs on the board goes on: run the same command again "
                        "to pick it up"
                    ) from error
                self.say(f"{error}; trying again in {wait:.0f} s")
                time.sleep(wait)
                wait = min(2 * wait, _LONGEST_WAIT_S)


def _kill(folder: str) -> str:
    """The command that ends the bench and its children; `start` made them a process group."""
    return f"kill -TERM -$(cat {quote(folder)}/pid)"


def _files_of(report: Report) -> list[FileReport]:
    """The shipped file and every engine; names that leave the folder are refused."""
    engines = [
        variant.artifact
        for variant in report.stage("engine").variants
        if variant.artifact is not None
    ]
    files = [*report.outputs, *engines]
    for file in files:
        path = PurePosixPath(file.path)
        known = file.path in OWN_FILES or path.parts[:1] == ("work",)
        if not known or path.is_absolute() or ".." in path.parts or "\\" in file.path:
            raise ArtifactError(f"a board's report names {file.path!r}, which is no file of it")
    return files


def _is(path: Path, file: FileReport) -> bool:
    return path.is_file() and sha256_file(path) == file.sha256


def _number(version: str) -> tuple[int, ...]:
    digits = [part for part in version.replace("+", ".").split(".")[:3] if part.isdigit()]
    return tuple(int(part) for part in digits)


def _prefix_sha256(path: Path, size: int) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while size > 0 and (block := file.read(min(size, 1 << 20))):
            digest.update(block)
            size -= len(block)
    return digest.hexdigest()


def _read_from(path: Path, offset: int) -> Iterator[bytes]:
    with path.open("rb") as file:
        file.seek(offset)
        while block := file.read(CHUNK_BYTES):
            yield block
