"""What `edge-convnext train` learns from, and what it says of it."""

import pytest

from edge_convnext.build.training_inputs import prepare_training, training_settings
from edge_convnext.core.artifacts import Preprocess
from edge_convnext.core.errors import ArtifactError, DataError, RecipeError, TrainingError
from edge_convnext.core.progress import untracked
from edge_convnext.networks.recipe_file import make_recipe

COUNTS = {f"{side}/{name}": 2 for side in ("train", "val") for name in ("cat", "dog")}


def recipe_of(**fields):
    return make_recipe({}, "here", {name.replace("__", "."): one for name, one in fields.items()})


def test_a_training_without_data_is_told_what_to_pass():
    with pytest.raises(RecipeError, match="nothing to train on: pass --data DIR"):
        prepare_training(recipe_of(), untracked)


def test_weights_among_the_images_are_refused_and_those_beside_are_not(make_images, tmp_path):
    recipe = recipe_of(data__source=str(make_images(COUNTS)))
    with pytest.raises(ArtifactError, match="outside of the data"):
        prepare_training(recipe, untracked, tmp_path / "images" / "w.safetensors")
    prepare_training(recipe, untracked, tmp_path / "w.safetensors")


@pytest.mark.parametrize("name", ["w.pth", "t2"])
def test_a_file_that_weights_are_not_saved_in_is_refused_before_the_data_is_read(tmp_path, name):
    (tmp_path / "t2").mkdir()
    recipe = recipe_of(data__source=str(tmp_path / "no data"))
    with pytest.raises(TrainingError, match=r"named \*\.safetensors; pass --out .*safetensors\Z"):
        prepare_training(recipe, untracked, tmp_path / name)


def test_both_sides_are_looked_at_and_read_at_the_trainings_size(make_images):
    shown = []

    def track(items, what, total=None):
        shown.append(total)
        return items

    recipe = recipe_of(data__source=str(make_images(COUNTS)), train__image_size=64)
    splits, preprocess = prepare_training(recipe, track)
    assert preprocess == Preprocess(image_size=64)
    assert (len(splits.train), len(splits.val)) == (4, 4)
    assert all(one.pixels for one in (*splits.train.samples, *splits.val.samples))
    assert 8 in shown


@pytest.mark.parametrize("side", ["train", "val"])
def test_a_bad_image_of_either_side_ends_it_or_is_left_out(make_images, side):
    root = make_images(COUNTS)
    (root / side / "cat" / "0.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"0\.png: .*--skip-bad-images"):
        prepare_training(recipe_of(data__source=str(root)), untracked)
    recipe = recipe_of(data__source=str(root), data__skip_bad_images=True)
    splits, _ = prepare_training(recipe, untracked)
    assert len(splits.train) + len(splits.val) == 7
    assert len(splits.skipped) == 1


def test_a_training_side_of_one_class_is_refused(make_images):
    root = make_images({"train/cat": 2, "val/cat": 1, "val/dog": 1})
    with pytest.raises(DataError, match="images of one class alone"):
        prepare_training(recipe_of(data__source=str(root)), untracked)


def test_settings_are_told_with_who_decided_them(make_images):
    root = str(make_images(COUNTS))
    recipe = recipe_of(data__source=root, train__image_size=64)
    splits, preprocess = prepare_training(recipe, untracked)
    settings, notes = training_settings(recipe, splits, preprocess)
    told = {one.name: (one.value, str(one.origin)) for one in settings}
    assert told["classes"][0] == ("cat", "dog")
    assert told["image_size"] == (64, str(recipe.origin("train", "image_size")))
    assert not {"in_channels", "licence"} & told.keys()
    assert notes[: len(splits.notes)] == tuple(dict.fromkeys(splits.notes))


def test_a_size_that_nobody_states_is_the_default_and_a_note_is_told_once(make_images):
    recipe = recipe_of(data__source=str(make_images(COUNTS)))
    splits, preprocess = prepare_training(recipe, untracked)
    twice = type(splits)(splits.train, splits.val, "given", notes=("odd", "odd"))
    settings, notes = training_settings(recipe, twice, preprocess)
    (size,) = (one for one in settings if one.name == "image_size")
    assert (size.value, size.origin.kind) == (preprocess.image_size, "default")
    assert notes.count("odd") == 1
