"""Which graphs a build makes for CPUs, where, and what is said where it makes none."""

import pytest
from support.chain_stand_in import INPUTS, Chain, recipe_of, said
from support.stage_lab import CALIBRATION, RECIPE, SAMPLES, Lab, images

from edge_convnext.build.cpu_graphs import make_graphs, rival_forms, unraced_forms
from edge_convnext.core.sections import PlanConfig
from edge_convnext.core.step import Skipped
from edge_convnext.stages import recover

NO_TRAINING = Skipped(recover.STAGE, "not asked for (--recover)")


@pytest.fixture
def chain(monkeypatch):
    return Chain(monkeypatch)


@pytest.fixture
def lab(tmp_path, monkeypatch):
    return Lab(tmp_path, monkeypatch)


def make(lab, runtimes=("onnxruntime", "openvino"), training=NO_TRAINING, **changes):
    runner = lab.again(recipe_of(**changes))
    return make_graphs(runner, INPUTS, runtimes, SAMPLES, CALIBRATION, training)


def test_every_float_form_is_made_and_each_plan_once_for_all_who_use_it(lab, chain):
    same = {"form": "conv", "placement": "inner"}
    plans = {name: PlanConfig.model_validate(same) for name in ("onnxruntime", "openvino")}
    training = images("training")
    graphs = make(lab, training=training, plans=plans)
    assert chain.forms[:3] == [
        ("raw", "fp32", False, False), ("linear", "fp32", True, True), ("conv", "fp32", True, True),
    ]  # fmt: skip
    assert chain.plans == [("conv.inner", "conv", ["onnxruntime", "openvino"], training)]
    assert [one.plan.form for one in graphs.floats[:3]] == ["raw", "linear", "conv"]
    assert [one.plan.label for one in graphs.quantized] == ["conv.inner"]
    assert graphs.for_gpu == ()
    assert said(graphs).keys() == {"approximate", "lower"}


def test_of_the_decision_alone_the_planned_forms_are_made_and_the_others_are_told(lab, chain):
    plan = PlanConfig.model_validate({"form": "nhwc", "placement": "inner"})
    plans = {"onnxruntime": plan, "openvino": plan.model_copy(update={"form": "conv_moments"})}
    quick = RECIPE.benchmark.model_copy(update={"scope": "decision"})
    make(lab, plans=plans, benchmark=quick)
    assert [form for form, *_ in chain.forms] == ["nhwc", "conv_moments"]
    runtimes = ("onnxruntime", "openvino")
    left = unraced_forms(recipe_of(plans=plans, benchmark=quick), runtimes)
    assert left == ("raw", "linear", "conv")
    assert unraced_forms(recipe_of(plans=plans), runtimes) == ()


def test_without_folds_there_is_the_raw_form_alone_and_it_ships(lab, chain):
    graphs = make(lab, fold={"enabled": False})
    assert chain.forms == [("raw", "fp32", False, True)]
    assert graphs.folded is None
    assert said(graphs)["fold"] == ("skipped", "--no-fold")


def test_a_family_that_folds_nothing_has_the_form_of_its_plan_beside_the_raw_one(lab, chain):
    plan = PlanConfig.model_validate({"form": "linear", "placement": "inner"})
    graphs = make(lab, ("onnxruntime",), model="conv2former_n", plans={"onnxruntime": plan})
    # The raw one may ship in float, so it is simplified too.
    assert chain.forms == [("raw", "fp32", False, True), ("linear", "fp32", False, True)]
    assert chain.plans[0][:2] == ("linear.inner", "linear")
    assert "nothing to fold" in said(graphs)["fold"][1]


def test_what_no_graph_of_a_precision_needs_says_so(lab, chain):
    graphs = make(lab, precision="fp16", export={"form": "linear"})
    assert chain.plans == []
    assert [form[:2] for form in chain.forms if form[1] == "fp16"] == [("linear", "fp16")]
    reasons = said(graphs)
    assert reasons["quantize"] == reasons["equalize"] == ("not_run", "the precision is fp16")
    assert reasons["recover"] == ("not_run", "not asked for (--recover)")
    assert said(make(lab, runtimes=()))["equalize"] == ("not_run", "cpu is not among the targets")


def test_rivals_are_neither_planned_nor_what_users_have_and_may_be_left_out(lab, chain):
    plan = PlanConfig.model_validate({"form": "conv", "placement": "inner"})
    runtimes, plans = ("onnxruntime", "openvino"), {"onnxruntime": plan, "openvino": plan}
    rivals = rival_forms(recipe_of(plans=plans), runtimes)
    assert rivals[0] == "linear"
    assert not {"raw", "conv"} & set(rivals)
    runner = lab.again(recipe_of(plans=plans))
    make_graphs(runner, INPUTS, runtimes, SAMPLES, CALIBRATION, NO_TRAINING, without=rivals)
    assert [form for form, *_ in chain.forms] == ["raw", "conv"]
