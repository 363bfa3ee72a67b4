"""Which images train and which evaluate."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_convnext.core.errors import DataError
from edge_convnext.core.sections import DataConfig
from edge_convnext.data.batches import find_bad_images
from edge_convnext.data.images import ImageSet, Sample
from edge_convnext.data.seeded_splits import split_by_seed
from edge_convnext.data.splits import drop_bad_images, load_splits


def sample(index: int, label: int, group: str | None = None) -> Sample:
    return Sample(Path(f"{index}.png"), f"{index:064x}", label, group)


plain = st.lists(st.integers(0, 4), min_size=1, max_size=120).map(
    lambda labels: [sample(index, label) for index, label in enumerate(labels)]
)
grouped = st.lists(
    st.tuples(st.integers(0, 30), st.integers(0, 3), st.sampled_from([None, "a", "b", "c", "d"])),
    min_size=1,
    max_size=60,
).map(lambda rows: [sample(content, label, group) for content, label, group in rows])


@given(plain, st.floats(0.05, 0.95), st.integers(0, 9))
def test_a_split_is_stratified_to_the_image(samples, fraction, seed):
    train, val, _ = split_by_seed(samples, fraction, seed)
    assert sorted([*train, *val], key=lambda s: s.sha256) == samples
    sizes, held = Counter(s.label for s in samples), Counter(s.label for s in val)
    for label, size in sizes.items():
        if size == 1:
            assert held[label] == 0
        else:
            assert 1 <= held[label] < size
            assert abs(held[label] - fraction * size) <= 1


@given(grouped, st.floats(0.05, 0.95), st.integers(0, 9))
def test_groups_and_equal_images_stay_on_one_side(samples, fraction, seed):
    train, val, _ = split_by_seed(samples, fraction, seed)
    assert Counter([*train, *val]) == Counter(samples)
    assert not {s.sha256 for s in train} & {s.sha256 for s in val}
    assert not {s.group for s in train if s.group} & {s.group for s in val if s.group}


@given(plain, st.randoms(use_true_random=False), st.integers(0, 9))
def test_a_split_depends_on_content_and_seed_and_not_on_the_order(samples, random, seed):
    shuffled = random.sample(samples, len(samples))
    first, second = split_by_seed(samples, 0.3, seed), split_by_seed(shuffled, 0.3, seed)
    assert {s.sha256 for s in first[1]} == {s.sha256 for s in second[1]}


def test_another_seed_splits_otherwise():
    samples = [sample(index, index % 2) for index in range(40)]
    assert split_by_seed(samples, 0.5, 0)[1] != split_by_seed(samples, 0.5, 1)[1]


def test_an_unsplit_folder_is_split_and_the_note_says_so(make_images):
    root = make_images({"cat": 10, "dog": 5, "eel": 1})
    splits = load_splits(root, DataConfig(), seed=3)
    assert splits.train is not None
    assert Counter(s.label for s in splits.train.samples) == {0: 8, 1: 4, 2: 1}
    assert Counter(s.label for s in splits.val.samples) == {0: 2, 1: 1}
    assert splits.note == (
        "split here by seed 3: 20% of each class held out, no groups given; "
        "1 classes of one image or group stay in training"
    )


def test_a_given_split_is_kept(make_images):
    root = make_images({"train/cat": 3, "val/cat": 2, "val/dog": 1})
    splits = load_splits(root, DataConfig(), seed=0)
    assert splits.train is not None
    assert (len(splits.train), len(splits.val)) == (3, 3)
    assert splits.train.classes == splits.val.classes == ("cat", "dog")
    assert splits.note == "by folder: train/, val/"


def test_an_evaluation_side_alone_has_no_training_side(make_images):
    splits = load_splits(make_images({"val/cat": 2, "val/dog": 1}), DataConfig(), seed=0)
    assert splits.train is None
    assert len(splits.val) == 3


def test_a_training_side_alone_is_split(make_images):
    splits = load_splits(make_images({"train/cat": 5, "train/dog": 5}), DataConfig(), seed=0)
    assert len(splits.val) == 2
    assert splits.note.endswith("(the source has a training side only)")


def test_one_image_cannot_be_split(make_images):
    with pytest.raises(DataError, match="can't be split in two"):
        load_splits(make_images({"cat": 1, "dog": 1}), DataConfig(), seed=0)


def test_a_group_on_both_sides_is_refused(make_images):
    root = make_images({"a": 2})
    source = root / "list.csv"
    source.write_text("path,label,split,group\na/0.png,x,train,leaf\na/1.png,y,val,leaf\n")
    with pytest.raises(DataError, match=r"group 'leaf' is on both sides \(train: 0.png"):
        load_splits(source, DataConfig(), seed=0)


def test_a_digest_depends_on_content_labels_and_names_and_not_on_the_folder(make_images, tmp_path):
    root = make_images({"cat": 3, "dog": 3})
    moved = tmp_path / "moved"
    shutil.copytree(root, moved)
    first = load_splits(root, DataConfig(), seed=0).val
    assert load_splits(moved, DataConfig(), seed=0).val.digest == first.digest
    relabelled = tuple(Sample(s.path, s.sha256, 1, s.group) for s in first.samples)
    others = [
        ImageSet(first.samples[1:], first.classes),
        ImageSet(relabelled, first.classes),
        ImageSet(first.samples, ("cat", "eel")),
    ]
    assert first.digest not in {other.digest for other in others}


def test_bad_images_stop_the_run_or_are_counted(make_images):
    root = make_images({"train/cat": 2, "val/cat": 2, "val/dog": 1})
    whole = (root / "val/cat/1.png").read_bytes()
    (root / "val/cat/1.png").write_bytes(whole[: len(whole) // 2])
    (root / "train/cat/0.png").write_bytes(b"")
    splits = load_splits(root, DataConfig(), seed=0)
    assert splits.train is not None
    bad = find_bad_images([*splits.train.samples, *splits.val.samples])
    assert len(bad) == 2
    with pytest.raises(DataError, match=r"0.png: empty file \(and 1 more\); .*--skip-bad-images"):
        drop_bad_images(splits, bad, skip=False)
    left = drop_bad_images(splits, bad, skip=True)
    assert left.train is not None
    assert (len(left.train), len(left.val), len(left.skipped)) == (1, 2, 2)
    assert drop_bad_images(left, bad, skip=False) == left


def test_a_side_without_a_good_image_stops_the_run(make_images):
    root = make_images({"train/cat": 1, "train/dog": 1, "val/cat": 1})
    (root / "val/cat/0.png").write_bytes(b"GIF89a")
    splits = load_splits(root, DataConfig(), seed=0)
    bad = find_bad_images(splits.val.samples)
    with pytest.raises(DataError, match="no image is left"):
        drop_bad_images(splits, bad, skip=True)


def test_the_potato_split_is_read_as_it_was_made(shared_data):
    splits = load_splits(shared_data / "data" / "potato_split.csv", DataConfig(), seed=0)
    assert splits.train is not None
    assert (len(splits.train), len(splits.val)) == (1676, 476)
    assert splits.val.classes == (
        "Potato___Early_blight",
        "Potato___Late_blight",
        "Potato___healthy",
    )
    assert not splits.train.hashes & splits.val.hashes
    assert find_bad_images(splits.val.samples[::20]) == {}
