"""What is told of images that are there twice, and of sides whose classes or groups differ."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from edge_convnext.core.errors import DataError
from edge_convnext.core.sections import DataConfig
from edge_convnext.data import splits as module
from edge_convnext.data.batches import Look
from edge_convnext.data.images import ImageSet, Sample
from edge_convnext.data.leaks import drop_leaks
from edge_convnext.data.split_names import choose_sides, split_kind, split_words
from edge_convnext.data.splits import (
    Splits,
    load_splits,
    require_training_classes,
    see_images,
)

CLASSES = ("k", "l")


def sample(name, label=0, content=None, **changes):
    return Sample(Path(f"{name}.png"), (content or name) * 32, label, **changes)


def sides(train, val, by_seed=False):
    made = [ImageSet(tuple(one), CLASSES) if one is not None else None for one in (train, val)]
    return Splits(*made, "as it is", notes=("earlier",), by_seed=by_seed)


def many(n, prefix="v", label=0):
    return [sample(f"{prefix}{index}", label) for index in range(n)]


def names(images):
    return [one.path.stem for one in images.samples]


def test_sides_without_copies_are_left_as_they_are():
    found = drop_leaks(sides(many(3, "t"), many(3)))
    assert found == sides(many(3, "t"), many(3))
    alone = sides(None, many(3))
    assert drop_leaks(alone) == alone


def test_training_copies_are_left_out_and_told():
    val = many(100)
    train = [sample("a", content="v7"), sample("b"), sample("c", content="v7")]
    found = drop_leaks(sides(train, val))
    assert names(found.train) == ["b"]
    assert names(found.val) == names(sides(train, val).val)
    assert found.note == "as it is; 2 training copies of evaluation images left out"
    assert found.notes == (
        "earlier", "1 training images are copies of others there.",
        "1 evaluation images are in training too (first: v7.png is a.png); the 2 training copies "
        "are left out (copies that were encoded anew or resized are not found).",
    )  # fmt: skip


def test_a_copy_under_another_label_is_told_as_such():
    train = [sample("a", 1, content="v0"), sample("b"), sample("c", 0, content="v1")]
    found = drop_leaks(sides(train, many(10)), allow=True)
    assert found.note == (
        "as it is; 2 training copies of evaluation images left out, 1 under another label"
    )
    assert found.notes[-1].startswith(
        "2 evaluation images are in training too, 1 under another label (first: v0.png is a.png); "
    )


def leaking(n, shared, **changes):
    train = [sample("own"), *(sample(f"t{at}", content=f"v{at}") for at in range(shared))]
    return sides(train, many(n), **changes)


def test_more_than_one_per_cent_is_refused_unless_allowed_or_split_here():
    drop_leaks(leaking(200, 2))
    with pytest.raises(DataError) as caught:
        drop_leaks(leaking(200, 3))
    assert str(caught.value) == (
        "3 of 200 evaluation images (1.5%) are in training too (v0.png is t0.png), so the accuracy "
        "would not be honest; take them out of one side, or pass --allow-duplicates to leave out "
        "the training copies"
    )
    assert names(drop_leaks(leaking(200, 3), allow=True).train) == ["own"]
    assert names(drop_leaks(leaking(200, 3, by_seed=True)).train) == ["own"]


def test_a_training_side_of_nothing_else_is_refused():
    splits = sides([sample("a", content="v0")], many(300))
    with pytest.raises(DataError) as caught:
        drop_leaks(splits)
    assert str(caught.value) == (
        "every training image is in the evaluation set too (v0.png is a.png); give the source "
        "other images to train or calibrate with"
    )


def test_images_under_two_labels_are_counted_on_each_side():
    train = [sample("a"), sample("b", 1, content="a"), sample("c", content="a"), sample("d", 1)]
    train.append(sample("e", 0, content="d"))
    val = [sample("f", 1), sample("g", 0, content="f"), sample("h")]
    found = drop_leaks(sides(train, val))
    assert found.note == (
        "as it is; 2 training images under two labels; 1 evaluation images under two labels"
    )
    assert found.notes == (
        "earlier",
        "2 training images lie under two labels (first: a.png as k and b.png as l): "
        "one of them is wrong.",
        "3 training images are copies of others there.",
        "1 evaluation images lie under two labels (first: f.png as l and g.png as "
        "k): one of them is wrong.",
        "1 evaluation images are copies of others there.",
    )  # fmt: skip


def test_what_was_seen_is_noted_and_decides_what_is_equal():
    splits = sides([sample("a"), sample("b")], [sample("c")])
    seen = {"a": Look(pixels="same", flat=True), "c": Look(pixels="same"), "b": Look()}
    looks = {sample(name).sha256: look for name, look in seen.items()}
    found = see_images(splits, looks)
    a, b = found.train.samples
    (c,) = found.val.samples
    assert (a.pixels, a.flat, b.pixels, b.flat, c.pixels) == ("same", True, None, False, "same")
    assert a.content == c.content == "same"
    assert b.content == b.sha256
    assert see_images(sides(None, [sample("c")]), {}).train is None
    assert names(drop_leaks(found, allow=True).train) == ["b"]


def test_one_class_to_learn_is_refused():
    require_training_classes(sides([sample("a"), sample("b", 1)], many(2)))
    require_training_classes(sides(None, many(2)))
    with pytest.raises(DataError) as caught:
        require_training_classes(sides([sample("a", 1), sample("b", 1)], many(2)))
    assert str(caught.value) == (
        "the training side has images of one class alone (l), so there is nothing to learn; pass "
        "the folder that holds the class folders, or a CSV path,label"
    )


def test_a_training_side_without_images_has_no_class_to_learn():
    with pytest.raises(
        DataError, match=r"^the training side has images of one class alone \(none\)"
    ):
        require_training_classes(sides([], many(2)))


def test_one_class_alone_is_nothing_to_tell_apart(make_images):
    root = make_images({"cat": 3})
    with pytest.raises(DataError) as caught:
        load_splits(root, DataConfig(), seed=0)
    assert str(caught.value) == (
        f"{root}: only one class, cat: there is nothing to tell apart; pass the folder that holds "
        "the class folders"
    )


def grouped(name, group):
    return sample(name, group=group)


def test_groups_on_both_sides_are_refused_or_counted():
    train = [grouped("a", "g"), grouped("b", "h"), grouped("c", None), grouped("d", "g")]
    val = [grouped("x", None), grouped("y", "g"), grouped("z", "g"), grouped("w", "i")]
    with pytest.raises(DataError) as caught:
        module._check_groups(Path("s.csv"), train, val, True)
    assert str(caught.value) == (
        "s.csv: group 'g' is on both sides (train: a.png, val: y.png); put it on one"
    )
    assert module._check_groups(Path("s.csv"), train, val, False) == [
        "2 evaluation images are of groups in training too, such as 'g'."
    ]
    assert module._check_groups(Path("s.csv"), train, val[:1] + val[3:], True) == []
    assert module._check_groups(Path("s.csv"), train, val[:2], False) == [
        "1 evaluation images are of groups in training too, such as 'g'."
    ]


def reading_of(classes, stated=True):
    facts = (SimpleNamespace(origin=SimpleNamespace(kind="folder names")),) if stated else ()
    return SimpleNamespace(classes=classes, order=SimpleNamespace(facts=facts))


def labelled(*labels):
    return [sample(f"{at}", label) for at, label in enumerate(labels)]


def test_classes_of_one_side_alone_are_told():
    classes = ("cat", "dog", "eel", "fox")
    said = module._check_names(Path("s"), labelled(0, 1, 2), labelled(0, 1, 3), reading_of(classes))
    assert said == [
        "Classes with images on the training side alone: eel.",
        "Classes with images on the evaluation side alone: fox.",
    ]
    assert module._check_names(Path("s"), labelled(0, 1), labelled(0, 1), reading_of(classes)) == []


def test_one_class_in_two_spellings_is_refused():
    classes = ("cat", "Dog_x", "dog x")
    with pytest.raises(DataError) as caught:
        module._check_names(Path("s"), labelled(0, 1), labelled(0, 2), reading_of(classes))
    assert str(caught.value) == (
        "s: 'Dog_x' (training) and 'dog x' (evaluation) differ in case or separators alone; give "
        "them one name"
    )
    unstated = reading_of(classes, False)
    assert len(module._check_names(Path("s"), labelled(0, 1), labelled(0, 2), unstated)) == 2


def test_classes_that_look_like_splits_are_refused():
    classes = ("train", "test", "cat")
    with pytest.raises(DataError) as caught:
        module._check_names(Path("s"), labelled(0), labelled(1), reading_of(classes))
    assert str(caught.value).startswith("s: classes of one side alone look like splits: ")
    assert str(caught.value).endswith(
        "; pass the folder that has the splits right in it, or a CSV path,label,split"
    )
    both = ("train", "a", "b")  # half of the names are on both sides: a class that is called so
    assert len(module._check_names(Path("s"), labelled(0, 1), labelled(1), reading_of(both))) == 1


def test_many_names_are_cut_short():
    assert module._show(["a", "b"]) == "a, b"
    assert module._show("abcde") == "a, b, c, d, e"
    assert module._show("abcdefg") == "a, b, c, d, e and 2 more"
    assert module._show(["x" * 61]) == "x" * 60 + "..."


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("train", "train"), ("Training", "train"), ("TrainSet", "train"), ("train_images", "train"),
        ("val2017", "val"), ("dev", "val"), ("Validation", "val"), ("testing", "test"),
        ("held-out", "test"), ("hold out", "test"), ("Validación", "val"), ("训练集", "train"),
        ("train_v2", "train"), ("pred", "unused"), ("seg_train", None), ("train_test", None),
        ("cat", None), ("tr", None), ("", None), ("trainimages", "train"),
        ("traindataset", "train"), ("valdata", "val"), ("train_train", "train"),
    ],
)  # fmt: skip
def test_a_name_stands_for_a_side_by_itself(name, kind):
    assert split_kind(name) == kind


@pytest.mark.parametrize(
    ("given", "sides"),
    [
        (["train", "val", "test"], {"train": "train", "val": "val"}),
        (["Training", "Testing"], {"Training": "train", "Testing": "val"}),
        (["tr", "te"], {"tr": "train", "te": "val"}),
        (["seg_train", "seg_test", "seg_pred"], {"seg_train": "train", "seg_test": "val"}),
        (["train", "extra"], {"train": "train"}),
        (["test"], {"test": "val"}),
        (["a_train", "a_val", "b_train", "b_val"], {}),
        (["q_train", "r_val"], {}),
        (["cat", "dog"], {}),
        (["train", "dev", "pred"], {"train": "train", "dev": "val"}),
    ],
)
def test_names_are_sides_by_themselves_or_beside_each_other(given, sides):
    assert choose_sides(given) == sides


def test_names_with_a_word_of_a_split_are_found_whatever_else_they_say():
    found = split_words(["bullet_train", "cat", "my_testing", "pred", "train_test", "tr"])
    assert found == {"bullet_train": "train", "my_testing": "test"}
