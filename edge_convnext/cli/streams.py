"""Handle standard streams that are closed, have no reader, or are on a full disk.

A pipe whose reader has finished (`| head`) is no failure: the command ends as other programs do,
silently and with 141 (128 + SIGPIPE). The signal itself stays ignored, because a board's connection
is a pipe too, and its end has to become an error that names the board.
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
    """Standard output has no reader. Not an OSError: libraries would exit with 1 for that."""


class _Output(io.FileIO):
    """Standard output; its errors say so."""

    def write(self, data: ReadableBuffer, /) -> int:
        try:
            return super().write(data)
        except BrokenPipeError:
            raise NoReader from None
        except OSError as error:
            error.filename = STDOUT
            raise


class _Notes(io.FileIO):
    """Standard error; its errors are ignored, because a command can work without it."""

    def write(self, data: ReadableBuffer, /) -> int:
        with contextlib.suppress(OSError):
            return super().write(data)
        return memoryview(data).nbytes


def prepare_streams() -> None:
    """Make sure that all three streams exist and can print any text.

    Raises:
        EdgeConvNextError: Standard output is closed, so the results would be lost. Worse, the
            next file that is opened would get its free number, and be overwritten.
    """
    closed = [number for number in range(3) if not _is_open(number)]
    for _ in closed:
        os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # gets the lowest free number
    if sys.stdin is None:
        sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = _wrap(sys.stderr, 2, _Notes)
    if 1 in closed:
        raise EdgeConvNextError(
            "standard output is closed, and results go there; if you don't want them, redirect "
            "it to /dev/null"
        )
    sys.stdout = _wrap(sys.stdout, 1, _Output)


def leave(status: int | str | None) -> NoReturn:
    """Flush the output and exit; without a reader, only exit code 0 becomes 141.

    Raises:
        OSError: The output can't be written, as on a full disk.
    """
    try:
        sys.stdout.flush()
    except NoReader:
        forget_output()
        status = status or EXIT_NO_READER
    sys.exit(status)


def forget_output() -> None:
    """Drop output that could not be written: at exit Python would try again, and complain."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


def _wrap(stream: TextIO | None, number: int, kind: type[io.FileIO]) -> TextIO:
    """The stream on a file of `kind`; a stream that is no file, as in a test, stays as it is."""
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
