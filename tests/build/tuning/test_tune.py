from dataclasses import replace

import pytest

from edge_convnext.build.tuning.tune import TuneResult, tuned_recipe
from edge_convnext.core.errors import RecipeError
from edge_convnext.networks.plans import Plan, make_plan, plan_fields, plan_for, shipped_plans
from edge_convnext.networks.recipe_file import make_recipe


def test_a_tuned_recipe_builds_the_winners():
    plan = Plan("conv_moments", "inner", "uint8")
    result = TuneResult("quick", 1, (), {"openvino": plan}, {}, "machine", 0.0, 1.0)
    recipe = tuned_recipe(make_recipe({}), result)
    assert plan_for(recipe, "openvino") == plan
    again = make_recipe(recipe.model_dump(mode="json"))
    assert plan_for(again, "openvino") == plan
    assert plan_for(recipe, "onnxruntime") == shipped_plans(recipe.model)["onnxruntime"]
    settings = (("ENABLE_CPU_PINNING", "NO"),)
    odd = Plan("linear", "inner", "int8", "qdq", "tanh", "minmax", settings)
    assert make_plan(plan_fields(odd)) == odd
    recipe = tuned_recipe(make_recipe({}), replace(result, winners={"onnxruntime": odd}))
    assert plan_for(make_recipe(recipe.model_dump(mode="json")), "onnxruntime") == odd


def test_the_command_line_goes_before_a_plan():
    recipe = make_recipe({"export": {"form": "linear"}, "quantize": {"placement": "weighted"}})
    plan = plan_for(recipe, "onnxruntime")
    assert (plan.form, plan.placement, plan.format) == ("linear", "weighted", "qdq")
    unfolded = recipe.model_copy(update={"fold": recipe.fold.model_copy(update={"enabled": False})})
    assert plan_for(unfolded, "openvino").form == "raw"


def test_tune_finds_int8_plans_only():
    from edge_convnext.build.tuning.tune import tune
    from edge_convnext.core.cache import Cache

    with pytest.raises(RecipeError, match="the precision is fp32"):
        tune(make_recipe({"precision": "fp32"}), "quick", Cache("unused"))
    with pytest.raises(RecipeError, match=r"set fold\.enabled to true"):
        tune(make_recipe({"fold": {"enabled": False}}), "quick", Cache("unused"))


def test_a_family_that_folds_nothing_is_tuned_without_folds(monkeypatch):
    from edge_convnext.build.tuning import tune as module
    from edge_convnext.core.cache import Cache

    class BegunError(Exception):
        pass

    def prepare(*_args, **_options):
        raise BegunError

    monkeypatch.setattr(module, "prepare", prepare)
    recipe = make_recipe({"model": "conv2former_n", "fold": {"enabled": False}})
    with pytest.raises(BegunError):
        module.tune(recipe, "quick", Cache("unused"))
