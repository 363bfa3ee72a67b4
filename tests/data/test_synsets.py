"""Folders of ImageNet's ids and weights that name its classes belong together."""

from pathlib import Path

import pytest

from edge_convnext.data.sources import Entry, Listing
from edge_convnext.data.synsets import name_synsets

IDS = ["n01440764", *(f"n02{place:06d}" for place in range(998)), "n15075141"]
NAMES = [f"name {place}" for place in range(1000)]
NAMES[0], NAMES[1], NAMES[207] = "tench, Tinca tinca", "goldfish", "golden_retriever"
NAMES[134] = NAMES[517] = "crane"  # a bird, a machine
NAMES[999] = "toilet tissue, toilet paper"


def listing(labels):
    entries = [Entry(Path(f"{i}.png"), one, None, None, None, "") for i, one in enumerate(labels)]
    return Listing(Path("data"), tuple(entries), None, numbered=False)


def test_sorted_ids_are_the_names_in_their_order():
    shuffled = [*reversed(IDS), IDS[5], None]
    found = name_synsets(listing(shuffled), NAMES)
    named = dict(zip(shuffled, (entry.label for entry in found.entries), strict=True))
    assert [named[one] for one in IDS[:2]] == ["tench, Tinca tinca", "goldfish"]
    assert (named[IDS[134]], named[IDS[517]]) == ("crane#134", "crane#517")
    assert named[None] is None
    assert len(set(named.values())) == 1001
    (note,) = found.notes
    assert note.endswith("(n01440764 is tench, Tinca tinca).")


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        (IDS[:999], NAMES),  # which one is missing, nobody knows
        ([*IDS[:-1], "n15075142"], NAMES),  # a thousand others
        ([*IDS[:-1], "tench"], NAMES),
        (IDS, NAMES[:999]),
        (IDS, NAMES[::-1]),  # the same names in another order
        (IDS, ()),
    ],
)
def test_anything_else_is_left_as_it_is(labels, names):
    assert name_synsets(listing(labels), names) == listing(labels)
