"""Every error this package raises on purpose.

EdgeConvNextError
├── RecipeError                a recipe, a flag or their combination is wrong
├── MissingDependencyError     an optional package is not installed (also an ImportError)
├── DataError                  images, labels, splits, calibration sets
├── ArtifactError              a built file is missing, damaged or not ours
│   └── UntrainableError       a graph has an operation that nothing here can train
├── BoardError                 a board or one of its tools refused a command
├── RemoteError                a board can't be reached, or what was run there failed
└── StageError                 a stage of the chain could not do its work
    ├── LoadError              checkpoints and hubs
    │   └── BadModelError      weights that are no better than guessing
    ├── TrainingError
    ├── ExportError
    ├── SimplifyError
    ├── QuantizationError
    │   └── RefusedGraphError  a target can't run the graph, or computes something else
    ├── EngineBuildError
    └── InferenceError         a runtime refused a graph or an input

A message says what went wrong, where, and what to do next. The command line prints it as one
line and exits with 3; anything else is a bug and keeps its traceback.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from edge_convnext.core.text import printable

__all__ = [
    "ArtifactError",
    "BadModelError",
    "BoardError",
    "DataError",
    "EdgeConvNextError",
    "EngineBuildError",
    "ExportError",
    "InferenceError",
    "LoadError",
    "MissingDependencyError",
    "QuantizationError",
    "RecipeError",
    "RefusedGraphError",
    "RemoteError",
    "SimplifyError",
    "StageError",
    "TrainingError",
    "UntrainableError",
    "reason_of",
    "shorten",
]


_COLOURS = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|[@-Z\\-_])")  # ECMA-48
_DEEPEST_CAUSE = 50  # levels of errors that wrap errors
_LONGEST_CHARS = 1600  # of a message; usual paths and reasons take a third


class EdgeConvNextError(Exception):
    """Base of every error that a user can cause and correct."""

    def __str__(self) -> str:
        """One line of bounded length, even if the message quotes a long part of a file."""
        text = _one_line(super().__str__())
        if len(text) <= _LONGEST_CHARS:
            return text
        half = _LONGEST_CHARS // 2  # the end says what to do
        return f"{text[:half]} ... {text[-half:]}"


def reason_of(error: BaseException, most_chars: int = 400) -> str:
    """Describe a library's error on one line: its message, and that of its first cause.

    Libraries wrap errors in errors: the outer one says what was tried, the innermost one says why
    it failed. Colours are left out. If the text is too long, its middle is left out.
    """
    said = _plain(error)
    bottom = error
    for _ in range(_DEEPEST_CAUSE):
        below = bottom.__cause__ or (None if bottom.__suppress_context__ else bottom.__context__)
        if below is None:
            break
        bottom = below
    if bottom is not error and (why := _plain(bottom)) not in said:
        half = most_chars // 2
        return f"{_cut(said, half)}: {_cut(f'{type(bottom).__name__}: {why}', half)}"
    return _cut(said, most_chars)


def _plain(error: BaseException) -> str:
    return " ".join(_COLOURS.sub("", str(error)).split()) or type(error).__name__


def _cut(text: str, most_chars: int) -> str:
    half = most_chars // 2
    return text if len(text) <= most_chars else f"{text[:half]} ... {text[-half:]}"


def shorten(text: str | bytes, most_chars: int = 200) -> str:
    """Quote text from a file in a message: one printable line of bounded length.

    A string of an ONNX file that is not UTF-8 is passed as bytes.
    """
    text = _one_line(text if isinstance(text, str) else text.decode("utf-8", "backslashreplace"))
    return text if len(text) <= most_chars else f"{text[:most_chars]}..."


def shorten_names(names: Sequence[str], most: int = 5) -> str:
    """Quote the first names of a list from a file."""
    shown = ", ".join(shorten(name, 60) for name in names[:most])
    return f"{shown}, …" if len(names) > most else shown


def _one_line(text: str) -> str:
    """Replace line ends by blanks, and escape what `printable` escapes."""
    return printable(re.sub(r"\s", " ", text))


class RecipeError(EdgeConvNextError):
    """A recipe, a flag, or their combination is wrong."""


class MissingDependencyError(EdgeConvNextError, ImportError):
    """An optional package is not installed."""


class DataError(EdgeConvNextError):
    """Images, labels, splits or a calibration set can't be used."""


class ArtifactError(EdgeConvNextError):
    """A built file is missing, damaged or not made by this package."""


class UntrainableError(ArtifactError):
    """A graph has an operation that nothing here can train."""


class BoardError(EdgeConvNextError):
    """A board or one of its tools refused a command."""


class RemoteError(EdgeConvNextError):
    """A board can't be reached over SSH, or what was run there failed."""


class StageError(EdgeConvNextError):
    """A stage of the chain could not do its work."""


class LoadError(StageError):
    """A checkpoint can't be read, or does not fit the model."""


class BadModelError(LoadError):
    """Weights that are no better than guessing on the evaluation images."""

    def __init__(self, message: str, order: tuple[str, ...] | None = None) -> None:
        super().__init__(message)
        self.order = order  # of the classes, that would fit far better


class TrainingError(StageError):
    """Training can't start or diverged."""


class ExportError(StageError):
    """The ONNX export failed or changed the model."""


class SimplifyError(StageError):
    """The simplifier's child process could not be run at all."""


class QuantizationError(StageError):
    """Quantization failed or made a graph its target can't run right."""


class RefusedGraphError(QuantizationError):
    """One target can't run the graph, or computes something else; others may be right.

    Args:
        message: Node, rule and remedy.
        target: The target, as `runtimes.lint` names it.
    """

    def __init__(self, message: str, target: str) -> None:
        super().__init__(message)
        self.target = target


class EngineBuildError(StageError):
    """A builder refused the graph or built something else than asked."""


class InferenceError(StageError):
    """A runtime refused a graph or an input."""
