"""Values and the keys that state them; values that belong together are read together."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from edge_convnext.core.errors import shorten
from edge_convnext.core.image_size import ImageSize, show_size, sides_of
from edge_convnext.core.origins import FactName
from edge_convnext.networks.facts.table import STATS_KEYS, find_keys, is_known, plain_key
from edge_convnext.networks.facts.values import Problem, crop_pct_of, plain_value, read_channels

__all__ = [
    "Said", "Saying", "add_pair", "add_resized", "add_scale", "detail_of", "each_of", "get_value",
    "of_pixels", "tell_shift",
]  # fmt: skip


@dataclass(frozen=True)
class Saying:
    """One value, and the key that states it."""

    name: FactName
    value: Any
    detail: str


Crops = Mapping[str, float]  # crop_pct by timm's name of a model, such as `convnext_nano.d1h_in1k`


@dataclass
class Said:
    """What a mapping states, and notes on what can't be used."""

    sayings: list[Saying] = field(default_factory=list)
    guessed: list[Saying] = field(default_factory=list)  # counts where nothing else states it
    notes: list[str] = field(default_factory=list)
    bgr: str | None = None  # what says that the channels are in the order of OpenCV
    crops: Crops = field(default_factory=dict)  # known ones, for models that leave theirs unset

    def add(self, name: FactName, value: Any, detail: str) -> None:
        """Add a value, unless there is none."""
        if value is not None:
            self.sayings.append(Saying(name, value, detail))

    def attempt(self, name: FactName, read: Callable[[Any], Any], stated: Any, detail: str) -> Any:
        """Add the result of `read` for a value, or a note with the problem that it raises."""
        try:
            value = read(stated)
        except Problem as problem:
            self.notes.append(f"{detail} {problem}; not used")
            return None
        self.add(name, value, detail)
        return value


def detail_of(where: str, key: object) -> str:
    """A key, with the place it lies in."""
    return f"{where}: {shorten(str(key), 60)}" if where else shorten(str(key), 60)


def tell_shift(detail: str, count: int) -> str:
    """A sentence on names whose indices run from 1, which no logit does."""
    return (
        f"{detail} numbers the classes from 1 to {count}; they are taken as logits 0 to {count - 1}"
    )


def get_value(fields: Mapping[Any, Any], *keys: str) -> Any:
    """Value of the first key that exists, in any spelling."""
    spelled = {plain_key(key): key for key in fields}
    for key in keys:
        if plain_key(key) in spelled:
            return plain_value(fields[spelled[plain_key(key)]])
    return None


def of_pixels(where: str) -> bool:
    """Whether a mapping is about images, so that `size` and `mean` in it are too."""
    words = ("norm", "transform", "prepro", "image", "img", "augment", "input", "data", "resize")
    return any(word in where.lower() for word in words)


def add_resized(said: Said, size: ImageSize, resized: ImageSize, detail: str) -> None:
    """Add a resize to `resized`, or of the short side to it, and a crop of `size` pixels."""
    sides, whole = sides_of(size), sides_of(resized)
    if isinstance(resized, int):
        sides = (min(sides),) * 2
    if whole[0] < sides[0] or whole[1] < sides[1]:
        said.notes.append(f"{detail} says {show_size(resized)} pixels before a crop of "
                          f"{show_size(size)}; not used")  # fmt: skip
        return
    if isinstance(resized, int) and not isinstance(size, int):
        said.notes.append(f"{detail}: the short side is resized to {resized} pixels there for "
                          "images of any aspect; here both sides are covered")  # fmt: skip
    said.add("resize", "shortest", detail)
    said.add("crop_pct", crop_pct_of(sides[0], whole[0]), detail)


def add_pair(fields: Mapping[Any, Any], where: str, channels: int, said: Said) -> None:
    """Add mean and standard deviation, stated separately or together."""
    means, stds = find_keys(fields, "mean"), find_keys(fields, "std")
    mean = next((v for k in means if (v := _channel_values(fields[k], k, where, channels))), None)
    std = next((v for k in stds if (v := _channel_values(fields[k], k, where, channels))), None)
    if mean is not None or std is not None:
        key = " and ".join(shorten(str(keys[0]), 40) for keys in (means, stds) if keys)
        add_scale(said, mean, std, detail_of(where, key), where)
        return
    for stat in STATS_KEYS:
        both = get_value(fields, stat)
        if isinstance(both, list | tuple) and len(both) == 2:
            mean, std = (read_channels(one, channels) if _is_list(one) else None for one in both)
            if mean and std:
                add_scale(said, mean, std, detail_of(where, stat), where)
                return


def _is_list(value: Any) -> bool:
    return isinstance(plain_value(value), list | tuple | Mapping)


def _channel_values(
    value: Any, key: object, where: str, channels: int
) -> tuple[float, float, float] | None:
    """Read values per channel. A single number under a plain `mean` may be the mean of anything."""
    plain = plain_key(key) in ("mean", "std", "means", "stds") or not is_known(key)
    if plain and not _is_list(value) and not isinstance(value, str) and not of_pixels(where):
        return None
    return read_channels(value, channels)


def add_scale(
    said: Said,
    mean: tuple[float, float, float] | None,
    std: tuple[float, float, float] | None,
    detail: str,
    where: str,
    exact: bool = False,
) -> None:
    """Add mean and std for pixels of 0 to 1; `exact` ones are so already."""
    if std is not None and min(std) <= 0:
        said.notes.append(f"{detail}: a standard deviation of 0 or less divides by nothing; mean "
                          "and std of it are not used: pass --mean and --std")  # fmt: skip
        return
    if mean is None or std is None:
        which = "mean" if std is None else "standard deviation"
        said.notes.append(f"{detail}: a {which} alone; the other is not stated there")
    if not exact and max((*(mean or (0.0,)), *(std or (0.0,)))) > 2:
        mean = each_of(mean, lambda one: one / 255) if mean else None
        std = each_of(std, lambda one: one / 255) if std else None
        said.notes.append(f"{detail}: stated for pixels of 0 to 255, and divided by 255 here")
    if not exact and mean and (min(mean) < -1 or max(mean) > 1.5):
        said.notes.append(f"{detail}: a mean of {max(mean):.3g} is outside the images' 0 to 1")
    said.add("mean", mean, detail)
    said.add("std", std, detail)


def each_of(
    values: tuple[float, float, float], change: Callable[[float], float]
) -> tuple[float, float, float]:
    """Apply the same change to three channels."""
    return change(values[0]), change(values[1]), change(values[2])
