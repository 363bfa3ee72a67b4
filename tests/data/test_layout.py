"""Folders as archives unpack them: splits of every spelling, levels too many, foreign files."""

from __future__ import annotations

import unicodedata
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, features

from edge_convnext.core.errors import DataError
from edge_convnext.core.sections import DataConfig
from edge_convnext.data.formats import IMAGE_SUFFIXES, is_image_file, readable
from edge_convnext.data.preprocess import open_image
from edge_convnext.data.samples import list_source
from edge_convnext.data.split_names import choose_sides
from edge_convnext.data.splits import load_splits, require_training_classes


def sides_of(root: Path) -> dict[str, dict[str, int]]:
    """Images of each class on each side."""
    splits = load_splits(root, DataConfig(), seed=0)
    return {
        side: dict(Counter(images.classes[s.label] for s in images.samples))
        for side, images in (("train", splits.train), ("val", splits.val))
        if images is not None
    }


def refusal(root: Path) -> str:
    with pytest.raises(DataError) as caught:
        load_splits(root, DataConfig(), seed=0)
    return str(caught.value)


def spread(*folders: str, classes: tuple[str, ...] = ("cat", "dog"), n: int = 2) -> dict[str, int]:
    return {f"{folder}/{name}": n for folder in folders for name in classes}


@pytest.mark.parametrize(
    ("train", "val"),
    [
        ("Training", "Testing"),
        ("TRAIN", "TEST"),
        ("train", "dev"),
        ("tr", "ts"),
        ("trn", "val"),
        ("trainset", "testset"),
        ("training set", "held-out"),
        ("train_images", "val_images"),
        ("images_train", "images_test"),
        ("TrainData", "ValidData"),
        ("train_resized", "test_resized"),
        ("train_v2", "val_v2"),
        ("train2017", "val2017"),
        ("x_train", "x_test"),
        ("seg_train", "seg_test"),
        ("plants.train", "plants.eval"),
        ("asl_alphabet_train", "asl_alphabet_test"),
        ("entrenamiento", "validación"),
        ("训练集", "测试集"),
        ("Trainingsdaten", "Testdaten"),
        ("training", "validatie"),
        ("träning", "test"),
        ("Development", "Evaluation"),
        ("finetune", "test"),
    ],
)
def test_a_split_is_read_in_every_spelling(make_images, train, val):
    root = make_images(spread(train) | spread(val, n=1))
    assert sides_of(root) == {"train": {"cat": 2, "dog": 2}, "val": {"cat": 1, "dog": 1}}


@pytest.mark.parametrize(
    ("names", "sides"),
    [
        (["train", "val", "test"], {"train": "train", "val": "val"}),
        (["train", "test"], {"train": "train", "test": "val"}),
        (["train", "val", "holdout"], {"train": "train", "val": "val"}),
        (["Training", "Test", "test-multiple_fruits"], {"Training": "train", "Test": "val"}),
        (["seg_train", "seg_test", "seg_pred"], {"seg_train": "train", "seg_test": "val"}),
        (["cat_train", "cat_test", "dog_train", "dog_test"], {}),
        (["passenger_train", "test_tube"], {}),
        (["tr", "cat"], {}),
        (["learn", "bus"], {}),
    ],
)
def test_a_word_is_a_side_where_its_siblings_say_so(names, sides):
    assert choose_sides(names) == sides


@pytest.mark.parametrize("names", [("train", "bus"), ("valid", "invalid"), ("test", "control")])
def test_classes_may_be_called_like_splits(make_images, names):
    root = make_images(dict.fromkeys(names, 4))
    assert set(sides_of(root)["train"]) == set(names)


@pytest.mark.parametrize(
    "layout",
    [
        spread("archive/Potato", n=4),
        spread("EuroSAT/2750", n=4),
        spread("images", n=4),
        spread("a/b/c/d", n=4),
    ],
)
def test_a_folder_alone_is_looked_through_and_told(make_images, layout):
    root = make_images(layout)
    assert set(sides_of(root)["train"]) == {"cat", "dog"}
    notes = load_splits(root, DataConfig(), seed=0).notes
    assert any(note.startswith("Read from ") for note in notes)


def test_levels_between_a_split_and_its_classes_are_looked_through(make_images):
    root = make_images(
        spread("top/seg_train/seg_train") | spread("top/seg_test/seg_test", n=1) | {"top/pred": 1}
    )
    assert sides_of(root) == {"train": {"cat": 2, "dog": 2}, "val": {"cat": 1, "dog": 1}}
    note = load_splits(root, DataConfig(), seed=0).note
    assert note == "by folder: top/seg_test/, top/seg_train/; not used: pred/"


def test_one_folder_for_the_images_of_each_class_is_no_class(make_images):
    root = make_images(spread("train", classes=("n01/images", "n02/images"), n=4))
    assert set(sides_of(root)["train"]) == {"n01", "n02"}


def test_helper_folders_without_images_are_passed_over_and_counted(make_images):
    root = make_images(spread("images", n=4))
    for name in ("meta/classes.txt", "Annotation/cat/0"):
        (root / name).parent.mkdir(parents=True)
        (root / name).write_text("<xml>")
    (root / "Thumbs.db").touch()
    (root / "__MACOSX" / "cat").mkdir(parents=True)
    (root / "__MACOSX" / "cat" / "._0.png").touch()
    splits = load_splits(root, DataConfig(), seed=0)
    assert splits.val.classes == ("cat", "dog")
    assert "meta/ holds no images (1 .txt) and is not read." in splits.notes
    assert "Annotation/ holds no images (1 without a suffix) and is not read." in splits.notes
    assert any(note.startswith("2 hidden files") for note in splits.notes)


@pytest.mark.parametrize(
    ("layout", "seen"),
    [
        (spread("A", "B"), "the same folders (cat/ and dog/) repeat below A/ and B/"),
        (spread("color", "gray", "seg"), "repeat below color/, gray/ and seg/"),
        (spread("fold0", "fold1"), "repeat below fold0/ and fold1/"),
        (spread("cat", "dog", classes=("train", "test")), "splits lie below the classes"),
        (spread("cast/cast/train", "cast/cast/test", "small"), "splits lie below the classes"),
        (
            spread(".", classes=("cat_train", "cat_test", "dog_train", "dog_test")),
            "look like splits",
        ),
        ({"my train pics": 2, "final test pics": 2}, "look like splits"),
        (spread("train") | {"other": 2}, "train/ looks like splits"),
        ({"no": 2, "yes": 2, "all/no": 2, "all/yes": 2}, "all/ holds folders called like those"),
        ({"images": 2, "masks": 2}, "images/ and masks/ look like parts of another kind"),
        ({"HAM_images_part_1": 2, "HAM_images_part_2": 2}, "look like parts of another kind"),
        ({"img_batch_01": 2, "img_batch_02": 2}, "look like parts of another kind"),
        ({"fold1": 2, "fold2": 2, "fold3": 2}, "look like parts of another kind"),
        (spread("amazon/images", "dslr/images"), "(cat/ and dog/) repeat below amazon/ and dslr/"),
        (spread("train") | {"test": 2}, "2 images but no class folders, so they have no labels"),
        (spread("train") | {"val/images": 2}, "val/images: 2 images but no class folders"),
        (spread("x_train/x_train") | {"x_test/x_test": 2}, "x_test/x_test: 2 images but no class"),
        ({"train/images": 2, "valid/images": 2}, "train/images: 2 images but no class folders"),
        ({"cat": 3}, "only one class, cat: there is nothing to tell apart"),
        ({"train/cat": 3, "val/cat": 3}, "only one class, cat"),
    ],
)
def test_folders_that_are_no_classes_are_refused_with_what_is_seen(make_images, layout, seen):
    root = make_images(layout)
    message = refusal(root)
    assert seen in message
    assert any(
        advice in message
        for advice in ("pass --data", "pass a CSV", "a CSV path,label", "pass the")
    )


def test_a_flat_side_beside_one_with_classes_says_which_to_pass(make_images):
    root = make_images(spread("Train", classes=("0", "1")) | {"Test": 3})
    (root / "Test.csv").touch()
    message = refusal(root)
    assert f"pass --data {root / 'Train'} to split that one here" in message
    assert str(root / "Test.csv") in message
    listing = list_source(root, labelled=False)  # to calibrate with, its images will do
    assert Counter(entry.side for entry in listing.entries) == {"train": 4, "val": 3}


def test_labels_in_file_names_are_named(make_images):
    root = make_images({"images": 3})
    for path in list((root / "images").iterdir()):
        path.rename(path.with_name(f"Abyssinian_{path.name}"))
    assert "(their names begin with Abyssinian, which is not read as a label)" in refusal(root)


def test_calibration_folders_may_hold_one_class_or_none(make_images):
    root = make_images({"one/cat": 2, "flat": 2} | spread("both/A", "both/B"))
    for name, count in (("one", 2), ("flat", 2), ("both", 8)):
        assert len(list_source(root / name, labelled=False).entries) == count


def test_classes_of_one_side_alone_are_told(make_images):
    root = make_images(spread("train", classes=("a", "b", "c")) | spread("val", classes=("a", "d")))
    notes = load_splits(root, DataConfig(), seed=0).notes
    assert "Classes with images on the training side alone: b, c." in notes
    assert "Classes with images on the evaluation side alone: d." in notes


def test_an_evaluation_set_of_other_classes_is_legitimate_unless_they_look_like_splits(make_images):
    root = make_images(spread("a/train", classes=("x", "y")) | spread("a/val", classes=("z", "w")))
    assert set(sides_of(root / "a")["val"]) == {"z", "w"}
    make_images(spread("a/train", classes=("passenger_train",)))  # a class like others
    assert "passenger_train" in sides_of(root / "a")["train"]
    make_images(
        spread("b/train", classes=("my train", "q train"))
        | spread("b/val", classes=("q test", "z"))
    )
    message = "classes of one side alone look like splits: "
    assert message in refusal(root / "b")


# Names


@pytest.mark.parametrize("pair", [("Healthy", "healthy"), ("Late blight", "Late_blight")])
def test_one_class_under_two_spellings_on_two_sides_is_refused(make_images, pair):
    root = make_images({f"train/{pair[0]}": 2, "train/x": 2, f"val/{pair[1]}": 2, "val/x": 2})
    assert "differ in case or separators alone; give them one name" in refusal(root)


def test_classes_that_differ_in_case_alone_on_one_side_are_told(make_images):
    root = make_images({"A": 4, "a": 4, "b": 4})
    splits = load_splits(root, DataConfig(), seed=0)
    assert splits.val.classes == ("A", "a", "b")
    note = "Class folders that differ in case alone count as different classes: A and a."
    assert note in splits.notes


def test_unicode_forms_are_one_name(make_images):
    nfd = unicodedata.normalize("NFD", "grün")
    root = make_images({"train/grün": 2, "train/rot": 2, f"val/{nfd}": 2, "val/rot": 2})
    splits = load_splits(root, DataConfig(), seed=0)
    assert splits.val.classes == ("grün", "rot")
    assert [sample.label for sample in splits.val.samples] == [0, 0, 1, 1]
    assert load_splits(root, DataConfig(), 0, (nfd, "rot")).val.classes == ("grün", "rot")
    make_images({f"train/{nfd}": 2})
    assert "two folders are called grün, in two Unicode forms" in refusal(root)


# Files


def test_every_suffix_on_the_list_is_decoded(tmp_path):
    """One list says what is an image, another one what can be decoded."""
    pixels = np.full((16, 16, 3), (200, 90, 30), np.uint8)
    kinds = {".jpe": "JPEG", ".jif": "JPEG", ".jpf": "JPEG2000", ".j2c": "JPEG2000"}
    for suffix in sorted(readable()):
        path = tmp_path / f"image{suffix}"
        kind = kinds.get(suffix) or Image.registered_extensions()[suffix]
        image = Image.fromarray(pixels)
        image.convert("L" if suffix == ".pgm" else "1" if suffix == ".pbm" else "RGB").save(
            path, "JPEG" if kind == "MPO" else kind
        )
        assert open_image(path).size == (16, 16), suffix
    assert readable() <= set(IMAGE_SUFFIXES)
    assert {".jfif", ".jpe", ".ppm", ".pgm", ".tif"} <= readable()
    assert (".avif" in readable()) == features.check("avif")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "PPM"])
def test_a_file_without_a_telling_suffix_is_judged_by_its_bytes(tmp_path, kind):
    for name in ("image", "image.0001", "image.jpg_large"):
        Image.new("RGB", (8, 8)).save(tmp_path / name, kind)
        assert is_image_file(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "content"),
    [("names.txt", b"P6 cars"), ("bmw.list", b"BMW X5, and so on and on"), ("x", b""), (".x", b"")],
)
def test_text_that_begins_like_an_image_is_none(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    assert not is_image_file(tmp_path / name)


def test_no_file_is_left_out_uncounted(make_images):
    root = make_images({"cat": 4, "dog": 4, ".eel": 3})
    for index in range(5):
        (root / "cat" / f"{index}.heic").touch()
    (root / "dog" / "0.npy").touch()
    (root / "dog" / "._0.png").touch()
    (root / "README").touch()
    splits = load_splits(root, DataConfig(), seed=0)
    assert splits.note.endswith(
        "; not read: 5 .heic, 1 without a suffix, 1 .npy, 3 images in the hidden folder .eel"
    )
    assert (
        "Files that are not read: 5 .heic, 1 without a suffix, 1 .npy; to use the .heic .npy "
        "files, convert them."
    ) in splits.notes
    assert any(".eel has 3 images, which are not read" in note for note in splits.notes)
    assert any(note.startswith("4 hidden files") for note in splits.notes)


def test_a_class_of_files_that_cannot_be_read_is_refused_with_their_kind(make_images):
    root = make_images({"cat": 1, "dog": 1, "eel": 0})
    (root / "eel" / "0.heic").touch()
    assert "class folder without images (it has 1 .heic, which must be converted" in refusal(root)


def test_facts_say_who_splits_and_who_orders(make_images, tmp_path):
    root = make_images(spread("train", "val"))
    facts = {fact.name: fact for fact in load_splits(root, DataConfig(), seed=0).facts}
    assert str(facts["split"].origin).startswith("split folders (by folder: train/, val/")
    assert facts["classes"].value == ("cat", "dog")
    assert facts["classes"].origin.kind == "folder names"
    (tmp_path / "names.json").write_text('{"dog": 0, "cat": 1}')
    config = DataConfig(labels=str(tmp_path / "names.json"))
    facts = {fact.name: fact for fact in load_splits(root, config, seed=0).facts}
    assert facts["classes"].value == ("dog", "cat")
    assert str(facts["classes"].origin) == "labels file (names.json)"
    assert not any(
        fact.name == "classes" for fact in load_splits(root, DataConfig(), 0, ("cat", "dog")).facts
    )


@pytest.mark.parametrize(
    ("names", "others"),
    [
        (("0", "1", "10", "2"), {("0", "1", "2", "10")}),
        (("class1", "class10", "class2"), {("class1", "class2", "class10")}),
        (("Bee", "ant", "cat"), {("ant", "Bee", "cat")}),
        (("00", "01", "02"), set()),
        (("ant", "bee", "cat"), set()),
    ],
)
def test_orders_that_a_training_script_may_have_used_are_listed(make_images, names, others):
    root = make_images(dict.fromkeys(names, 2))
    splits = load_splits(root, DataConfig(val_fraction=0.5), seed=0)
    assert splits.val.classes == names
    assert set(splits.other_orders) == others
    assert load_splits(root, DataConfig(val_fraction=0.5), 0, names).other_orders == ()


@pytest.mark.parametrize(
    "names",
    [
        ("mask", "no_mask"),
        ("raw", "cooked"),
        ("photo", "drawing"),
        ("label_0", "label_1", "label_2"),
        ("train", "truck", "test_tube", "valley"),
        ("tr", "te", "de", "fr"),
        ("rock", "paper", "scissors"),
        ("class_1", "class_2"),
    ],
)
def test_classes_may_be_called_like_anything_else(make_images, names):
    root = make_images(dict.fromkeys(names, 4))
    assert set(sides_of(root)["val"]) == set(names)
    assert not any("parts of one set" in note for note in notes_of(root))


def test_numbered_parts_that_may_be_classes_are_told(make_images):
    root = make_images({"part_1": 3, "part_2": 3})
    assert any("part_1/ and part_2/ are taken as classes" in note for note in notes_of(root))
    root = make_images({"cat": 3, "dog": 3, "unlabeled": 3})
    assert any("unlabeled/ is taken as a class, though" in note for note in notes_of(root))


@pytest.mark.parametrize("layout", [spread("data/train", "data/val"), spread("images", n=4)])
def test_folders_without_images_beside_the_data_are_passed_over_and_told(make_images, layout):
    root = make_images(layout)
    (root / "src").mkdir()
    (root / "src" / "train.py").write_text("")
    assert set(sides_of(root)["val"]) == {"cat", "dog"}
    assert any("src/ holds no images (1 .py)" in note for note in notes_of(root))


def test_an_empty_class_or_side_is_no_helper(make_images):
    root = make_images({"cat/p1": 2, "cat/p2": 2})
    (root / "dog").mkdir()
    assert "dog: class folder without images" in refusal(root)
    (root / "dog").rename(root / "val")
    (root / "cat").rename(root / "train")
    assert "val: no class folders in it" in refusal(root)
    (root / "train" / "p1").rename(root / "rock")
    (root / "train" / "p2").rename(root / "scissors")
    (root / "train").rmdir()
    (root / "val").rename(root / "paper")
    (root / "paper" / "1.heic").write_bytes(b"")
    assert "paper: class folder without images (it has 1 .heic" in refusal(root)


def test_classes_of_which_none_is_evaluated_are_not_learnt(make_images):
    root = make_images({"train/cats": 2, "train/dogs": 2, "val/cat": 1, "val/dog": 1})
    splits = load_splits(root, DataConfig(), seed=0)
    with pytest.raises(DataError, match=r"no class is on both sides \(training: cats, dogs; "):
        require_training_classes(splits)


def notes_of(root: Path) -> tuple[str, ...]:
    return load_splits(root, DataConfig(), seed=0).notes


def test_images_of_a_split_that_is_not_used_are_counted(tmp_path):
    from support.known_models import draw_images

    sides = {"train": 2, "val": 2, "test": 3}
    data = draw_images(
        tmp_path / "data",
        {f"{side}/{name}": (n, i) for side, n in sides.items() for i, name in enumerate("ab")},
    )
    (note,) = [one for one in list_source(data).notes if "not used" in one]
    assert note == "test/ is not used: its 6 images neither train nor evaluate."
    rows = [(path, path.parent.name, path.parts[-3]) for path in sorted(data.rglob("*.png"))]
    table = tmp_path / "list.csv"
    table.write_text("path,label,split\n" + "".join(f"{p},{c},{s}\n" for p, c, s in rows))
    (note,) = [one for one in list_source(table).notes if "not used" in one]
    assert note == "The split 'test' is not used: its 6 images neither train nor evaluate."
