from dataclasses import replace

import pytest

from edge_convnext.core.errors import RecipeError
from edge_convnext.core.product_groups import Regrouping
from edge_convnext.core.recipe import Recipe
from edge_convnext.networks.plans import (
    choose_batches,
    list_gpu_plans,
    make_plan,
    plan_fields,
    plan_for,
    plan_for_gpu,
)
from edge_convnext.networks.recipe_file import make_recipe


def labels(fields, targets=("rtx",)):
    recipe = make_recipe({"targets": list(targets), **fields})
    return [f"{one.precision} {one.label}" for one in list_gpu_plans(recipe, targets)]


def test_int8_comes_with_the_fp16_that_it_has_to_beat():
    assert labels({}) == [
        "int8 late_mixed.blocks.b1",
        "int8 late_product_mixed.blocks.b8",
        "fp16 weights_expand.b1",
        "fp16 product_expand.b8",
    ]
    assert labels({"precision": "fp16"}) == ["fp16 weights_expand.b1", "fp16 product_expand.b8"]
    assert labels({"precision": "fp32", "engine": {"batches": [2]}}) == ["fp32 product_expand.b2"]
    assert labels({}, ("cpu",)) == []


@pytest.mark.parametrize(
    ("fields", "batches"),
    [
        ({"targets": ["tensorrt"]}, (1, 8)),
        ({}, (1,)),
        ({"export": {"batch": 4}}, (4,)),
        ({"export": {"batch": 4}, "engine": {"batches": [32, 1, 32]}}, (1, 32)),
    ],
)
def test_one_batch_size_is_made_where_nobody_named_a_gpu(fields, batches):
    assert choose_batches(make_recipe(fields)) == batches


def test_a_plan_of_the_recipe_holds_from_its_batch_size_on():
    plans = {"int8": {"8": {"form": "product_mixed", "placement": "late_blocks"}}}
    recipe = make_recipe({"engine": {"plans": plans}})
    forms = [plan_for_gpu(recipe, "int8", batch).form for batch in (1, 4, 8, 64)]
    assert forms == ["late_mixed", "late_product_mixed", "product_mixed", "product_mixed"]
    assert plan_for_gpu(recipe, "fp16", 8).form == "product_expand"
    assert make_recipe(recipe.model_dump(mode="json")) == recipe


def test_what_is_stated_for_every_runtime_goes_first():
    stated = {"export": {"form": "linear"}, "quantize": {"placement": "inner"}}
    plan = plan_for_gpu(make_recipe(stated), "int8", 1)
    assert (plan.form, plan.placement) == ("linear", "inner")
    unfolded = plan_for_gpu(make_recipe({"fold": {"enabled": False}}), "int8", 8)
    assert (unfolded.form, unfolded.placement) == ("raw", "blocks")


def test_a_family_by_roles_has_its_portable_plan_and_forms_only_where_they_are_stated():
    model = {"model": "conv2former_n"}
    usual = plan_for_gpu(make_recipe(model), "int8", 1)
    assert (usual.form, usual.placement) == ("raw", "fused")
    older = plan_for_gpu(make_recipe(model), "int8", 1, "tensorrt8")
    assert (older.form, older.placement) == ("raw", "fused")  # the shipped one is of ConvNeXt
    tuned = {"int8": {"1": {"form": "raw", "placement": "dense"}}}
    found = plan_for_gpu(make_recipe({**model, "engine": {"plans": tuned}}), "int8", 1)
    assert (found.form, found.placement) == ("raw", "dense")
    stated = make_recipe({**model, "export": {"form": "linear"}})
    assert plan_for_gpu(stated, "int8", 1).form == plan_for(stated, "openvino").form == "linear"
    assert plan_for(make_recipe(model), "openvino").form == "raw"


@pytest.mark.parametrize(
    ("plans", "message"),
    [
        ({"int8": {"1": {"form": "mixed"}}}, "the plan int8 1 needs a placement"),
        (
            {"fp16": {"1": {"form": "mixed", "placement": "blocks"}}},
            "the plan fp16 1 has no placement",
        ),
        ({"int8": {"0": {"form": "mixed", "placement": "blocks"}}}, "greater than or equal to 1"),
    ],
)
def test_a_plan_that_can_not_be_is_refused(plans, message):
    with pytest.raises(RecipeError, match=message):
        make_recipe({"engine": {"plans": plans}})


def test_tensorrt_8_6_has_plans_of_its_own():
    recipe = make_recipe({})
    plans = list_gpu_plans(recipe, ("tensorrt",))
    assert {one.family for one in plans} == {"typed", "tensorrt8"}
    older = [one for one in plans if one.family == "tensorrt8" and one.batch == 1]
    assert [(one.form, one.placement) for one in older] == [
        ("linear", "blocks"),
        ("linear", None),
    ]
    assert plan_for_gpu(recipe, "int8", 8, "tensorrt8").form == "mixed"
    stated = make_recipe({"engine": {"plans": {"fp16": {1: {"form": "expand"}}}}})
    assert plan_for_gpu(stated, "fp16", 1).form == "expand"
    assert plan_for_gpu(stated, "fp16", 1, "tensorrt8").form == "linear"


def regrouped(**fields):
    plan = {"form": "raw", "placement": "closed", "float_groups": ["last", "depthwise@0"]}
    return make_recipe({"model": "conv2former_n", "plans": {"openvino": {**plan, **fields}}})


def test_a_plan_tells_the_groups_that_it_changes():
    plan = plan_for(regrouped(int8_groups=["gate"]), "openvino")
    assert plan.label == "raw.closed.float-depthwise0-last.int8-gate"
    assert plan.groups == Regrouping(("depthwise@0", "last"), ("gate",))
    assert make_plan(plan_fields(plan)) == plan
    assert plan_fields(plan)["float_groups"] == ["depthwise@0", "last"]
    # A plan without changes reads as before there were any, and is named as before.
    bare = replace(plan, float_groups=(), int8_groups=())
    assert not {"float_groups", "int8_groups"} & set(plan_fields(bare))
    assert (bare.label, bool(bare.groups)) == ("raw.closed", False)
    assert make_plan(plan_fields(bare)) == bare


def test_groups_are_changed_of_the_placement_that_was_tuned():
    def groups(**quantize):
        recipe = regrouped().model_dump() | {"quantize": quantize}
        return plan_for(make_recipe(recipe), "openvino").float_groups

    assert groups() == groups(placement="closed") == ("depthwise@0", "last")
    assert groups(placement="weighted") == ()


@pytest.mark.parametrize("form", ["linear", "conv"])
def test_groups_are_changed_of_the_form_that_was_tuned(form):
    """A form of products has none that is pointwise: the build would refuse the group's name."""
    recipe = regrouped().model_dump() | {"export": {"form": form}}
    plan = plan_for(make_recipe(recipe), "openvino")
    assert (plan.form, plan.placement, plan.float_groups) == (form, "closed", ())


def test_litert_has_a_plan_of_its_own_in_its_own_format():
    plan = plan_for(make_recipe({"model": "atto"}), "litert")
    assert (plan.form, plan.placement, plan.format) == ("linear", "inner", "litert")
    assert plan.label == "linear.inner.minmax.litert"
    stated = make_recipe({"model": "atto", "export": {"form": "conv"}})
    changed = plan_for(stated, "litert")
    assert (changed.form, changed.format) == ("conv", "litert")  # it loads no other


@pytest.mark.parametrize("estimator", ["auto", "reconstruction", "minmax", "mean_quantile"])
def test_ranges_that_are_symmetric_have_activations_that_are(estimator):
    usual = plan_for(Recipe(), "openvino").activation_type
    assert usual == "uint8"
    found = plan_for(Recipe(quantize={"activations_range_estimator": estimator}), "openvino")
    assert found.activation_type == ("int8" if estimator == "mean_quantile" else usual)
    stated = {"activations_range_estimator": estimator, "activation_type": "uint8"}
    assert plan_for(Recipe(quantize=stated), "openvino").activation_type == "uint8"
