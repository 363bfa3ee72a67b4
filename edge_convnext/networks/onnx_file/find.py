"""Whether weights are a user's own ONNX file, and the model's name that goes with it."""

from __future__ import annotations

import re
from itertools import islice
from pathlib import Path

from edge_convnext.core.errors import RecipeError, shorten
from edge_convnext.core.file_kinds import recognise
from edge_convnext.core.files import expand_home

__all__ = ["PREFIX", "find_own_graph", "is_own_graph", "model_of_weights", "name_of_graph"]

PREFIX = "onnx"
_SUFFIX = ".onnx"
_KEYWORDS = ("in1k", "random")
_LONGEST = 80  # characters of a name
_NO_WORD = re.compile(r"[^A-Za-z0-9_.-]+")
_MOST_ENTRIES = 1000  # of a folder


def is_own_graph(model: str) -> bool:
    """Whether a model's name is that of an ONNX file."""
    return model.startswith(f"{PREFIX}:")


def find_own_graph(weights: str | None) -> Path | None:
    """The ONNX file that `load.weights` leads to; None: it leads to something else.

    What a file is, its bytes say; of one that is missing or damaged, its suffix.
    """
    if not weights or "\0" in weights or weights.partition("@")[0] in _KEYWORDS:
        return None
    path = expand_home(weights)
    try:
        if path.is_dir():
            return _only_graph(path)
        if not path.is_file():
            return path if path.suffix.lower() == _SUFFIX and not path.exists() else None
        kind = recognise(path).name
    except (OSError, ValueError):  # a name with a zero byte is no path
        return None
    is_graph = kind == "graph" or (kind == "other" and path.suffix.lower() == _SUFFIX)
    return path if is_graph else None


def _only_graph(folder: Path) -> Path | None:
    """The one graph of a folder that has no checkpoint."""
    found = []
    for path in sorted(islice(folder.iterdir(), _MOST_ENTRIES)):
        if not path.is_file():
            continue
        kind = recognise(path).name
        if kind in ("safetensors", "torch"):
            return None
        if kind == "graph" and path.suffix.lower() == _SUFFIX:
            found.append(path)
    return found[0] if len(found) == 1 else None


def name_of_graph(path: Path) -> str:
    """Such as `onnx:squeezenet`, of the file's name without its suffix."""
    stem = path.name[: -len(_SUFFIX)] if path.name.lower().endswith(_SUFFIX) else path.name
    word = _NO_WORD.sub("-", stem).strip("-.")[:_LONGEST]
    return f"{PREFIX}:{word or 'model'}"


def model_of_weights(
    weights: str | None, stated: str | None, flag: str, by_caller: bool = False
) -> str | None:
    """The model that an own ONNX file is; None: the weights are something else.

    Args:
        weights: Value of a recipe's `load.weights`.
        stated: Model that the recipe states; None: none.
        flag: Flag or field that states it, for messages.
        by_caller: True where the command line states the model, and no file.

    Raises:
        RecipeError: A model is stated beside the file, or the command line calls a file a model.
    """
    if stated is not None and is_own_graph(stated):
        if not by_caller:
            return None  # as reports have it
        file = stated.partition(":")[2]
        meant = file if file.lower().endswith(_SUFFIX) else "FILE.onnx"
        raise RecipeError(
            f"{flag} '{shorten(stated, 60)}': an ONNX file brings its own network; pass it as "
            f"--weights {shorten(meant, 200)}, without {flag}"
        )
    path = find_own_graph(weights)
    if path is None:
        return None
    if stated is not None:
        raise RecipeError(
            f"{flag} '{shorten(stated, 60)}': {path} is an ONNX file, which brings its own "
            f"network; leave {flag} out, or pass the checkpoint that it was exported from"
        )
    return name_of_graph(path)
