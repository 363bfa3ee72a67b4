"""Class names as people write them: equal on the screen, twice in a list, in another order.

A name is compared in Unicode's composed form (NFC): archives made on macOS decompose `ü`.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

__all__ = [
    "composed",
    "differ_in_case",
    "letters_of",
    "natural_key",
    "nearest_names",
    "plausible_orders",
    "tell_apart",
]


_LONGEST_NUMBER = 1000  # digits; Python refuses to read some thousands


def composed(text: str) -> str:
    """A name in the form in which names are compared, stored and shown."""
    return text if text.isascii() else unicodedata.normalize("NFC", _read_as_utf8(text))


def _read_as_utf8(text: str) -> str:
    """Undo a locale that read a UTF-8 file name as Latin-1.

    Names are bytes, and nearly all of them UTF-8, also where the locale says Latin-1: there the
    folder `Grün` is listed as `GrÃ¼n`. Bytes that are no UTF-8 are taken as Latin-1.
    """
    try:
        data = os.fsencode(text)
        return data.decode("utf-8")
    except UnicodeEncodeError:  # no file name here has such letters, so it was read from text
        return text
    except UnicodeDecodeError:
        return data.decode("latin-1") if _has_raw_bytes(text) else text


def _has_raw_bytes(text: str) -> bool:
    return any("\udc80" <= letter <= "\udcff" for letter in text)


def tell_apart(names: Sequence[str]) -> tuple[str, ...]:
    """Give names that occur twice their index: `crane#134`, `crane#517`.

    ImageNet has two cranes (a bird, a machine) and two maillots: as keys of a report or a
    gate they would be one class.

    Args:
        names: Names in logit order, in any Unicode form.

    Returns:
        The same number of names, composed, without repeats.
    """
    plain = [composed(name) for name in names]
    counts = Counter(plain)
    numbered = [f"{name}#{index}" if counts[name] > 1 else name for index, name in enumerate(plain)]
    return tuple(numbered) if len(set(numbered)) == len(numbered) else tell_apart(numbered)


def natural_key(name: str) -> list[tuple[bool, int, str]]:
    """Sort key of class folders in timm: numbers by value, letters without case.

    Source:
        timm.utils.misc.natural_key, as `ReaderImageFolder` and `find_images_and_targets` sort.
    """
    parts = re.split(r"(\d+)", name.lower())
    return [
        (True, int(part), "") if part.isdecimal() and len(part) < _LONGEST_NUMBER
        else (False, 0, part)
        for part in parts
    ]  # fmt: skip


def plausible_orders(in_use: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    """Other orders in which a training script may have put these names.

    torchvision and Keras use text order; timm and fastai use the natural one. Names that are all
    numbers may be sorted by value. Spreadsheets and file managers sort text without case.

    Args:
        in_use: Names in the order that is used where nothing states one.

    Returns:
        Each order once, without `in_use` itself.
    """
    names = sorted(in_use)
    orders = [
        tuple(names),
        tuple(sorted(names, key=natural_key)),
        tuple(sorted(names, key=str.casefold)),
    ]
    if all(re.fullmatch(r"\d{1,18}", name, re.ASCII) for name in names):
        orders.append(tuple(sorted(names, key=int)))
    return tuple(order for order in dict.fromkeys(orders) if order != tuple(in_use))


def differ_in_case(names: Iterable[str]) -> list[tuple[str, ...]]:
    """Groups of two or more names that are equal but for upper and lower case, sorted."""
    groups: dict[str, set[str]] = defaultdict(set)
    for name in names:
        groups[name.casefold()].add(name)
    return sorted(tuple(sorted(group)) for group in groups.values() if len(group) > 1)


def nearest_names(name: str, known: Iterable[str]) -> list[str]:
    """Those of `known` that differ from `name` in case, spaces, dashes or form alone."""
    wanted = letters_of(name)
    return [one for one in known if one != name and letters_of(one) == wanted] if wanted else []


def letters_of(name: str) -> str:
    """What is left of a name without case, accents, spaces, dashes and the like."""
    plain = unicodedata.normalize("NFKD", name).casefold()
    return "".join(one for one in plain if one.isalnum())
