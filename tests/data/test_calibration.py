"""Calibration sets: drawn or given, and kept apart from what is evaluated."""

from __future__ import annotations

import zipfile
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.paths import ROOT

from edge_convnext.core.errors import DataError
from edge_convnext.core.sections import DataConfig
from edge_convnext.data.calibration import (
    check_explicit_calibration,
    draw_calibration,
    load_calibration,
    write_calibration_csv,
)
from edge_convnext.data.images import ImageSet, Sample
from edge_convnext.data.splits import load_splits

MANIFEST = ROOT / "calibration" / "potato-300.csv"


def image_set(labels: list[int | None], start: int = 0, group: str | None = None) -> ImageSet:
    samples = [
        Sample(Path(f"{index}.png"), f"{index:064x}", label, group)
        for index, label in enumerate(labels, start)
    ]
    return ImageSet(tuple(samples), ("a", "b", "c", "d"))


pools = st.lists(st.integers(0, 3), min_size=1, max_size=80).map(image_set)


@given(pools, st.integers(1, 100), st.integers(0, 9))
def test_a_draw_takes_as_many_of_each_class_as_there_are(pool, size, seed):
    drawn = draw_calibration(pool, None, size, seed).images
    assert len(drawn.hashes) == len(drawn) == min(size, len(pool))
    available = Counter(s.label for s in pool.samples)
    taken = Counter(s.label for s in drawn.samples)
    most = max(taken.values())
    assert all(taken[label] >= min(most - 1, count) for label, count in available.items())


@given(pools, st.integers(1, 40), st.integers(0, 9), st.randoms(use_true_random=False))
def test_a_draw_depends_on_content_and_seed_alone_and_larger_ones_begin_with_it(
    pool, size, seed, random
):
    shuffled = ImageSet(tuple(random.sample(pool.samples, len(pool))), pool.classes)
    drawn = draw_calibration(pool, None, size, seed).images
    assert draw_calibration(shuffled, None, size, seed).images == drawn
    larger = draw_calibration(pool, None, size + 7, seed).images
    assert larger.samples[: len(drawn)] == drawn.samples


@given(pools, st.integers(0, 90))
def test_evaluated_images_are_left_out_and_counted(pool, start):
    evaluation = image_set([0] * 10, start)
    common = len(pool.hashes & evaluation.hashes)
    if common == len(pool):
        with pytest.raises(DataError, match="pass --calibration with others"):
            draw_calibration(pool, evaluation, 300, seed=0)
        return
    drawn = draw_calibration(pool, evaluation, 300, seed=0)
    assert drawn.left_out == common
    assert drawn.images.hashes == pool.hashes - evaluation.hashes


def test_another_seed_draws_otherwise():
    pool = image_set([0] * 50)
    first, second = (draw_calibration(pool, None, 10, seed).images for seed in (0, 1))
    assert first.hashes != second.hashes


def test_unlabelled_images_can_be_drawn_from():
    drawn = draw_calibration(image_set([None] * 5), None, 3, seed=0)
    assert drawn.note == "3 of 5 images, seed 0"


def test_an_explicit_set_that_shares_images_with_the_evaluation_is_refused():
    with pytest.raises(DataError, match=r"4.png: this and 1 other .* in the evaluation set"):
        check_explicit_calibration(image_set([0] * 6), image_set([0] * 6, start=4))


def test_an_explicit_set_that_shares_a_group_with_the_evaluation_is_refused():
    evaluation = image_set([0] * 2, start=100, group="leaf 1")
    with pytest.raises(DataError, match="share a group"):
        check_explicit_calibration(image_set([0], group="leaf 1"), evaluation)
    check_explicit_calibration(image_set([0], group="leaf 2"), evaluation)
    check_explicit_calibration(image_set([0]), evaluation)


def test_flat_folders_class_folders_and_training_sides_calibrate(make_images):
    flat, _ = load_calibration(make_images({"flat": 3}) / "flat")
    assert [sample.label for sample in flat.samples] == [None] * 3
    root = make_images({"all/train/cat": 2, "all/val/cat": 1})
    assert len(load_calibration(root / "all")[0]) == 2
    assert [s.label for s in load_calibration(root / "all" / "train")[0].samples] == [0, 0]


def test_unreadable_files_are_left_out_on_request_and_told(make_images):
    root = make_images({"cat": 2})
    (root / "cat" / "gone.png").symlink_to(root / "nowhere.png")
    with pytest.raises(DataError, match=r"gone\.png: can't be read"):
        load_calibration(root)
    images, skipped = load_calibration(root, skip_bad_images=True)
    assert len(images) == 2
    assert len(skipped) == 1
    assert "gone.png: can't be read" in skipped[0]


def test_an_evaluation_side_alone_does_not_calibrate(make_images):
    with pytest.raises(DataError, match="no readable image on its training side"):
        load_calibration(make_images({"val/cat": 2}))


def test_a_recorded_set_is_read_back(make_images, tmp_path):
    root = make_images({"cat, tabby": 3, "dog": 3})
    drawn = draw_calibration(load_calibration(root)[0], None, 4, seed=0)
    beside, elsewhere = root / "calibration.csv", tmp_path / "out" / "calibration.csv"
    for path, base in ((beside, root), (elsewhere, elsewhere.parent)):
        write_calibration_csv(drawn, path, base)
        read, _ = load_calibration(path)
        assert [s.sha256 for s in read.samples] == [s.sha256 for s in drawn.images.samples]
    write_calibration_csv(drawn, elsewhere, root)
    assert load_calibration(elsewhere, data=root)[0].hashes == drawn.images.hashes


def test_an_image_that_changed_since_it_was_recorded_is_refused(make_images):
    root = make_images({"cat": 2})
    path = root / "calibration.csv"
    write_calibration_csv(draw_calibration(load_calibration(root)[0], None, 2, 0), path, root)
    (root / "cat" / "0.png").write_bytes((root / "cat" / "1.png").read_bytes() + b"\0")
    with pytest.raises(DataError, match=r"line \d: .*0.png is not the image recorded there"):
        load_calibration(path)


def test_the_shipped_manifest_is_the_draw_it_says_it_is(shared_data, tmp_path):
    source = shared_data / "data" / "potato_split.csv"
    splits = load_splits(source, DataConfig(), seed=0)
    assert splits.train is not None
    drawn = draw_calibration(splits.train, splits.val, 300, seed=0)
    assert Counter(s.label for s in drawn.images.samples) == {0: 100, 1: 100, 2: 100}
    write_calibration_csv(drawn, tmp_path / "again.csv", source.parent)
    assert (tmp_path / "again.csv").read_text() == MANIFEST.read_text()
    check_explicit_calibration(load_calibration(MANIFEST, data=source)[0], splits.val)


def test_tiny_imagenet_images_on_both_sides_are_left_out(shared_data, tmp_path):
    known = {  # two training images that are validation images of another class
        "train/n03770439/n03770439_128.JPEG": "val/n03404251/val_5819.JPEG",
        "train/n03976657/n03976657_138.JPEG": "val/n03355925/val_9920.JPEG",
    }
    top = "tiny-imagenet-200-subset"
    with zipfile.ZipFile(shared_data / "data" / f"{top}.zip") as archive:
        spare = [f"train/n03770439/n03770439_{index}.JPEG" for index in (0, 1, 2)]
        names = {info for info in archive.namelist() if info.endswith(".JPEG")}
        for name in (*known, *known.values(), *spare):
            if f"{top}/{name}" in names:
                archive.extract(f"{top}/{name}", tmp_path)
    splits = load_splits(tmp_path / top, DataConfig(), seed=0)
    assert splits.train is not None
    drawn = draw_calibration(splits.train, splits.val, 300, seed=0)
    assert drawn.left_out == 2
    assert len(drawn.images) == len(splits.train) - 2
    with pytest.raises(DataError, match="this and 1 other calibration images are in"):
        check_explicit_calibration(splits.train, splits.val)
