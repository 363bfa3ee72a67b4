from pathlib import Path

import numpy as np
import pytest
from support.torch_exports import INFO

from edge_convnext.core.errors import DataError
from edge_convnext.data.images import ImageSet, Sample
from edge_convnext.measure.class_order import order_by_images, reorder, show_order


def images(labels, names=("a", "b", "c")):
    return ImageSet(
        tuple(Sample(Path(f"{n}"), f"{n:064x}", label) for n, label in enumerate(labels)), names
    )


def test_labels_follow_their_names_into_another_order():
    found = reorder(images([0, 1, 2, None]), ("c", "a", "b"))
    assert found.classes == ("c", "a", "b")
    assert [one.label for one in found.samples] == [1, 2, 0, None]


@pytest.mark.parametrize(
    ("order", "others", "shown"),
    [
        ("a1", ["a1", "a2"], "a, 1"),
        ("xya1", ["xya1", "xya2"], "..., a, 1"),
        ("abcdefg", ["abcdefg", "gfedcba"], "a, b, c, d, e, ..."),
    ],
)
def test_orders_are_shown_from_where_they_part(order, others, shown):
    assert show_order(tuple(order), [tuple(one) for one in others]) == shown


def test_images_that_do_not_tell_are_refused_with_the_orders(monkeypatch):
    from types import SimpleNamespace

    val = images([0, 1, 2] * 4)
    splits = SimpleNamespace(val=val, train=None, other_orders=(("b", "a", "c"),), facts=(),
                             notes=())  # fmt: skip
    half = np.array([0, 0, 2] * 4)
    with pytest.raises(DataError, match=r"don.t tell which it is: .* pass --labels FILE"):
        order_by_images(INFO, splits, lambda *_: half, "leaves", 0)
