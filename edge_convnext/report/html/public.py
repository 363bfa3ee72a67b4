"""A report for everybody: without users' paths, hosts, machines and names of images.

What is measured stays, and so do class names, nodes of graphs, and the build's own file names. Of
free text rather too much is hidden than too little.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from ipaddress import AddressValueError, IPv6Address
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

from edge_convnext.report.contract import Report

__all__ = ["make_public"]

_PATH, _HOST, _IMAGE, _MACHINE, _NAME = "[path]", "[host]", "[image]", "[machine]", "[name]"
_IMAGES = "jpe?g|jpe|jfif|jif|mpo|a?png|bmp|webp|tiff?|gif|p[gpbn]m|jp2|j2k|avifs?|heic|heif|dng"
_FILES = "pth|pt|bin|safetensors|onnx|csv|tsv|txt|json|ya?ml|zip|tar|tgz|tflite|ckpt|npz|pkl|py"
_STOPS = r"'\"`,;:()\[\]\n"  # before and behind a path or a name in a sentence
_SEGMENT = rf"[^\s{_STOPS}/\\]+"
# From the root, the home folder, a drive or a share, or up and down by `./` and `../`.
_ROOT = r"(?<![\w/.\\\]])(?:~[\w.-]*|\.{1,2}|[A-Za-z]:)?[/\\](?![\s/]|$)"
_DOMAINS = "com|org|net|edu|gov|io|ai|de|uk|fr|eu|ch|local|lan|home|internal|corp|intra|test"
_VERSION_OF = re.compile(
    r"(?:TensorRT|rtx|CUDA|cuDNN|driver|L4T|JetPack|versions?|==|\bv) ?$", re.IGNORECASE
)
_PATTERNS = (
    (re.compile(r"\b[a-z][a-z0-9+-]*://\S+|\b[\w.+-]+@[\w-][\w.-]*"), _HOST),
    # Part of an address; whole ones are sought apart, for four numbers may be a version too.
    (
        re.compile(r"\b(?:127|192\.168|169\.254|172\.(?:1[6-9]|2\d|3[01]))(?:\.\d{1,3}){2,3}\b"),
        _HOST,
    ),
    # A name may have blanks: all of it from the last stop on is hidden.
    (re.compile(rf"[^'\"`,;:\n]*\.(?:{_IMAGES})\b", re.IGNORECASE), _IMAGE),
    # So may a folder: from a root on, all is hidden up to the next stop.
    (re.compile(rf"{_ROOT}[^{_STOPS}]*"), _PATH),
)
_RELATIVE = re.compile(rf"(?<![\w/.\\])(?<!hf:)(?<!timm:)(?:{_SEGMENT}[/\\])+(?:{_SEGMENT})?")
_NO_PATHS = frozenset(("mJ/image", "img/s", "images/s", "Q/DQ", "and/or", "MB/s", "GB/s", "I/O"))
_OWN_FOLDERS = ("cpu/", "gpu/", "boards/")
_IPV4 = re.compile(r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?![\w]|\.\d)")
_IPV6 = re.compile(r"(?<![\w:.])[0-9A-Fa-f:]*:[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*(?:%\w+)?")
_NAMED_HOST = re.compile(
    rf"(?<![\w./\\@-])(?:[a-z0-9-]+\.)+(?:{_DOMAINS})\b(?![\w/\\.]\w)"
    r"|(?<![\w./\\@-])(?:[a-z0-9-]+\.){2,}[a-z]{2,}\b(?!\.?\w)",
    re.IGNORECASE,
)
_OWN_FILE = re.compile(rf"\.(?:{_FILES}|engine|html|md|ecb|cache)$|(?:^|\.)\d+\.", re.IGNORECASE)
_SHORTEST = 3  # letters of a name that is hidden wherever it is in a text
_LONG = 8  # letters of one that is hidden behind and before a `_` too
_KEPT = (
    *("classes", "classes_past", "per_class", "versions", "builder", "artifact", "chosen"),
    *("best_float", "rival_float", "raw_fp32", "timed_once", "node", "kept_float", "operations"),
    *("sensitivity", "sha256", "schema"),
)  # fmt: skip
_PLACES = ("source", "calibration", "weights", "labels", "train", "val")  # fields of a recipe
_NO_PLACES = (
    "digits",
    "demo",
    "random",
    "in1k",
    "timm",
    "auto",
    "the demo, trained here on digits",
)
_HUB = re.compile(r"(?:hf:)?[\w.-]+/[\w.-]+@[0-9a-f]{7,64}|hf:[\w.-]+/[\w.-]+|timm:[\w.-]+")
_OWN_RECIPES = ("custom", "demo")
# Names of folders that everybody has, and words of our own sentences.
_COMMON = frozenset(
    """
    home root user users mnt media data dataset datasets image images img train training val valid
    validation test tests eval calibration model models weights checkpoint checkpoints labels label
    class classes csv txt build builds out output run runs tmp var opt usr srv work the and for not
    are has was its all set one two none src default cache report reports best last final
    """.split()  # noqa: SIM905
)
_ARCHITECTURE = re.compile(r"x86_64|aarch64|arm64|amd64|armv\d\w*|riscv64", re.IGNORECASE)
_KERNEL = re.compile(rf"(?<=-)\d+\.\d[\w.+-]*?(?=-(?:{_ARCHITECTURE.pattern}))", re.IGNORECASE)


@dataclass(frozen=True)
class _Hidden:
    """What this report tells of its user, as patterns that find it in any text."""

    places: tuple[re.Pattern[str], ...]  # whole, with what lies below them
    names: tuple[tuple[re.Pattern[str], str], ...]
    versions: frozenset[str]  # that look like addresses


def make_public(report: Report) -> Report:
    """The same report with paths, hosts, machines and images' names taken out of every text.

    Args:
        report: Report of a build or a board.

    Returns:
        One that may be shown to anybody. Places as the user named them, the recipe's name, and the
        machine's kernel and fingerprint are gone whole.
    """
    fields = report.model_dump(mode="json", by_alias=True)
    hidden = _find_hidden(fields)
    _hide_fields(fields)
    public = _walk(fields, hidden, "")
    for file in public["outputs"]:
        file["path"] = file["path"] if _is_own(file["path"]) else _PATH
    return Report.model_validate(public)


def _hide_fields(fields: dict[str, Any]) -> None:
    """Hide whole what is a place, a name or a machine by the field that it is in."""
    for one, key in _places(fields):
        one[key] = one[key] if _is_public(one[key]) else _PATH
    for one, key in _recipe_names(fields):
        one[key] = one[key] if one[key] in ("", *_OWN_RECIPES) else _NAME
    for machine in _machines(fields):
        machine["fingerprint"] = _MACHINE
        found = _ARCHITECTURE.search(machine["platform"])
        system = re.match("[A-Za-z]*", machine["platform"])
        machine["platform"] = " ".join(one[0] for one in (system, found) if one)
    fields["folder"] = _PATH


def _recipes(fields: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [one for key in ("recipe", "stated_recipe") if isinstance(one := fields.get(key), dict)]


def _places(fields: Mapping[str, Any]) -> list[tuple[dict[str, Any], str]]:
    """Fields that are files or folders of the user's, each with what it is a field of."""
    sections = [one for recipe in _recipes(fields) for one in recipe.values()]
    found = [(one, key) for one in sections if isinstance(one, dict) for key in _PLACES]
    found += [(fields["data"] or {}, key) for key in ("source", "calibration_source")]
    found += [(fields["model"]["weights"], "source")]
    return [(one, key) for one, key in found if isinstance(one.get(key), str) and one[key]]


def _recipe_names(fields: Mapping[str, Any]) -> list[tuple[dict[str, Any], str]]:
    found = [(recipe, key) for recipe in _recipes(fields) for key in ("name", "about")]
    return [(one, key) for one, key in found if isinstance(one.get(key), str)]


def _machines(fields: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [fields["environment"], *(one["environment"] for one in fields["boards"])]


def _is_public(place: str) -> bool:
    """Whether a place is a word of this package, or a name on a hub."""
    return place in _NO_PLACES or bool(_HUB.fullmatch(place))


def _find_hidden(fields: Mapping[str, Any]) -> _Hidden:
    named = {one[key] for one, key in _places(fields) if not _is_public(one[key])}
    named |= {fields["folder"]} - {""}
    names = {one[key] for one, key in _recipe_names(fields) if key == "name"}
    parts = {part for one in named for part in _parts(one)}
    ours = {*_own_words(), fields["model"]["name"].lower(), *_COMMON, *_OWN_RECIPES}
    known = [(one, _PATH) for one in parts] + [(one, _NAME) for one in names - parts]
    known = [(one, stand_in) for one, stand_in in known if _tells(one, ours)]
    for machine in _machines(fields):
        kernel = _KERNEL.search(machine["platform"])
        texts = (machine["platform"], kernel and kernel[0], machine["fingerprint"])
        known += [(one, _MACHINE) for one in texts if one and len(one) >= _LONG]
    known.sort(key=lambda one: (-len(one[0]), one))
    whole = sorted((one for one in named if re.search(r"[/\\ ]", one)), key=lambda one: -len(one))
    versions = {one for machine in _machines(fields) for one in machine["versions"].values()}
    return _Hidden(
        tuple(
            re.compile(rf"{re.escape(one)}(?:[/\\][^\s{_STOPS}]*)?", re.IGNORECASE) for one in whole
        ),
        tuple((_as_name(one), stand_in) for one, stand_in in known),
        frozenset(versions),
    )


def _parts(place: str) -> Iterator[str]:
    """A place, each name in it, and a file's name without its suffix."""
    yield place
    for one in re.split(r"[/\\]", place):
        yield from (one, PurePosixPath(one).stem, PureWindowsPath(one).stem)


def _tells(name: str, ours: set[str]) -> bool:
    """Whether a name says something of its user, and can be taken out of any sentence."""
    letters = re.search(r"[^\W\d_]", name)
    return len(name) >= _SHORTEST and letters is not None and name.lower() not in ours


def _as_name(name: str) -> re.Pattern[str]:
    letter = r"[^\W_]" if len(name) >= _LONG else r"\w"
    return re.compile(rf"(?<!{letter}){re.escape(name)}(?!{letter})", re.IGNORECASE)


@cache
def _own_words() -> frozenset[str]:
    """Names of fields and values of the contract, which no user's name may replace."""
    found: set[str] = set()

    def collect(schema: Any) -> None:
        if isinstance(schema, dict):
            found.update(schema.get("properties", {}))
            found.update(one for one in schema.get("enum", ()) if isinstance(one, str))
            found.update([one] if isinstance(one := schema.get("const"), str) else [])
            for one in schema.values():
                collect(one)
        elif isinstance(schema, list):
            for one in schema:
                collect(one)

    collect(Report.model_json_schema(mode="serialization"))
    words = {word for one in found for word in re.split(r"[\W_]+", one)}
    return frozenset(one.lower() for one in found | words)


def _is_own(path: str) -> bool:
    """Whether a file of the build, named relative to its folder, is of this package's names."""
    return bool(re.fullmatch(r"(?:(?:cpu|gpu)/)?[a-z0-9_.-]+", path)) and ".." not in path


def _walk(value: Any, hidden: _Hidden, key: str) -> Any:
    """The same value with every text changed, but for what is of no user."""
    if key in _KEPT and not (key == "artifact" and isinstance(value, dict)):  # a file of a stage
        return value
    if isinstance(value, str):
        return value if key in _PLACES and _is_public(value) else _without(value, hidden)
    if isinstance(value, list):
        return [_walk(one, hidden, key) for one in value]
    if isinstance(value, dict):
        return {_without(name, hidden): _walk(one, hidden, name) for name, one in value.items()}
    return value


def _without(text: str, hidden: _Hidden) -> str:
    for place in hidden.places:
        text = place.sub(_PATH, text)
    if re.search(r"[/\\.@:]", text):
        text = _IPV4.sub(lambda one: _unless_version(one, hidden.versions), text)
        text = _IPV6.sub(_unless_time, text)
        for pattern, stand_in in _PATTERNS:
            text = pattern.sub(stand_in, text)
        text = _RELATIVE.sub(_unless_unit, text)
        text = _NAMED_HOST.sub(lambda one: one[0] if _OWN_FILE.search(one[0]) else _HOST, text)
    for name, stand_in in hidden.names:
        text = name.sub(stand_in, text)
    return text


def _unless_version(found: re.Match[str], versions: frozenset[str]) -> str:
    is_version = found[0] in versions or _VERSION_OF.search(found.string[: found.start()])
    return found[0] if is_version else _HOST


def _unless_time(found: re.Match[str]) -> str:
    """Hide an address of IPv6; `12:30:05`, `::` and the like are none."""
    text = found[0].rstrip(".")
    text = text[:-1] if re.search(r"(?<!:):$", text) else text
    try:
        IPv6Address(text)
    except AddressValueError:
        return found[0]
    return f"{_HOST}{found[0][len(text) :]}" if text.strip(":") else found[0]


def _unless_unit(found: re.Match[str]) -> str:
    """Hide a relative path; units, fractions and the build's own files stay."""
    path = found[0].rstrip(".")
    parts = re.split(r"[/\\]", path)
    short = all(len(one) <= 2 or re.fullmatch(r"[\d.]+", one) for one in parts)
    stays = path in _NO_PATHS or (path.startswith(_OWN_FOLDERS) and _is_own(path)) or short
    return found[0] if stays else f"{_PATH}{found[0][len(path) :]}"
