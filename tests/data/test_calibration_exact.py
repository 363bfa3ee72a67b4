"""Which images are drawn, in which order, and what is said of them."""

import csv
from pathlib import Path

import pytest

from edge_convnext.core.errors import DataError
from edge_convnext.data.calibration import (
    CalibrationSet,
    check_explicit_calibration,
    draw_calibration,
    load_calibration,
    tell_calibration,
    write_calibration_csv,
)
from edge_convnext.data.images import ImageSet, Sample, rank
from edge_convnext.data.splits import Splits

CLASSES = ("k", "l")


def sample(name, label=0, group=None, content=None, **changes):
    return Sample(Path(f"{name}.png"), (content or name) * 32, label, group, **changes)


def sides(train, val, classes=CLASSES):
    return Splits(ImageSet(tuple(train), classes), ImageSet(tuple(val), classes), "")


def images(*samples):
    return ImageSet(samples, ("k", "l", "m"))


def names(found):
    return [one.path.stem for one in found.images.samples]


POOL = images(
    *(
        sample(f"{index:02}", label)
        for label in range(3)
        for index in range(label * 9, label * 9 + 9)
    )
)


def ranked(label, seed):
    own = [one for one in POOL.samples if one.label == label]
    return [
        one.path.stem for one in sorted(own, key=lambda one: rank("calibration", seed, one.sha256))
    ]


@pytest.mark.parametrize("seed", [0, 5])
def test_first_the_first_of_every_class_then_the_second(seed):
    found = names(draw_calibration(POOL, None, 27, seed))
    columns = [ranked(label, seed) for label in range(3)]
    for turn in range(9):
        assert set(found[3 * turn : 3 * turn + 3]) == {column[turn] for column in columns}
    overall = sorted(POOL.samples, key=lambda one: rank("calibration", seed, one.sha256))
    first = [one.path.stem for one in overall if one.path.stem in found[:3]]
    assert found[:3] == first  # within a turn, by rank
    assert names(draw_calibration(POOL, None, 7, seed)) == found[:7]
    assert found != names(draw_calibration(POOL, None, 27, seed + 1))


def test_what_is_evaluated_is_barred_and_counted_and_equal_images_count_once():
    pool = images(
        sample("a"), sample("b"), sample("c", content="a"), sample("d"), sample("e", content="d")
    )
    found = draw_calibration(pool, images(sample("x", content="d")), 10, 3)
    assert sorted(names(found)) == ["a", "b"]  # of equal ones the first
    assert found.left_out == 2
    assert found.note == "2 of 2 images, seed 3"
    assert found.images.classes == ("k", "l", "m")
    some = draw_calibration(pool, None, 2, 3)
    assert (some.left_out, some.note) == (0, "2 of 3 images, seed 3")


def test_a_pool_of_nothing_but_evaluated_images_is_refused():
    pool = images(sample("a"), sample("b", content="a"))
    with pytest.raises(DataError) as caught:
        draw_calibration(pool, images(sample("x", content="a")), 1, 0)
    assert str(caught.value) == (
        "all 2 images to calibrate with are in the evaluation set too; "
        "pass --calibration with others"
    )


EVALUATION = images(sample("x", group="g"), sample("y"))


def test_calibration_images_that_are_evaluated_or_related_are_refused():
    check_explicit_calibration(images(sample("a", group="h"), sample("b")), EVALUATION)
    cases = (
        ((sample("c"), sample("a", content="y"), sample("b", content="x")), "a.png", 1,
         "are in the evaluation set"),
        ((sample("c"), sample("d", group="g")), "d.png", 0, "share a group with it"),
    )  # fmt: skip
    for calibration, first, others, what in cases:
        with pytest.raises(DataError) as caught:
            check_explicit_calibration(images(*calibration), EVALUATION)
        assert str(caught.value).startswith(
            f"{first}: this and {others} other calibration images {what}, so the measured "
            "accuracy would not be honest; calibrate with training images"
        )


def test_what_was_drawn_is_recorded_line_by_line_and_read_back(make_images, tmp_path):
    root = make_images({"cat": 2, "dog": 2})
    pool, skipped = load_calibration(root)
    assert skipped == ()
    drawn = draw_calibration(pool, None, 3, 0)
    path = tmp_path / "out" / "calibration.csv"
    path.parent.mkdir()
    write_calibration_csv(drawn, path, path.parent)
    text = path.read_bytes().decode()
    assert "\r" not in text
    rows = list(csv.reader(text.splitlines()))
    assert rows[0] == ["path", "sha256"]
    assert [row[1] for row in rows[1:]] == [one.sha256 for one in drawn.images.samples]
    assert all(row[0].startswith("../images/") for row in rows[1:])
    again, _ = load_calibration(path)
    assert [one.sha256 for one in again.samples] == [one.sha256 for one in drawn.images.samples]


def test_images_without_labels_calibrate_and_the_training_side_of_a_split_does(make_images):
    flat = make_images({"": 3})
    found, _ = load_calibration(flat)
    assert (len(found), {one.label for one in found.samples}) == (3, {None})


def test_of_a_split_the_training_side_calibrates(make_images):
    root = make_images({"train/cat": 3, "train/dog": 2, "val/cat": 1, "val/dog": 1})
    found, _ = load_calibration(root)
    assert len(found) == 5
    assert {"train"} == {one.path.parent.parent.name for one in found.samples}


def test_an_evaluation_side_alone_calibrates_nothing(make_images):
    root = make_images({"val/cat": 1, "val/dog": 1})
    with pytest.raises(DataError, match="no readable image on its training side to calibrate with"):
        load_calibration(root)


@pytest.mark.parametrize("beside", ["folder", "csv"])
def test_paths_of_a_csv_are_looked_for_where_the_data_is(make_images, tmp_path, beside):
    root = make_images({"cat": 2})
    data = root
    if beside == "csv":
        data = root / "data.csv"
        data.write_text("path,label\ncat/0.png,cat\n")
    path = tmp_path / "elsewhere" / "calibration.csv"
    path.parent.mkdir()
    path.write_text("path\ncat/0.png\ncat/1.png\n")
    found, _ = load_calibration(path, data)
    assert len(found) == 2


def test_unreadable_calibration_images_end_it_or_are_listed(make_images):
    root = make_images({"cat": 2})
    (root / "cat" / "gone.png").symlink_to(root / "nowhere.png")
    with pytest.raises(DataError):
        load_calibration(root)
    found, skipped = load_calibration(root, skip_bad_images=True)
    assert len(found) == 2
    assert len(skipped) == 1


def test_a_calibration_set_that_says_little_is_told():
    def told(samples, splits=None):
        calibration = CalibrationSet(ImageSet(tuple(samples), CLASSES), 3, "note")
        found = tell_calibration(calibration, splits)
        assert (found.note, found.left_out, found.images) == ("note", 3, calibration.images)
        return found.notes

    fair = [sample(f"i{at}", at % 2) for at in range(10)]
    assert told(fair) == ()
    assert told([*fair, sample("copy", 0, content="i0")]) == (
        "1 of the 11 calibration images are copies of others.",
    )
    few = (
        "9 different calibration images set every range of the quantizers: values beyond "
        "theirs are clipped. A few hundred, of all classes, are usual."
    )
    assert told(fair[:9]) == (few,)
    assert told([*fair, sample("grey", 1, flat=True)]) == (
        "1 of the 11 calibration images are of one colour: they say nothing about photographs.",
    )
    one = [sample(f"i{at}", 0) for at in range(10)]
    cut = (
        "The calibration images are of 1 of the 2 classes (k): larger values of the others are "
        "clipped."
    )
    assert told(one) == (cut,)
    unlabelled = [sample(f"i{at}", None) for at in range(10)]
    assert told(unlabelled) == ()
    splits = sides([*one, sample("other", 1)], [sample("v0", 1), sample("v1", 1)])
    assert told(unlabelled, splits) == (cut,)
    assert told([*unlabelled[:9], sample("nobody", None)], splits) == ()


LETTERS = tuple("hgfedcba")


def told_of_classes(labels, splits=None, classes=LETTERS):
    samples = [sample(f"i{at}", label) for at, label in enumerate(labels)]
    calibration = CalibrationSet(ImageSet(tuple(samples), classes), 0, "")
    return tell_calibration(calibration, splits).notes


def test_of_many_classes_half_have_to_be_there():
    half = told_of_classes([0, 1, 2, 3, 0, 1, 2, 3, 0, 1])
    assert half == (
        "The calibration images are of 4 of the 8 classes (e, f, g, …): larger values of the "
        "others are clipped.",
    )
    assert told_of_classes([0, 1, 2, 3, 4] * 2) == ()
    assert told_of_classes([2, 1, 0] * 4)[0].startswith(
        "The calibration images are of 3 of the 8 classes (f, g, h): "
    )
    assert told_of_classes([0, None] * 6) == ()  # of some nobody knows the class
    assert told_of_classes([0] * 10, classes=("k",)) == ()
    long = told_of_classes([0] * 10, classes=("x" * 61, "y"))
    assert f"({'x' * 60}...)" in long[0]


def test_classes_are_those_that_the_labelled_data_has_or_knows_by_content():
    val = [sample(f"v{at}", at) for at in range(8)]
    known = sides([sample(f"i{at}", at % 2) for at in range(10)], val, LETTERS)
    expected = "The calibration images are of 2 of the 8 classes (g, h): "
    assert told_of_classes([None] * 10, known)[0].startswith(expected)
    # Labels of the set itself count where its names are those of the data.
    strangers = sides([], val, LETTERS)
    assert told_of_classes([6, 7] * 5, strangers)[0].startswith(
        "The calibration images are of 2 of the 8 classes (a, b): "
    )
    assert told_of_classes([0] * 10, strangers, classes=("nobody", "h")) == ()
    # What the data says of an image goes before what the set says.
    assert told_of_classes([7] * 10, known)[0].startswith(expected)
    alone = Splits(None, known.val, "")
    assert told_of_classes([7] * 10, alone)[0].startswith(
        "The calibration images are of 1 of the 8 classes (a): "
    )
