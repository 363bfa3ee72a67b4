"""Run a script on a board with the OpenSSH client, and distinguish a lost connection from an error.

A login may print anything: a greeting, or the output of `.bashrc`. So each script first prints a
mark, and everything before the mark is ignored.
"""

from __future__ import annotations

import contextlib
import re
import secrets
import shlex
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO

from edge_convnext.core.errors import RemoteError
from edge_convnext.report.summary import plain

__all__ = ["Answer", "ConnectionLostError", "Host", "end_clients", "quote"]

_CLIENT = "ssh"
_LOST = 255  # ssh's exit code for its own failures
# Never a prompt: there may be no user to answer, and several hosts would ask at once.
_ALWAYS = ("BatchMode=yes",)
# A dead connection is noticed within 15 s. The user's options come before these, and the client
# takes the first of two.
_USUAL = ("ConnectTimeout=15", "ServerAliveInterval=5", "ServerAliveCountMax=3", "LogLevel=ERROR")
_NAME = re.compile(r"[^\s-]\S*")
_TIMEOUT_S = 120.0
_SHOWN_CHARS = 300

quote = shlex.quote
_clients: set[subprocess.Popen[bytes]] = set()


class ConnectionLostError(RemoteError):
    """The connection is lost, or the board does not answer: another try may succeed."""


@dataclass(frozen=True)
class Answer:
    """The output of a script on the board, and its exit code."""

    code: int
    output: bytes
    errors: str

    @property
    def text(self) -> str:
        """Standard output as text."""
        return self.output.decode("utf-8", errors="replace")


@dataclass(frozen=True)
class Host:
    """A board that ssh can reach."""

    name: str  # "user@board", or an alias of the user's configuration
    options: tuple[str, ...] = ()  # as after `ssh -o`

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise RemoteError(f"{self.name!r} is no host; pass --host user@board")

    @property
    def login(self) -> str:
        """The command line that logs in there, for messages."""
        return shlex.join([_CLIENT, *self._stated, self.name])

    @property
    def _stated(self) -> list[str]:
        return [word for option in self.options for word in ("-o", option)]

    def run(self, script: str, *, timeout_s: float = _TIMEOUT_S) -> Answer:
        """Run a POSIX shell script to its end.

        Raises:
            RemoteError: No ssh client, an unknown host key, or the login was refused.
            ConnectionLostError: The board can't be reached, or stopped answering.
        """
        mark = _make_mark()
        with self._client(script, subprocess.DEVNULL, mark) as process:
            try:
                output, said = process.communicate(timeout=timeout_s)
            except subprocess.TimeoutExpired as error:
                raise ConnectionLostError(f"{self.name}: no answer in {timeout_s:.0f} s") from error
        errors = said.decode("utf-8", errors="replace")
        if process.returncode in (_LOST, -9):
            raise self._explain(errors)
        return self._answer(process.returncode, output, errors, mark)

    def send(self, script: str, pieces: Iterator[bytes], sent: Callable[[int], None]) -> Answer:
        """Run a script that reads `pieces` from its standard input.

        Args:
            script: Script that ends when its input ends.
            pieces: Bytes to send.
            sent: Function that is called with the size of each piece.

        Raises:
            RemoteError: As for `run`.
            ConnectionLostError: As for `run`.
        """
        mark = _make_mark()
        with self._client(script, subprocess.PIPE, mark) as process:
            assert process.stdin is not None  # it is a pipe
            try:
                for piece in pieces:
                    process.stdin.write(piece)
                    process.stdin.flush()
                    sent(len(piece))
                process.stdin.close()
            except OSError:  # the board's side has ended; its exit code says why
                if not _ended(process):
                    process.kill()
            with contextlib.suppress(OSError):
                process.stdin.close()
            process.stdin = None  # `communicate` would flush into a closed pipe
            output, errors = process.communicate()
        text = errors.decode("utf-8", errors="replace")
        if process.returncode in (_LOST, -9):
            raise self._explain(text)
        return self._answer(process.returncode, output, text, mark)

    def stream(self, script: str) -> Iterator[bytes]:
        """Run a script and yield its output as it comes.

        Raises:
            RemoteError: As for `run`; or the script failed.
            ConnectionLostError: As for `run`.
        """
        mark = _make_mark()
        with self._client(script, subprocess.DEVNULL, mark) as process:
            assert process.stdout is not None  # it is a pipe
            assert process.stderr is not None
            begun, rest = _skip_greeting(process.stdout, mark)
            if rest:
                yield rest
            while piece := _read_some(process.stdout):
                yield piece
            errors = process.stderr.read().decode("utf-8", errors="replace")
            code = process.wait()
        if code in (_LOST, -9):
            raise self._explain(errors)
        if code != 0:
            raise RemoteError(f"{self.name}: {last_line(errors) or f'exit code {code}'}")
        if not begun:
            raise self._another(errors)

    def _answer(self, code: int, output: bytes, errors: str, mark: bytes) -> Answer:
        _, begun, answer = output.partition(mark)
        if code == 0 and not begun:
            raise self._another(errors)
        return Answer(code, answer, errors)

    def _another(self, errors: str) -> RemoteError:
        said = last_line(errors)
        return RemoteError(
            f"{self.name}: the login there does not run the command that it is given"
            f"{f' ({said})' if said else ''}; look at its shell, and at `command=` of its key"
        )

    @contextlib.contextmanager
    def _client(self, script: str, stdin: int, mark: bytes) -> Iterator[subprocess.Popen[bytes]]:
        """Start an ssh that runs a script; it does not outlive the block.

        The terminal's Ctrl-C does not reach it, so that its work ends in a known state.
        """
        process = subprocess.Popen(
            self._command(f"{_print(mark)}; {script}"),
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        _clients.add(process)
        try:
            yield process
        finally:
            process.kill()
            for pipe in (process.stdin, process.stdout, process.stderr):
                if pipe is not None:
                    with contextlib.suppress(OSError):
                        pipe.close()
            process.wait()
            _clients.discard(process)

    def _command(self, script: str) -> list[str]:
        if shutil.which(_CLIENT) is None:
            raise RemoteError("no ssh here: install the OpenSSH client")
        options = [word for option in (*_ALWAYS, *self.options, *_USUAL) for word in ("-o", option)]
        # The login shell there may be any; the script is for a POSIX one.
        return [_CLIENT, "-T", *options, "--", self.name, f"exec sh -c {quote(script)}"]

    def _explain(self, errors: str) -> RemoteError:
        said = last_line(errors)
        if "IDENTIFICATION HAS CHANGED" in errors:
            return RemoteError(
                f"{self.name}: its host key is not the known one; if the board was installed "
                "again, remove the old key with ssh-keygen -R, then check and accept the new one "
                f"with: {self.login}"
            )
        if "Host key verification failed" in errors:
            return RemoteError(
                f"{self.name}: its host key is not known here yet; check and accept it with: "
                f"{self.login}"
            )
        if "Permission denied" in errors or "Too many authentication failures" in errors:
            return RemoteError(
                f"{self.name}: the login was refused ({said}); it must work without a password: "
                f"{shlex.join(['ssh-copy-id', *self._stated, self.name])}"
            )
        if "Bad configuration option" in errors or "Could not resolve hostname" in errors:
            return RemoteError(f"{self.name}: {said}; check --host and --ssh-option")
        return ConnectionLostError(f"{self.name}: {said or 'the connection was lost'}")


def _make_mark() -> bytes:
    return f"edge-convnext-{secrets.token_hex(16)}\n".encode()


def _print(mark: bytes) -> str:
    """Shell code that prints a mark. It has the mark in two parts: a shell may show its command."""
    text = mark.decode().strip()
    return f"printf '%s%s\\n' {text[:20]} {text[20:]}"


def _skip_greeting(file: IO[bytes], mark: bytes) -> tuple[bool, bytes]:
    """Read up to a mark: whether it came, and the bytes after it that were read."""
    seen = b""
    while piece := _read_some(file):
        before, begun, rest = (seen + piece).partition(mark)
        if begun:
            return True, rest
        seen = before[-len(mark) :]  # it may be split over two pieces
    return False, b""


def end_clients() -> None:
    """End every running ssh: this process is about to exit."""
    for process in list(_clients):
        process.kill()


def last_line(text: str) -> str:
    """The last line that is not empty, for a message."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return plain(lines[-1])[:_SHOWN_CHARS] if lines else ""


def _ended(process: subprocess.Popen[bytes]) -> bool:
    """Whether the client ends by itself shortly; then its own message says why."""
    try:
        process.wait(timeout=10.0)
    except subprocess.TimeoutExpired:
        return False
    return True


def _read_some(file: IO[bytes]) -> bytes:
    """Read the available bytes, at least one; empty at the end."""
    return file.read1(1 << 16) if hasattr(file, "read1") else file.read(1 << 16)
