"""Settle the source of each setting: the recipe, the weights, the data, or a default.

The values themselves were settled where they were read. Here each value gets its source, and a
note on any other source that contradicts it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields, replace
from typing import Any, get_args

from edge_convnext.core.artifacts import ModelInfo, Preprocess
from edge_convnext.core.errors import shorten
from edge_convnext.core.image_size import show_size
from edge_convnext.core.origins import FACT_NAMES, Fact, FactName, Origin, OriginKind
from edge_convnext.core.recipe import Recipe
from edge_convnext.data.splits import Splits

__all__ = [
    "PREPROCESS_FLAGS",
    "default_settings",
    "labels_file_of",
    "note_defaults",
    "settle",
    "show_value",
]

_KINDS: tuple[OriginKind, ...] = get_args(OriginKind)
_PREPROCESS = tuple(one.name for one in fields(Preprocess))
PREPROCESS_FLAGS = {name: f"--{name.replace('_', '-')}" for name in _PREPROCESS}
_MOST_NAMES = 20  # class names to show in full, so that a reader can compare their order
_SHOWN_NAMES = 5  # class names to show if there are more


def settle(
    recipe: Recipe, info: ModelInfo, facts: Sequence[Fact], splits: Splits | None
) -> tuple[tuple[Fact, ...], tuple[str, ...]]:
    """Give each setting of a model and its data the source that decided it.

    Args:
        recipe: Recipe that the user states.
        info: Facts on the weights, with all settings resolved.
        facts: Facts that the weights state; several may have the same name.
        splits: Labelled data; None without any.

    Returns:
        A fact for each setting in use, in the order of `origins.FACT_NAMES`, and sentences on
        sources that contradict the values in use.
    """
    stated = [*_of_recipe(recipe), *facts, *(_of_splits(splits) if splits else ())]
    used = dict(_in_use(recipe, info, splits, stated))
    settled = tuple(_pick(name, used[name], stated) for name in FACT_NAMES if name in used)
    return settled, tuple(_contradictions(settled, stated))


def default_settings(settled: Iterable[Fact]) -> tuple[str, ...]:
    """Names of the preprocessing settings that nothing states, except those without effect."""
    by_name = {one.name: one for one in settled if one.name in _PREPROCESS}
    names = tuple(name for name, one in by_name.items() if one.origin.kind == "default")
    squashed = "resize" in by_name and by_name["resize"].value == "squash"
    if squashed and "resize" not in names:  # squash is stated, and then nothing is cropped
        return tuple(name for name in names if name != "crop_pct")
    return names


def note_defaults(settled: Iterable[Fact]) -> tuple[str, ...]:
    """A sentence on the settings that were left at their defaults, if there are any."""
    names = default_settings(settled)
    if not names:
        return ()
    flags = ", ".join(PREPROCESS_FLAGS[name] for name in names)
    return (
        f"Nothing states {', '.join(names)}: the defaults are used. If the model was trained "
        f"otherwise, pass {flags}.",
    )


def labels_file_of(facts: Iterable[Fact]) -> str | None:
    """The name of the file that states the classes, if the user passed one."""
    kinds = (one.origin for one in facts if one.name == "classes")
    return next((one.detail for one in kinds if one.kind == "labels file"), None)


def show_value(fact: Fact) -> str:
    """A setting's value in one short line."""
    value = fact.value
    if value is None:
        return "not stated"
    if fact.name == "classes":
        return _show_names(value)
    if fact.name == "image_size" and isinstance(value, (list, tuple)):
        return show_size((value[0], value[1]))
    if isinstance(value, (list, tuple)):
        return ", ".join(_show_number(one) for one in value)
    return _show_number(value)


def _show_names(names: Sequence[str]) -> str:
    if not names:
        return "not named"
    if len(names) <= _MOST_NAMES:
        return f"{len(names)}: {', '.join(names)}"
    return f"{len(names)}: {', '.join(names[:_SHOWN_NAMES])}, ..."


def _show_number(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _of_splits(splits: Splits) -> Iterator[Fact]:
    """The facts on the data, with the split's note as it is now: images may have been left out."""
    for one in splits.facts:
        yield replace(one, value=splits.note) if one.name == "split" else one


def _of_recipe(recipe: Recipe) -> Iterator[Fact]:
    names: list[tuple[str, FactName]] = [("preprocess", name) for name in _preprocess_names()]
    for section, name in (*names, ("load", "in_channels")):
        origin = recipe.origin(section, name)
        if origin is not None:
            yield Fact(name, getattr(getattr(recipe, section), name), origin)
    resize = recipe.origin("preprocess", "resize")
    stated = recipe.preprocess
    if resize is not None and (stated.resize, stated.crop_pct) == ("squash", None):
        yield Fact("crop_pct", 1.0, resize)  # see `data.preprocess.resolve_preprocess`


def _preprocess_names() -> Iterator[FactName]:
    return (name for name in FACT_NAMES if name in _PREPROCESS)


def _in_use(
    recipe: Recipe, info: ModelInfo, splits: Splits | None, stated: Sequence[Fact]
) -> Iterator[tuple[FactName, Any]]:
    yield "classes", info.classes
    if splits is not None:
        yield "split", splits.note
    for name in _preprocess_names():
        yield name, getattr(info.preprocess, name)
    yield "in_channels", info.in_channels
    for fact in stated:
        if fact.name == "weights_key":
            yield "weights_key", fact.value
            break
    yield "licence", info.weights_licence


def _pick(name: FactName, value: Any, stated: Sequence[Fact]) -> Fact:
    """The fact with the strongest source that states this value; without one, the default."""
    said = [one for one in stated if one.name == name and _same(one.value, value)]
    if said:
        return Fact(name, value, min(said, key=_strength).origin)
    return Fact(name, value, Origin(*_unsaid(name, value)))


def _unsaid(name: FactName, value: Any) -> tuple[OriginKind, str]:
    """The source of a value that no fact states."""
    if name == "in_channels":
        return "checkpoint", "shape of the first convolution"
    return "default", ""


def _contradictions(settled: Iterable[Fact], stated: Sequence[Fact]) -> Iterator[str]:
    for used in settled:
        others = [
            one
            for one in stated
            if one.name == used.name and _contradicts(one, used)
        ]  # fmt: skip
        for other in {(_key(one.value), one.origin.kind): one for one in others}.values():
            yield (
                f"{used.name}: {other.origin} says {shorten(show_value(other))}; "
                f"used is {shorten(show_value(used))}, by {used.origin}."
            )


def _contradicts(other: Fact, used: Fact) -> bool:
    """Whether another fact states a different value, and is more than a guess."""
    if _same(other.value, used.value) or other.origin.kind in ("default", "seed"):
        return False
    if used.name in ("weights_key", "split"):  # the modules that read these have their own notes
        return False
    # The alphabetical order of folder names says nothing about the order of the logits.
    guessed = ("folder names", "split folders", "csv")
    return not (used.name == "classes" and other.origin.kind in guessed)


def _same(one: Any, other: Any) -> bool:
    return bool(_key(one) == _key(other))


def _key(value: Any) -> Any:
    """A value to compare by: lists as tuples, and numbers rounded to the digits people write."""
    if isinstance(value, (list, tuple)):
        return tuple(_key(item) for item in value)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return round(float(value), 4)
    return value


def _strength(fact: Fact) -> int:
    return _KINDS.index(fact.origin.kind)
