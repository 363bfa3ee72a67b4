"""Settle one value for each fact that weights state: the strongest source wins, and is named."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from edge_convnext.core.artifacts import ModelInfo, Preprocess
from edge_convnext.core.errors import shorten
from edge_convnext.core.image_size import show_size
from edge_convnext.core.origins import TRAINED_BY, Fact, FactName, Origin, OriginKind
from edge_convnext.networks.facts.sayings import Said, Saying

__all__ = ["Settled", "Source", "of_info", "of_preprocess", "settle"]

_PIXELS: tuple[FactName, ...] = (
    "image_size", "resize", "crop_pct", "interpolation", "mean", "std",
)  # fmt: skip
_NAMES: tuple[FactName, ...] = ("classes", *_PIXELS, "licence")
_SAME = 1e-3  # of numbers that are stated in two places
_SHOWN = 3


@dataclass(frozen=True)
class Source:
    """A source, and what it states."""

    kind: OriginKind
    said: Said


@dataclass(frozen=True)
class Settled:
    """One value for each fact; defaults where no source states one."""

    classes: tuple[str, ...]
    preprocess: Preprocess
    licence: str | None
    facts: tuple[Fact, ...]
    notes: tuple[str, ...]
    bgr: str | None  # what says that the channels are in the order of OpenCV


def of_info(info: ModelInfo) -> Said:
    """Facts of a file of this project; of `train`'s, they are what the model was trained with."""
    detail = TRAINED_BY if info.weights_source == TRAINED_BY else "edge-convnext's metadata"
    said = of_preprocess(info.preprocess, detail)
    if info.classes:
        said.add("classes", info.classes, detail)
    said.add("licence", info.weights_licence, detail)
    return said


def of_preprocess(preprocess: Preprocess, detail: str) -> Said:
    """Every field as a saying."""
    return Said([Saying(name, getattr(preprocess, name), detail) for name in _PIXELS])


def settle(sources: Sequence[Source]) -> Settled:
    """Take each value from the strongest source that states it, and note contradictions.

    Args:
        sources: Sources, the strongest first.
    """
    facts: dict[str, Fact] = {}
    notes = [note for source in sources for note in source.said.notes]
    for name in _NAMES:
        found = list(_stated(sources, name))
        if name == "crop_pct" and "resize" in facts:
            found = _crop_of(facts["resize"], found)
        if found:
            facts[name] = found[0]
            notes += _contradictions(found)
    values: dict[str, Any] = {name: facts[name].value for name in _PIXELS if name in facts}
    if values.get("resize") == "squash" and values.get("crop_pct", 1.0) < 1:
        notes.append(f"{facts['crop_pct'].origin}: a crop of {values['crop_pct']:g} is not made of "
                     "squashed images")  # fmt: skip
        values["crop_pct"] = 1.0
        facts["crop_pct"] = replace(facts["crop_pct"], value=1.0)
    licence = facts["licence"].value if "licence" in facts else None
    return Settled(
        classes=facts["classes"].value if "classes" in facts else (),
        preprocess=replace(Preprocess(), **values),
        licence=licence,
        facts=tuple(facts.values()),
        notes=tuple(dict.fromkeys(notes)),
        bgr=next((source.said.bgr for source in sources if source.said.bgr), None),
    )


def _stated(sources: Sequence[Source], name: FactName) -> Iterator[Fact]:
    for source in sources:
        for saying in source.said.sayings:
            if saying.name == name:
                yield Fact(name, saying.value, Origin(source.kind, saying.detail))


def _crop_of(resize: Fact, found: list[Fact]) -> list[Fact]:
    """Take the crop from the place of the resize: the two belong together."""
    place = _place(resize)
    own = [fact for fact in found if _place(fact) == place]
    if own or resize.value == "squash":
        return own
    return found


def _place(fact: Fact) -> tuple[str, str]:
    return fact.origin.kind, fact.origin.detail.partition(":")[0]


def _contradictions(found: Sequence[Fact]) -> Iterator[str]:
    """One note for each place that contradicts the one that is used."""
    first, noted = found[0], set()
    for other in found[1:]:
        if not _differs(first, other) or other.origin.detail in noted:
            continue
        noted.add(other.origin.detail)
        if first.name == "classes" and sorted(first.value) == sorted(other.value):
            yield (
                f"{other.origin} has the same class names in another order than {first.origin}; "
                "the latter's order is used"
            )
        else:
            yield (
                f"{first.name} is {_show(first)} by {first.origin}, and {_show(other)} "
                f"by {other.origin}; the former is used"
            )


def _differs(one: Fact, other: Fact) -> bool:
    if one.name in ("classes", "licence", "image_size", "resize", "interpolation"):
        return bool(one.value != other.value)
    pairs = zip(_numbers(one.value), _numbers(other.value), strict=True)
    return any(abs(a - b) > _SAME for a, b in pairs)


def _numbers(value: Any) -> tuple[float, ...]:
    return tuple(value) if isinstance(value, tuple) else (value,)


def _show(fact: Fact) -> str:
    value = fact.value
    if fact.name == "image_size":
        return show_size(value)
    if isinstance(value, tuple) and value and isinstance(value[0], str):
        more = ", …" if len(value) > _SHOWN else ""
        return shorten(", ".join(value[:_SHOWN]), 100) + more
    if isinstance(value, tuple):
        return ", ".join(f"{one:.4g}" for one in value)
    return f"{value:.4g}" if isinstance(value, float) else shorten(str(value), 60)
