"""`recipe.yaml`: the recipe of a build as a file that `build --recipe` takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import yaml

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import JsonValue

__all__ = ["RECIPE_FILE", "recipe_text"]

RECIPE_FILE = "recipe.yaml"


def recipe_text(recipe: Mapping[str, JsonValue]) -> str:
    """A recipe as YAML, in the order of its fields.

    Args:
        recipe: Fields, as a report has them.
    """
    return yaml.safe_dump(dict(recipe), sort_keys=False, allow_unicode=True, width=1000)
