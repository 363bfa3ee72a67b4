"""The recipe in a report: what `auto` came to, and what builds the same again."""

import json
from types import SimpleNamespace

import pytest
from support.races import candidate

from edge_convnext.build.resolved import resolved_recipe, stated_recipe
from edge_convnext.core.artifacts import Preprocess
from edge_convnext.networks.plans import Plan, plan_fields, plan_for
from edge_convnext.networks.recipe_file import make_recipe

RECIPE = make_recipe({"model": "convnextv2_atto"})
CHOSEN = candidate("a", runtime="openvino")


def prepared(runtimes=("onnxruntime", "openvino"), for_gpu=()):
    return SimpleNamespace(
        runner=SimpleNamespace(recipe=RECIPE), targets=("cpu", "rtx"), runtimes=runtimes,
        graphs=SimpleNamespace(for_gpu=for_gpu),
        inputs=SimpleNamespace(info=SimpleNamespace(preprocess=Preprocess(image_size=64))),
    )  # fmt: skip


def test_what_was_settled_stands_in_the_recipe():
    found = resolved_recipe(prepared(), CHOSEN, timed=True)
    assert (found["targets"], found["runtime"]) == (["cpu", "rtx"], "openvino")
    assert (found["preprocess"]["image_size"], found["preprocess"]["mean"]) == (
        64, [0.485, 0.456, 0.406],
    )  # fmt: skip
    for name in ("onnxruntime", "openvino"):
        assert found["plans"][name] == plan_fields(plan_for(RECIPE, name))
    assert make_recipe(found).runtime == "openvino"


def test_a_runtime_is_settled_by_a_race_and_plans_by_a_choice():
    assert resolved_recipe(prepared(), CHOSEN, timed=False)["runtime"] == "auto"
    assert resolved_recipe(prepared(), None, timed=False)["plans"] == {}
    assert resolved_recipe(prepared(()), CHOSEN, timed=False)["plans"] == {}


def test_a_build_for_arm_alone_states_the_plans_of_its_runtimes():
    made = prepared(())
    made.targets = ("arm-cpu",)
    for found in (resolved_recipe(made, CHOSEN, timed=False), stated_recipe(made, CHOSEN)):
        assert found["plans"]["onnxruntime"] == plan_fields(plan_for(RECIPE, "onnxruntime"))
        assert set(found["plans"]) == {"onnxruntime", "openvino"}


@pytest.mark.parametrize("resolve", [stated_recipe, lambda *one: resolved_recipe(*one, timed=True)])
def test_plans_for_tensorrt_are_stated_by_precision_and_batch(resolve):
    plans = [Plan("mixed", "blocks", batch=8, family="typed"), Plan("late", "blocks", batch=1)]
    made = prepared(for_gpu=[SimpleNamespace(plan=plan) for plan in plans])
    engine = resolve(made, CHOSEN)["engine"]
    assert engine["plans"]["int8"]["8"] == {"form": "mixed", "placement": "blocks"}
    assert engine["plans"]["int8"]["1"] == {"form": "late", "placement": "blocks"}


def test_the_recipe_as_it_was_stated_keeps_auto_but_for_the_plans():
    found = stated_recipe(prepared(), CHOSEN)
    assert (found["runtime"], found["targets"]) == ("auto", "auto")
    assert set(found["plans"]) == {"onnxruntime", "openvino"}


def test_a_rectangle_is_settled_as_json_has_it():
    made = prepared()
    made.inputs.info.preprocess = Preprocess(image_size=(64, 96))
    found = resolved_recipe(made, CHOSEN, timed=True)
    assert json.loads(json.dumps(found)) == found
    assert make_recipe(found).preprocess.image_size == (64, 96)
