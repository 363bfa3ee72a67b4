"""`edge-convnext recipes`."""

from __future__ import annotations

from typing import Any

from edge_convnext.cli.console import JsonFlag, VerboseFlag, print_json

__all__ = ["recipes"]


def recipes(json: JsonFlag = False, verbose: VerboseFlag = False) -> None:
    """List the shipped recipes and what each one states."""
    from edge_convnext.core.recipe import recipe_folder, recipe_names
    from edge_convnext.networks.recipe_file import load_recipe

    rows: list[dict[str, Any]] = []
    for name in recipe_names():
        recipe = load_recipe(name)
        size = recipe.preprocess.image_size
        rows.append(
            {"name": name, "model": recipe.model, "image_size": size, "about": recipe.about}
        )
    if json:
        print_json({"folder": str(recipe_folder()), "recipes": rows})
        return
    from rich.console import Console

    from edge_convnext.cli.views.recipes import print_recipes

    print_recipes(rows, recipe_folder(), Console())
