import yaml

from edge_convnext.core.recipe import Recipe
from edge_convnext.networks.recipe_file import load_recipe
from edge_convnext.report.recipe_file import RECIPE_FILE, recipe_text


def test_the_file_is_read_back_as_the_same_recipe(tmp_path):
    recipe = Recipe(model="pico", seed=7)
    path = tmp_path / RECIPE_FILE
    path.write_text(recipe_text(recipe.model_dump(mode="json")), encoding="utf-8")
    again = load_recipe(path)
    assert again.model_dump() == load_recipe(path).model_dump()
    assert (again.seed, again.precision) == (7, recipe.precision)


def test_fields_keep_their_order_and_their_letters():
    text = recipe_text({"name": "straße", "about": "x" * 300, "seed": 1})
    assert list(yaml.safe_load(text)) == ["name", "about", "seed"]
    assert "straße" in text
    assert len(text.splitlines()) == 3
