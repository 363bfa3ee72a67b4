"""Which forms of the float are made: the planned, the user's own, and those that may be faster."""

import pytest

from edge_convnext.build.float_forms import list_forms, rival_forms, unraced_forms
from edge_convnext.networks.recipe_file import make_recipe

BOTH = ("onnxruntime", "openvino")
PLANS = {
    "onnxruntime": {"form": "nhwc", "placement": "inner"},
    "openvino": {"form": "conv", "placement": "inner"},
}


def recipe(**fields):
    return make_recipe({"model": "convnextv2_atto", "plans": PLANS, **fields})


def test_every_form_that_may_be_the_fastest_is_made_and_those_of_shipped_plans_too():
    forms = list_forms(recipe(), BOTH)
    assert forms[:3] == ["raw", "linear", "conv"]
    assert {"nhwc", "conv_moments"} <= set(forms)
    assert len(set(forms)) == len(forms)
    assert unraced_forms(recipe(), BOTH) == ()


def test_rivals_are_neither_planned_nor_what_users_have():
    assert rival_forms(recipe(), BOTH)[0] == "linear"
    assert not {"raw", "conv", "nhwc"} & set(rival_forms(recipe(), BOTH))
    assert "nhwc" in rival_forms(recipe(), ("openvino",))


def test_of_the_decision_alone_the_planned_forms_are_made_and_the_others_are_told():
    quick = recipe(benchmark={"scope": "decision"})
    assert list_forms(quick, BOTH) == ["nhwc", "conv"]
    assert unraced_forms(quick, BOTH) == tuple(
        form for form in list_forms(recipe(), BOTH) if form not in ("nhwc", "conv")
    )
    assert rival_forms(quick, BOTH) == ()


def test_without_folds_there_is_the_raw_form_alone():
    bare = {"fold": {"enabled": False}, "plans": {}}
    assert list_forms(recipe(**bare), BOTH) == ["raw"]


@pytest.mark.parametrize("of", [list_forms, rival_forms, unraced_forms])
def test_without_a_runtime_there_is_none(of):
    assert list(of(recipe(), ())) == []
