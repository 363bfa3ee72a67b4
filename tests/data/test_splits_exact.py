"""Which images a split keeps, side by side."""

import hashlib
from pathlib import Path

import pytest

from edge_convnext.core.errors import DataError
from edge_convnext.core.sections import DataConfig
from edge_convnext.data.images import ImageSet, Sample
from edge_convnext.data.splits import Splits, drop_bad_images, load_splits


def sample(name):
    return Sample(Path(f"{name}.png"), hashlib.sha256(name.encode()).hexdigest(), 0)


def sides(train, val):
    kept = [
        ImageSet(tuple(map(sample, names)), ("k",)) if names else None for names in (train, val)
    ]
    return Splits(*kept, "note", skipped=("earlier",), by_seed=True)


def bad(*names):
    return {sample(name).sha256: f"bad {name}" for name in names}


def test_bad_images_end_it_or_are_left_out_and_listed():
    splits = sides("abc", "de")
    assert drop_bad_images(splits, bad("x"), skip=False) is splits
    with pytest.raises(DataError) as caught:
        drop_bad_images(splits, bad("b"), skip=False)
    assert str(caught.value) == "b.png: bad b; repair or remove it, or pass --skip-bad-images"
    with pytest.raises(DataError) as caught:
        drop_bad_images(splits, bad("b", "c", "d"), skip=False)
    assert str(caught.value) == (
        "b.png: bad b (and 2 more); repair or remove it, or pass --skip-bad-images"
    )
    left = drop_bad_images(splits, bad("b", "d"), skip=True)
    assert [one.path.stem for one in left.train.samples] == ["a", "c"]
    assert [one.path.stem for one in left.val.samples] == ["e"]
    assert left.train.classes == left.val.classes == ("k",)
    assert left.skipped == ("earlier", "b.png: bad b", "d.png: bad d")
    assert (left.note, left.by_seed) == ("note", True)


@pytest.mark.parametrize(("train", "val", "broken"), [("a", "bc", "a"), ("ab", "c", "c")])
def test_a_side_without_an_image_left_ends_it(train, val, broken):
    with pytest.raises(DataError) as caught:
        drop_bad_images(sides(train, val), bad(broken), skip=True)
    assert str(caught.value) == (
        f"{broken}.png: bad {broken}: and no image is left on that side; all of them are bad"
    )


def test_an_evaluation_side_alone_is_searched_too():
    left = drop_bad_images(sides("", "ab"), bad("b"), skip=True)
    assert left.train is None
    assert [one.path.stem for one in left.val.samples] == ["a"]


def test_a_split_of_the_source_carries_its_classes_and_says_that_it_is_the_sources(make_images):
    root = make_images({"train/cat": 3, "train/dog": 2, "val/cat": 1, "val/dog": 2})
    splits = load_splits(root, DataConfig(), seed=0)
    assert splits.train.classes == splits.val.classes == ("cat", "dog")
    assert (len(splits.train), len(splits.val), splits.by_seed) == (5, 3, False)
    assert splits.skipped == ()


def test_a_split_made_here_carries_its_classes_and_says_so(make_images):
    splits = load_splits(make_images({"cat": 5, "dog": 5}), DataConfig(val_fraction=0.4), seed=2)
    assert splits.train.classes == splits.val.classes == ("cat", "dog")
    assert (len(splits.train), len(splits.val), splits.by_seed) == (6, 4, True)
    assert "split here by seed 2: 40% of each class held out" in splits.note
    assert splits.other_orders == ()
