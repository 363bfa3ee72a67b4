"""Images that are there twice, and calibration images that say nothing."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from edge_convnext.core.cache import Cache
from edge_convnext.core.errors import DataError
from edge_convnext.core.progress import untracked
from edge_convnext.core.sections import DataConfig
from edge_convnext.data import scan
from edge_convnext.data.batches import look_at_images
from edge_convnext.data.calibration import (
    CalibrationSet,
    check_explicit_calibration,
    draw_calibration,
    load_calibration,
    tell_calibration,
)
from edge_convnext.data.images import ImageSet
from edge_convnext.data.leaks import drop_leaks
from edge_convnext.data.scan import scan_images
from edge_convnext.data.splits import Splits, load_splits, require_training_classes, see_images


def look(splits: Splits) -> Splits:
    samples = (*(splits.train.samples if splits.train else ()), *splits.val.samples)
    return see_images(splits, look_at_images(samples))


def load(root: Path) -> Splits:
    return look(load_splits(root, DataConfig(), seed=0))


def encode_anew(source: Path, target: Path) -> None:
    """The same pixels in other bytes: another PNG level, and a comment."""
    comment = PngImagePlugin.PngInfo()
    comment.add_text("Comment", "x" * 100)
    with Image.open(source) as image:
        image.save(target, compress_level=0, pnginfo=comment)
    assert source.read_bytes() != target.read_bytes()


def split_folder(make_images, copies: int, n_val: int = 200) -> Path:
    """200 evaluation images of two classes, the first few of which are training images too."""
    root = make_images({"train/a": 20, "train/b": 20, "val/a": n_val // 2, "val/b": n_val // 2})
    for index in range(copies):
        encode_anew(root / f"train/a/{index}.png", root / f"val/a/{index}.png")
    return root


def test_training_copies_of_evaluation_images_are_left_out_and_named(make_images):
    root = split_folder(make_images, copies=2)
    splits = drop_leaks(load(root))
    assert splits.train is not None
    assert (len(splits.train), len(splits.val)) == (38, 200)
    assert not splits.train.contents & splits.val.contents
    assert splits.note.endswith("; 2 training copies of evaluation images left out")
    note = splits.notes[-1]
    assert note.startswith("2 evaluation images are in training too (first: ")
    assert f"{root / 'val/a/0.png'} is {root / 'train/a/0.png'}" in note
    assert "copies that were encoded anew or resized are not found" in note


def test_above_one_per_cent_is_refused_unless_allowed(make_images):
    splits = load(split_folder(make_images, copies=3))
    with pytest.raises(DataError, match=r"3 of 200 evaluation images \(1.5%\) are in training too"):
        drop_leaks(splits)
    allowed = drop_leaks(splits, allow=True).train
    assert allowed is not None
    assert len(allowed) == 37


def test_an_equal_image_under_another_label_on_the_other_side_is_counted_as_such(make_images):
    root = split_folder(make_images, copies=1)
    encode_anew(root / "train/a/1.png", root / "val/b/0.png")
    assert (
        "2 evaluation images are in training too, 1 under another label"
        in drop_leaks(load(root)).notes[-1]
    )


def test_a_training_side_that_is_all_evaluated_is_refused(make_images):
    root = make_images({"train/a": 1, "train/b": 1})
    shutil.copytree(root / "train", root / "val")
    with pytest.raises(DataError, match=r"2 of 2 evaluation images \(100.0%\)"):
        drop_leaks(load(root))
    with pytest.raises(DataError, match="every training image is in the evaluation set too"):
        drop_leaks(load(root), allow=True)


def test_copies_that_a_split_by_seed_parts_are_left_out_of_training(make_images):
    root = make_images({"a": 20, "b": 20})
    for index in range(20):
        encode_anew(root / f"a/{index}.png", root / f"a/{index + 100}.png")
    parted = load(root)
    assert parted.train is not None
    assert parted.train.contents & parted.val.contents  # other bytes: the draw can't know
    splits = drop_leaks(parted)
    assert splits.train is not None
    assert not splits.train.contents & splits.val.contents


def test_images_under_two_labels_are_counted_and_named(make_images):
    root = make_images({"train/a": 3, "train/b": 3, "val/a": 2, "val/b": 2})
    encode_anew(root / "train/a/0.png", root / "train/b/copy.png")
    encode_anew(root / "train/b/1.png", root / "train/b/same.png")
    splits = drop_leaks(load(root))
    assert splits.note.endswith("; 1 training images under two labels")
    two = f"{root / 'train/a/0.png'} as a and {root / 'train/b/copy.png'} as b"
    assert f"1 training images lie under two labels (first: {two}): one of them is wrong." in (
        splits.notes
    )
    assert "2 training images are copies of others there." in splits.notes


def test_a_set_without_copies_is_left_as_it_is(make_images):
    splits = load(make_images({"train/a": 2, "train/b": 2, "val/a": 2, "val/b": 2}))
    assert drop_leaks(splits) == splits


def test_another_turn_of_the_camera_is_the_same_image_where_the_pixels_are(tmp_path):
    pixels = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    upright = Image.fromarray(pixels)
    exif = Image.Exif()
    exif[0x0112] = 3
    upright.save(tmp_path / "a.png")
    upright.transpose(Image.Transpose.ROTATE_180).save(tmp_path / "b.png", exif=exif)
    Image.fromarray(pixels.reshape(2, 8, 3)).save(tmp_path / "c.png")  # the same bytes, reshaped
    images, _ = load_calibration(tmp_path)
    looks = look_at_images(images.samples)
    a, b, c = (looks[sample.sha256].pixels for sample in images.samples)
    assert a == b != c


def test_large_images_are_hashed_whole(tmp_path):
    """In strips: a change in the last row is another image."""
    image = Image.new("RGB", (1024, 2050), (1, 2, 3))
    image.save(tmp_path / "a.png")
    image.putpixel((1023, 2049), (1, 2, 4))
    image.save(tmp_path / "b.png")
    images, _ = load_calibration(tmp_path)
    looks = look_at_images(images.samples).values()
    assert len({one.pixels for one in looks}) == 2


def test_what_was_seen_is_kept_by_content(make_images, tmp_path, monkeypatch):
    root = make_images({"a": 2, "b": 1})
    Image.new("RGB", (8, 8), (9, 9, 9)).save(root / "b" / "flat.png")
    samples = load_calibration(root)[0].samples
    cache = Cache(tmp_path / "cache")
    first = scan_images(samples, cache, untracked)
    monkeypatch.setattr(scan, "look_at_images", pytest.fail)
    assert scan_images(samples[::-1], cache, untracked) == first
    assert sorted(one.flat for one in first.values()) == [False, False, False, True]
    assert len({one.pixels for one in first.values()}) == 4


def test_one_class_to_learn_is_refused(make_images):
    splits = load(make_images({"train/a": 2, "val/a": 2, "val/b": 2}))
    with pytest.raises(DataError, match=r"images of one class alone \(a\)"):
        require_training_classes(splits)
    require_training_classes(load(make_images({"train/b": 1})))


# Calibration


def test_a_calibration_image_with_another_comment_is_the_evaluated_one(make_images, tmp_path):
    root = make_images({"val/a": 2, "val/b": 2})
    (tmp_path / "set").mkdir()
    encode_anew(root / "val/a/0.png", tmp_path / "set" / "x.png")
    evaluation = load(root).val
    pool = look(Splits(None, load_calibration(tmp_path / "set")[0], "")).val
    with pytest.raises(DataError, match=r"x\.png: .*encoded anew or resized are not found"):
        check_explicit_calibration(pool, evaluation)
    with pytest.raises(DataError, match="are in the evaluation set too"):
        draw_calibration(pool, evaluation, 300, seed=0)


def notes_of(folder: Path, splits: Splits | None) -> tuple[str, ...]:
    images = look(Splits(None, load_calibration(folder)[0], "")).val
    return tell_calibration(CalibrationSet(images, 0, ""), splits).notes


@pytest.fixture
def labelled(make_images) -> tuple[Path, Splits]:
    root = make_images({f"{side}/{name}": 12 for side in ("train", "val") for name in "abc"})
    return root, load(root)


def test_one_calibration_image_and_copies_of_one_are_told(labelled, tmp_path):
    root, splits = labelled
    (tmp_path / "set").mkdir()
    for index in range(20):
        shutil.copy(root / "train/a/0.png", tmp_path / "set" / f"{index}.png")
    copies, few, classes = notes_of(tmp_path / "set", splits)
    assert copies == "19 of the 20 calibration images are copies of others."
    assert few.startswith("1 different calibration images set every range")
    assert classes.startswith("The calibration images are of 1 of the 3 classes (a)")


def test_calibration_images_of_one_colour_are_told(tmp_path):
    for index in range(12):
        image = Image.new("RGB", (32, 32), (index * 20, 100, 3))
        image.save(tmp_path / f"{index}.jpg", quality=80)
    assert notes_of(tmp_path, None) == (
        "12 of the 12 calibration images are of one colour: they say nothing about photographs.",
    )


@pytest.mark.parametrize("what", ["train/a", "train"])
def test_one_class_of_several_is_told_by_label_or_by_content(labelled, what, tmp_path):
    root, splits = labelled
    if what == "train":
        shutil.copytree(root / "train/a", tmp_path / "own" / "a")
    notes = notes_of(root / "train/a" if what == "train/a" else tmp_path / "own", splits)
    assert notes == (
        "The calibration images are of 1 of the 3 classes (a): larger values of the others are "
        "clipped.",
    )


def test_a_calibration_set_of_every_class_needs_no_note(labelled):
    root, splits = labelled
    assert splits.train is not None
    drawn = draw_calibration(splits.train, splits.val, 300, seed=0)
    assert tell_calibration(drawn, splits).notes == ()
    assert notes_of(root / "train", splits) == ()
    unknown = ImageSet(tuple(s for s in splits.val.samples if s.label == 0), ())
    stripped = tuple(type(s)(s.path, f"{i:064x}") for i, s in enumerate(unknown.samples))
    unlabelled = CalibrationSet(ImageSet(stripped, ()), 0, "")
    assert tell_calibration(unlabelled, splits).notes == ()  # nobody knows their class


@pytest.mark.parametrize("evaluated", [True, False])
def test_the_report_names_such_a_set_and_fidelity_that_rests_on_it_alone(labelled, evaluated):
    from types import SimpleNamespace

    from edge_convnext.build.notes import calibration_notes

    splits = labelled[1]
    told = CalibrationSet(splits.val, 0, "", notes=("Only one.",))
    inputs = SimpleNamespace(calibration=told, borrowed=False)
    recipe = SimpleNamespace(precision="int8")
    first, *rest = calibration_notes(inputs, recipe, evaluated=evaluated)
    assert first == "Only one."
    assert len(rest) == (0 if evaluated else 1)
    assert all("was measured on calibration images alone" in note for note in rest)
