"""A report for everybody: without users' paths, hosts, and names of images.

What is measured stays, and so do class names, nodes of graphs, and the build's own file names. Of
free text rather too much is hidden than too little.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

from edge_convnext.report.contract import Report

__all__ = ["make_public"]

_PATH, _HOST, _IMAGE = "[path]", "[host]", "[image]"
_IMAGES = "jpe?g|jpe|jfif|jif|mpo|a?png|bmp|webp|tiff?|gif|p[gpbn]m|jp2|j2k|avifs?|heic|heif|dng"
_FILES = "pth|pt|bin|safetensors|onnx|csv|tsv|txt|json|ya?ml|zip|tar|tgz|tflite|ckpt|npz|pkl|py"
_STOPS = r"'\"`,;:()\[\]\n"  # before and behind a path or a name in a sentence
# From the root, the home folder, a drive or a share, or up and down by `./` and `../`.
_ROOT = r"(?<![\w/.\\\]])(?:~[\w.-]*|\.{1,2}|[A-Za-z]:)?[/\\](?![\s/]|$)"
_PATTERNS = (
    (re.compile(r"\b[a-z][a-z0-9+-]*://\S+|\b[\w.+-]+@[\w-][\w.-]*"), _HOST),
    # Four numbers are a version too; those of TensorRT begin with 10.
    (
        re.compile(r"\b(?:127|192\.168|169\.254|172\.(?:1[6-9]|2\d|3[01]))(?:\.\d{1,3}){2,3}\b"),
        _HOST,
    ),
    (re.compile(r"(?<!TensorRT )(?<!rtx )\b10(?:\.\d{1,3}){3}\b", re.IGNORECASE), _HOST),
    # A name may have blanks: all of it from the last stop on is hidden.
    (re.compile(rf"[^'\"`,;:\n]*\.(?:{_IMAGES})\b", re.IGNORECASE), _IMAGE),
    (re.compile(rf"{_ROOT}[^{_STOPS}]*?\.(?:{_FILES})\b", re.IGNORECASE), _PATH),
    (re.compile(rf"{_ROOT}[^\s{_STOPS}]*"), _PATH),
    (
        re.compile(rf"(?<![\w/.\\])(?!(?:cpu|gpu)/)(?:[\w.@+-]+[/\\])+[\w.@+-]*\.(?:{_FILES})\b"),
        _PATH,
    ),
)
_SHORTEST = 4  # letters of a file's name that is hidden wherever it is in a text
_KEPT = (
    *("classes", "classes_past", "per_class", "versions", "builder", "artifact", "chosen"),
    *("best_float", "rival_float", "raw_fp32", "timed_once", "node", "kept_float", "operations"),
    *("sensitivity", "sha256", "schema"),
)  # fmt: skip
_PLACES = ("source", "calibration", "weights", "labels", "train", "val")  # fields of a recipe
_NO_PLACES = ("digits", "random", "in1k", "timm", "auto")


def make_public(report: Report) -> Report:
    """The same report with paths, hosts and images' names taken out of every text.

    Args:
        report: Report of a build or a board.

    Returns:
        One that may be shown to anybody. Places as the user named them are gone whole.
    """
    fields = report.model_dump(mode="json", by_alias=True)
    hidden = _walk(fields, _named_places(fields), "")
    hidden["folder"] = _PATH
    for file in hidden["outputs"]:
        file["path"] = file["path"] if _is_own(file["path"]) else _PATH
    return Report.model_validate(hidden)


def _named_places(fields: Mapping[str, Any]) -> tuple[str, ...]:
    """What this report tells to be a file or folder of the user's, the longest first."""
    recipes = [fields.get("recipe") or {}, fields.get("stated_recipe") or {}]
    sections = [one for recipe in recipes for one in recipe.values() if isinstance(one, dict)]
    data, weights = fields.get("data") or {}, fields["model"]["weights"]
    named = [fields["folder"], data.get("source"), data.get("calibration_source")]
    named += [weights["source"] if "." in weights["source"] else None]
    named += [one.get(place) for one in sections for place in _PLACES]
    whole = {one for one in named if isinstance(one, str) and _is_place(one)}
    parts = {kind(one).name for one in whole for kind in (PurePosixPath, PureWindowsPath)}
    names = {one for one in parts if len(one) >= _SHORTEST and "." in one}
    return tuple(sorted(whole | names, key=lambda one: (-len(one), one)))


def _is_place(text: str) -> bool:
    return bool(re.search(r"[/\\.~]", text)) and text not in _NO_PLACES and ":" not in text[2:6]


def _is_own(path: str) -> bool:
    """Whether a file of the build, named relative to its folder, is of this package's names."""
    return bool(re.fullmatch(r"(?:(?:cpu|gpu)/)?[a-z0-9_.-]+", path)) and ".." not in path


def _walk(value: Any, places: tuple[str, ...], key: str) -> Any:
    """The same value with every text changed, but for what is of no user."""
    if key in _KEPT:
        return value
    if isinstance(value, str):
        return _without(value, places)
    if isinstance(value, list):
        return [_walk(one, places, key) for one in value]
    if isinstance(value, dict):
        return {_without(name, places): _walk(one, places, name) for name, one in value.items()}
    return value


def _without(text: str, places: tuple[str, ...]) -> str:
    for place in places:
        text = text.replace(place, _PATH)
    if not re.search(r"[/\\.@]", text):
        return text
    for pattern, stand_in in _PATTERNS:
        text = pattern.sub(stand_in, text)
    return text
