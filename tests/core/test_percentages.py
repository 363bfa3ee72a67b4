"""Percentage points are told back as they were stated, and fractions are recognised."""

import pytest

from edge_convnext.core.errors import RecipeError
from edge_convnext.core.percentages import meant_per_cent, show_pp
from edge_convnext.networks.recipe_file import make_recipe


@pytest.mark.parametrize(
    ("value", "shown"),
    [(1.0, "1.00"), (0.25, "0.25"), (0.005, "0.005"), (0.125, "0.125"), (0.0, "0.00")],
)
def test_a_budget_is_shown_with_the_digits_that_were_stated(value, shown):
    assert show_pp(value) == shown


def test_fractions_are_no_percentage_points():
    assert "did you mean 0.5?" in meant_per_cent(0.005)
    assert meant_per_cent(0.0) is None
    assert meant_per_cent(0.05) is None
    assert meant_per_cent(5e-324) is not None


@pytest.mark.parametrize("field", ["max_drop_pp", "max_class_drop_pp"])
def test_a_recipe_that_states_a_fraction_is_refused_with_what_was_meant(field):
    with pytest.raises(RecipeError, match=r"did you mean 0\.5\?"):
        make_recipe({"evaluate": {field: 0.005}}, "recipe.yaml")
