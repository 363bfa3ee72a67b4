"""Which units a split holds out, image by image."""

import hashlib
from pathlib import Path

import pytest

from edge_convnext.core.errors import DataError
from edge_convnext.core.sections import DataConfig
from edge_convnext.data import splits as module
from edge_convnext.data.images import ImageSet, Sample, rank
from edge_convnext.data.seeded_splits import split_by_seed
from edge_convnext.data.splits import Splits, drop_bad_images, load_splits


def sample(name, label=0, group=None, content=None):
    digest = hashlib.sha256((content or name).encode()).hexdigest()
    return Sample(Path(f"{name}.png"), digest, label, group)


def split(*samples, fraction=0.25, seed=0):
    train, val, note = split_by_seed(samples, fraction, seed)
    return [one.path.stem for one in train], [one.path.stem for one in val], note


def units_of(samples):
    names = [one.path.stem for one in samples]
    return sorted("".join(names[at] for at in unit) for unit in module._find_units(samples))


def test_images_stay_together_by_content_by_group_and_by_chains_of_these():
    samples = [
        sample("a", group="1"), sample("b", group="2"), sample("c", group="1"),
        sample("d", content="b"), sample("e", group="3"), sample("f"), sample("g", content="f"),
        sample("h", group="3", content="c"),
    ]  # fmt: skip
    # c and h are equal, so that groups 1 and 3 are one; d is b.
    assert units_of(samples) == ["aceh", "bd", "fg"]
    assert units_of([sample("x", group="a"), sample("y", content="a")]) == ["x", "y"]


@pytest.mark.parametrize(
    ("sizes", "fraction", "chosen"),
    [
        ([1] * 8, 0.25, [0, 1]),
        ([1] * 10, 0.25, [0, 1]),  # 2.5 wanted: a third brings it no nearer
        ([4, 1, 1, 1, 1], 0.25, [1, 2]),  # four for two are no nearer than none
        ([3, 1, 1, 1, 2], 0.25, [0]),  # three are nearer to two than none
        ([9, 9, 2, 9], 0.01, [2]),  # nothing brings it nearer: the smallest
        ([2, 2], 0.9, [0]),  # never all
        ([5], 0.5, []),
        ([2, 1, 3], 0.99, [0, 1]),
    ],
)
def test_units_are_taken_in_order_while_each_brings_the_total_nearer(sizes, fraction, chosen):
    units = [[index] * size for index, size in enumerate(sizes)]
    assert module._choose(units, fraction) == [units[at] for at in chosen]


def test_units_are_ranked_by_seed_and_content_and_the_first_are_held_out():
    samples = [sample(name) for name in "abcdefgh"]
    ranked = sorted(samples, key=lambda one: rank("split", 3, one.sha256))
    train, val, _ = split_by_seed(samples, 0.25, 3)
    assert set(val) == set(ranked[:2])
    assert train == tuple(one for one in samples if one not in val)
    # Of a group, its first image by rank stands for all.
    groups = [sample(name, group=name.upper() if name < "e" else "E") for name in "abcdefgh"]
    best = {
        one.group: min(
            rank("split", 3, other.sha256) for other in groups if other.group == one.group
        )
        for one in groups
    }
    order = sorted(best, key=best.__getitem__)
    _, val, _ = split_by_seed(groups, 0.125, 3)
    assert {one.group for one in val} == {next(one for one in order if one != "E")}


def test_every_class_is_split_on_its_own_and_a_unit_belongs_to_its_most_common_class():
    samples = [sample(f"{label}{index}", label) for label in (0, 1) for index in range(4)]
    mixed = [sample("x", 1, "g"), sample("y", 0, "g"), sample("z", 0, "g")]
    train, val, note = split(*samples, *mixed, fraction=0.25)
    assert sum(name.startswith("1") for name in val) == 1
    assert len(train) + len(val) == 11
    assert note == "split here by seed 0: 25% of each class held out, 1 groups kept whole"


def test_the_note_counts_groups_and_classes_that_can_not_be_split():
    single = [sample("a", 0), sample("b", 1, "g"), sample("c", 1, "g"), sample("d", 2)]
    _, val, note = split(*single, sample("e", 2), seed=7, fraction=0.5)
    assert len(val) == 1
    assert note == (
        "split here by seed 7: 50% of each class held out, 1 groups kept whole; "
        "2 classes of one image or group stay in training"
    )
    assert split(sample("a"), sample("b"))[2] == (
        "split here by seed 0: 25% of each class held out, no groups given"
    )


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
