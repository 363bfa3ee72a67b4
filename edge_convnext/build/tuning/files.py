"""The folder of a search: `tune.json` and its recipes, which are replaced together."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path

from edge_convnext.core.bounded import read_text_bounded
from edge_convnext.core.errors import ArtifactError
from edge_convnext.core.files import copy_atomic, write_text_atomic
from edge_convnext.core.locks import hold_lock
from edge_convnext.core.swap import left_names, require_writable, swap, written_beside

__all__ = ["MODELS", "TUNE", "check_tune_folder", "write_tune_files"]

TUNE = "tune.json"
MODELS = ("model.int8.onnx", "model.int8.engine", "model.int8.engine.json")  # that won on a board
_RECIPE = re.compile(r"tuned(-\d+)?\.yaml")
_SCHEMAS = "edge-convnext/tune"  # prefix of the schemas of both kinds of search


def check_tune_folder(folder: Path) -> None:
    """Refuse, before a search, a folder that its results can't be written to.

    Raises:
        ArtifactError: The path is a file, the folder can't be written to, or it has files of the
            same names that no search wrote.
    """
    require_writable(folder)
    _find_old(folder)


def write_tune_files(
    folder: Path, texts: Mapping[str, str], copies: Mapping[str, Path] | None = None
) -> None:
    """Write the results of a search, in place of an earlier one's.

    Args:
        folder: Folder to write, made if it is missing; other files in it stay.
        texts: Contents of `tune.json` and the recipes, by file name.
        copies: Files to copy beside them, by their new name (`MODELS`); `tune.json` has to list
            them as `files`.

    Raises:
        ArtifactError: The folder can't be written to (`check_tune_folder`), or there is no room
            on the disk. An earlier search's files stay as they were.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with hold_lock(folder.resolve()):
        old = _find_old(folder)
        with written_beside(folder) as new:
            for name, text in texts.items():
                write_text_atomic(new / name, text)
            for name, source in (copies or {}).items():
                copy_atomic(source, new / name)
            swap(new, folder, old, TUNE)


def _find_old(folder: Path) -> set[str]:
    named = {path.name for path in folder.glob("tuned*.yaml") if _RECIPE.fullmatch(path.name)}
    named |= {name for name in (TUNE, *MODELS) if os.path.lexists(folder / name)}
    if foreign := sorted(named - _answered_for(folder)) if named else []:
        raise ArtifactError(
            f"{folder / foreign[0]}: would be overwritten, and no search in {folder} says that it "
            "wrote it; move it, or choose another --out"
        )
    return named


def _answered_for(folder: Path) -> set[str]:
    names = left_names(folder)
    try:
        fields = json.loads(read_text_bounded(folder / TUNE))
        if str(fields["schema"]).startswith(_SCHEMAS):
            names |= {TUNE, *fields.get("recipes", ("tuned.yaml",)), *fields.get("files", ())}
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        pass  # there is no tune.json, or no search wrote it
    return names
