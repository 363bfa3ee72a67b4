import pytest

from edge_convnext.build.tuning.stated import as_stated, why_stated_otherwise
from edge_convnext.networks.plans import Plan
from edge_convnext.networks.recipe_file import make_recipe

PLAN = Plan("linear", "inner")


def test_what_is_not_combined_is_taken_from_the_recipe():
    recipe = make_recipe({"export": {"gelu": "tanh", "form": "conv"}})
    assert as_stated(recipe, PLAN, by_role=False) == Plan("linear", "inner", gelu="tanh")
    assert as_stated(recipe, PLAN, by_role=True) == Plan("conv", "inner", gelu="tanh")
    ranges = make_recipe({"quantize": {"activations_range_estimator": "minmax"}})
    assert as_stated(ranges, PLAN, by_role=False).range_estimator == "minmax"
    assert as_stated(make_recipe({}), PLAN, by_role=True) == PLAN


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({}, None),
        ({"export": {"form": "linear"}}, None),
        ({"export": {"form": "conv"}}, "the recipe states the form conv"),
        ({"quantize": {"placement": "all"}}, "the recipe states the placement all"),
        ({"quantize": {"activation_type": "uint8"}}, "the recipe states the activation_type uint8"),
        ({"export": {"gelu": "tanh"}}, "the recipe states the gelu tanh"),
    ],
)
def test_a_plan_that_a_build_would_not_make_says_why(fields, reason):
    assert why_stated_otherwise(make_recipe(fields), PLAN) == reason
