"""ImageNet's class folders are WordNet ids, and its weights have names: both have one order.

Every tool numbers the 1,000 classes by their sorted ids, so no list of ids is needed here. Their
number, and a few known ids and names, show that both are these classes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from edge_convnext.core.class_names import letters_of, tell_apart
from edge_convnext.data.sources import Listing

__all__ = ["name_synsets"]

_SYNSET = re.compile(r"n\d{8}")
_IDS = {0: "n01440764", 999: "n15075141"}  # of the sorted ids
_WORDS = {0: "tench", 1: "goldfish", 207: "goldenretriever", 999: "toilet"}  # of the names
_CLASSES = 1000


def name_synsets(listing: Listing, classes: Sequence[str]) -> Listing:
    """Give images of ImageNet's 1,000 ids the names that the model has for them.

    Args:
        listing: Source of images; one with other classes is returned as it is.
        classes: Class names of the model in logit order.
    """
    ids = sorted({entry.label for entry in listing.entries if entry.label is not None})
    if not _are_the_ids(ids) or not _are_the_names(classes):
        return listing
    named = dict(zip(ids, tell_apart(classes), strict=True))
    entries = tuple(
        replace(entry, label=named[entry.label]) if entry.label is not None else entry
        for entry in listing.entries
    )
    note = (
        "The classes are ImageNet's 1,000 WordNet ids: sorted, they have the order of the "
        f"weights' names ({ids[0]} is {classes[0]})."
    )
    return replace(listing, entries=entries, notes=(*listing.notes, note))


def _are_the_ids(ids: Sequence[str]) -> bool:
    return (
        len(ids) == _CLASSES
        and all(_SYNSET.fullmatch(one) for one in ids)
        and all(ids[place] == one for place, one in _IDS.items())
    )


def _are_the_names(names: Sequence[str]) -> bool:
    return len(names) == _CLASSES and all(
        word in letters_of(names[place]) for place, word in _WORDS.items()
    )
