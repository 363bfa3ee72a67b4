"""Which plans are built as engines on a board, and in which order."""

from types import SimpleNamespace as Of

import pytest

from edge_convnext.build.tuning.board import gpu_graphs as module
from edge_convnext.build.tuning.board.gpu_graphs import list_gpu_candidates, make_gpu_graphs
from edge_convnext.build.tuning.space import gpu_plan
from edge_convnext.core.errors import EngineBuildError, RecipeError
from edge_convnext.core.progress import untracked
from edge_convnext.networks.plans import plan_for_gpu
from edge_convnext.networks.recipe_file import make_recipe


def prepared(**fields):
    recipe = make_recipe({"model": "atto", **fields})
    runner = Of(recipe=recipe, track=untracked)
    return Of(runner=runner, inputs=Of(calibration=None), graphs=Of(folded=None))


def test_the_usual_plans_come_first_and_precisions_take_turns():
    one = prepared()
    plans = list_gpu_candidates(one, 1, [], full=False)
    recipe = one.runner.recipe
    assert plans[0] == plan_for_gpu(recipe, "int8", 1)
    assert plans[2] == plan_for_gpu(recipe, "fp16", 1)
    assert [plan.precision for plan in plans[:6]] == ["int8", "int8", "fp16"] * 2
    assert len(plans) == len(set(plans)) == 12
    assert plans[1].form == "linear"  # the form that suits every runtime, whatever a model says
    assert len(list_gpu_candidates(one, 1, [], full=True)) > 12


def test_the_model_s_favourites_and_the_rules_take_turns():
    favourite = gpu_plan("late_product_mixed", "last_blocks", 1)
    plans = list_gpu_candidates(prepared(), 1, [favourite], full=False)
    int8 = [plan for plan in plans if plan.precision == "int8"]
    assert int8.index(favourite) == 2


def test_what_the_recipe_states_is_not_searched():
    one = prepared(export={"form": "linear"}, quantize={"placement": "pointwise"})
    plans = list_gpu_candidates(one, 1, [], full=True)
    assert {plan.form for plan in plans} == {"linear"}
    assert {plan.placement for plan in plans} == {"pointwise", None}


def test_a_larger_batch_has_no_form_for_one_image():
    forms = {plan.form for plan in list_gpu_candidates(prepared(), 8, [], full=True)}
    from edge_convnext.networks.convnext.form_names import ONE_IMAGE_FORMS

    assert not forms & set(ONE_IMAGE_FORMS)


def test_without_calibration_images_there_is_no_search():
    with pytest.raises(RecipeError, match="no images to calibrate with"):
        make_gpu_graphs(prepared(), 1, [], full=False)


def test_a_graph_that_can_t_be_made_is_told_and_without_any_there_is_no_search(monkeypatch):
    one = prepared(export={"form": "linear"}, quantize={"placement": "pointwise"})
    one.inputs = Of(calibration=Of(images=Of(samples=())), info=None)

    def fail(runner, inputs, graphs, plans, *_):
        raise EngineBuildError(f"no {plans[0].precision} graph")

    monkeypatch.setattr(module, "image_batches", lambda *_: None)
    monkeypatch.setattr(module, "make_gpu_lineages", fail)
    with pytest.raises(RecipeError, match="no INT8 graph for the board: no int8 graph"):
        make_gpu_graphs(one, 1, [], full=False)
