"""Standard streams as a process may be given them: closed, without a reader, on a full disk.

A pipe whose reader has what it wanted (`| head`) is no failure: the command ends as other programs
do, with 141 (128 + SIGPIPE), and without a word. The signal itself stays ignored: a board's
connection is a pipe too, and its end is an error with a name.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
from typing import TYPE_CHECKING, TextIO

from edge_convnext.core.errors import EdgeConvNextError

if TYPE_CHECKING:
    from typing import NoReturn

    from _typeshed import ReadableBuffer

__all__ = ["EXIT_NO_READER", "STDOUT", "NoReader", "forget_output", "leave", "prepare_streams"]

EXIT_NO_READER = 141
STDOUT = "standard output"


class NoReader(BaseException):
    """Nobody reads what is printed; of an OSError the libraries between would make exit code 1."""


class _Output(io.FileIO):
    """Standard output, whose errors have its name."""

    def write(self, data: ReadableBuffer, /) -> int:
        try:
            return super().write(data)
        except BrokenPipeError:
            raise NoReader from None
        except OSError as error:
            error.filename = STDOUT
            raise


class _Notes(io.FileIO):
    """Standard error: nobody has to read it for a command to do its work."""

    def write(self, data: ReadableBuffer, /) -> int:
        with contextlib.suppress(OSError):
            return super().write(data)
        return memoryview(data).nbytes


def prepare_streams() -> None:
    """Have all three streams there, with letters for any text.

    Raises:
        EdgeConvNextError: Standard output is closed, and the results would go nowhere. Where a
            number is free, the next file that is opened gets it, and is written over.
    """
    closed = [number for number in range(3) if not _is_open(number)]
    for _ in closed:
        os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # the lowest free number: these
    if sys.stdin is None:
        sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = _wrap(sys.stderr, 2, _Notes)
    if 1 in closed:
        raise EdgeConvNextError(
            "standard output is closed, and results go there; where nobody wants them, redirect "
            "it to /dev/null"
        )
    sys.stdout = _wrap(sys.stdout, 1, _Output)


def leave(status: int | str | None) -> NoReturn:
    """End with what is printed so far; an exit code that says something is kept without a reader.

    Raises:
        OSError: It can't be written, as on a full disk.
    """
    try:
        sys.stdout.flush()
    except NoReader:
        forget_output()
        status = status or EXIT_NO_READER
    sys.exit(status)


def forget_output() -> None:
    """Drop what could not be written: at the end Python would try again, and complain."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


def _wrap(stream: TextIO | None, number: int, kind: type[io.FileIO]) -> TextIO:
    """The stream over a file of our kind; one that is no file, as in a test, as it is."""
    if stream is not None and not _is_file(stream, number):
        return stream
    raw = kind(number, "w", closefd=False)
    encoding = stream.encoding if stream is not None else "utf-8"
    errors = stream.errors if stream is not None else "strict"
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=encoding,
        # Replace characters that the terminal can't show instead of failing.
        errors="replace" if errors == "strict" else errors,
        line_buffering=number == 2 or raw.isatty(),
    )


def _is_file(stream: TextIO, number: int) -> bool:
    try:
        return isinstance(stream, io.TextIOWrapper) and stream.fileno() == number
    except (OSError, ValueError):
        return False
