"""What a build works on: the demo or a user's own, and the images that calibrate it."""

from pathlib import Path

import pytest

from edge_convnext.build.inputs import find_calibration, is_demo, prepare_inputs
from edge_convnext.core.cache import Cache
from edge_convnext.core.errors import DataError, RecipeError
from edge_convnext.core.progress import untracked
from edge_convnext.data.splits import load_splits
from edge_convnext.networks.recipe_file import load_recipe, make_recipe


def recipe_of(**fields):
    return make_recipe({"quantize": {"subset_size": 4}, **fields})


def find(recipe, splits, evaluation=None):
    return find_calibration(recipe, splits, evaluation, lambda _: {}, untracked)


def test_the_demo_has_neither_weights_nor_data_of_a_user():
    assert is_demo(load_recipe("demo"))
    assert not is_demo(load_recipe("demo", {"load.weights": "own.pth"}))
    assert not is_demo(load_recipe("demo", {"data.source": "images"}))


def test_calibration_is_drawn_from_the_training_side(make_images):
    folder = make_images({"train/a": 4, "train/b": 4, "val/a": 2, "val/b": 2})
    recipe = recipe_of(data={"source": str(folder)})
    splits = load_splits(folder, recipe.data, 0)
    found, unread = find(recipe, splits, splits.val)
    assert unread == 0
    assert len(found.images) == 4
    assert {one.path.parts[-3] for one in found.images.samples} == {"train"}
    assert sorted(one.path.parent.name for one in found.images.samples) == ["a", "a", "b", "b"]


def test_a_stated_set_is_taken_whole_in_its_order_and_drawn_from_where_it_is_larger(make_images):
    folder = make_images({"own": 4, "many/a": 9, "many/b": 9})
    for name, count in (("own", 4), ("many", 4)):
        recipe = recipe_of(data={"calibration": str(folder / name)})
        found, _ = find(recipe, None)
        assert len(found.images) == count
    paths = [one.path.name for one in find(recipe_of(
        data={"calibration": str(folder / "own")}), None)[0].images.samples]  # fmt: skip
    assert paths == sorted(paths)


def test_without_data_there_is_no_set():
    assert find(recipe_of(), None) == (None, 0)


def test_an_evaluation_side_alone_calibrates_no_int8(make_images):
    folder = make_images({"val/a": 3, "val/b": 3})
    recipe = recipe_of(data={"source": str(folder)})
    splits = load_splits(folder, recipe.data, 0)
    assert splits.train is None
    with pytest.raises(DataError, match=r"an evaluation side alone.* pass --calibration DIR"):
        find(recipe, splits, splits.val)
    assert find(recipe_of(data={"source": str(folder)}, precision="fp32"), splits) == (None, 0)


def test_images_to_evaluate_do_not_calibrate(make_images):
    folder = make_images({"val/a": 3, "val/b": 3})
    recipe = recipe_of(data={"source": str(folder), "calibration": str(folder / "val")})
    splits = load_splits(folder, recipe.data, 0)
    with pytest.raises(DataError, match="calibration"):
        find(recipe, splits, splits.val)


def test_a_build_without_weights_is_no_build(tmp_path: Path):
    recipe = recipe_of(data={"source": str(tmp_path)})
    with pytest.raises(RecipeError, match="--weights"):
        prepare_inputs(recipe, Cache(tmp_path / "cache"), {}, untracked)
