import json
from pathlib import Path

from edge_convnext.networks.recipe_file import load_recipe


def test_recipes_are_listed_with_what_they_are_for(call):
    _, out, _ = call("recipes", "--json")
    listing = json.loads(out)
    names = {row["name"]: row for row in listing["recipes"]}
    assert names["potato"]["image_size"] == 128
    assert Path(listing["folder"]).is_dir()
    _, text, _ = call("recipes")
    assert load_recipe("demo").about.split()[0] in text
