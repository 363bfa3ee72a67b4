from support.refusals import refusal

from edge_convnext.core.recipe import Recipe, recipe_folder, recipe_names


def test_a_batch_that_fills_the_memory_is_refused_wherever_it_is_stated():
    wide = {"load": {"in_channels": 64}, "preprocess": {"image_size": 1024}}
    for section in ("train", "export", "recover", "evaluate"):
        assert "takes" in refusal(Recipe, **wide, **{section: {"batch": 64}})
        assert Recipe(**wide, **{section: {"batch": 16}}).load.in_channels == 64
    assert "takes" in refusal(Recipe, **wide, benchmark={"batches": [1, 64]})


def test_a_field_that_nobody_states_has_no_origin():
    recipe = Recipe(data={"source": "images"})
    assert recipe.origin("data", "labels") is None
    assert recipe.origin("data", "source").kind == "recipe"
    recipe._stated = type(recipe._stated)("a/potato.yaml", {"data.source": "--data"})
    assert str(recipe.origin("data", "source")) == "flag (--data)"
    assert str(recipe.origin("data", "val_fraction")) == "recipe (potato.yaml)"
    assert recipe == Recipe(data={"source": "images"})  # who says so decides no result


def test_the_shipped_recipes_are_those_of_the_folder():
    names = recipe_names()
    assert "potato" in names
    assert list(names) == sorted(names)
    assert all((recipe_folder() / f"{name}.yaml").is_file() for name in names)
