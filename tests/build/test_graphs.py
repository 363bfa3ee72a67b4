"""Which graphs a build makes, and what is said where it makes none."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from support.stage_lab import CALIBRATION, INFO, RECIPE, SAMPLES, WEIGHTS, Lab, graph, images

from edge_convnext.build import float_chain
from edge_convnext.build import graphs as module
from edge_convnext.build.float_forms import rival_forms
from edge_convnext.build.graphs import Graphs, add_gpu_graphs, add_plan, for_batch, make_graphs
from edge_convnext.build.lineage import Lineage
from edge_convnext.core.errors import QuantizationError
from edge_convnext.core.sections import PlanConfig
from edge_convnext.core.step import Skipped, Step
from edge_convnext.graph.float16_numbers import HALF_OPSET
from edge_convnext.networks.plans import Plan, float_plan
from edge_convnext.stages import export, recover

MODEL = Step(WEIGHTS, "done", 0.0, "digest of model")
INPUTS = SimpleNamespace(weights=MODEL, info=INFO)
SECTIONS = ("export", "fold")
NO_TRAINING = Skipped(recover.STAGE, "not asked for (--recover)")


class Chain:
    """Stands for the chains: nothing runs, and what was asked for is kept."""

    def __init__(self, monkeypatch):
        self.forms, self.plans, self.gpu = [], [], []
        monkeypatch.setattr(
            float_chain, "fold_step", lambda *_: MODEL.of(replace(WEIGHTS, folded=True))
        )
        monkeypatch.setattr(module, "float_steps", self.float_steps)
        monkeypatch.setattr(module, "int8_lineage", self.int8_lineage)
        monkeypatch.setattr(module, "gpu_lineage", self.gpu_lineage)
        monkeypatch.setattr(module, "image_batches", lambda shown, _info, batch: (shown, batch))

    def float_steps(self, _runner, weights, form, precision, _samples, _model, *, simplified=True):
        self.forms.append((form, precision, weights.value.folded, simplified))
        return (replace(graph(form, precision), stage=export.STAGE),)

    def int8_lineage(self, _runner, plan, begun, users, _calibration, _samples, training):
        self.plans.append((plan.label, begun.plan.form, list(users), training))
        return Lineage(plan, begun.steps)

    def gpu_lineage(self, runner, plan, begun, calibration, samples, typed_for):
        images = calibration and [batch.shape for batch in calibration.load()]
        self.gpu.append((plan.label, plan.family, runner.recipe.export.batch, images, typed_for))
        assert samples[1] == plan.batch
        return Lineage(plan, begun.steps)


@pytest.fixture
def chain(monkeypatch):
    return Chain(monkeypatch)


@pytest.fixture
def lab(tmp_path, monkeypatch):
    return Lab(tmp_path, monkeypatch)


def recipe_of(**changes):
    """The lab's recipe with other values, or with other values in a section."""
    sections = {
        name: getattr(RECIPE, name).model_copy(update=change) if name in SECTIONS else change
        for name, change in changes.items()
    }
    return RECIPE.model_copy(update=sections)


def make(lab, runtimes=("onnxruntime", "openvino"), training=NO_TRAINING, for_arm=False, **changes):
    runner = lab.again(recipe_of(**changes))
    return make_graphs(runner, INPUTS, runtimes, SAMPLES, CALIBRATION, training, for_arm=for_arm)


def said(graphs):
    return {one.stage.reported_as: (one.status, one.reason) for one in graphs.skipped}


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


def test_for_arm_alone_the_forms_of_its_runtimes_are_made_and_one_plan(lab, chain):
    graphs = make(lab, (), for_arm=True)
    forms = [("nhwc", "fp32", True, True), ("conv_moments", "fp32", True, True)]
    assert chain.forms == forms
    assert chain.plans == [("nhwc.inner", "nhwc", ["onnxruntime", "openvino-aarch64"], None)]
    assert "quantize" not in said(graphs)
    chain.plans.clear()
    make(lab, ("openvino",), for_arm=True)
    assert [one[:3:2] for one in chain.plans] == [
        ("conv_moments.inner.uint8", ["openvino"]),
        ("nhwc.inner", ["onnxruntime", "openvino-aarch64"]),
    ]


def test_forms_that_are_left_out_are_not_made(lab, chain):
    plan = PlanConfig.model_validate({"form": "conv", "placement": "inner"})
    runtimes, plans = ("onnxruntime", "openvino"), {"onnxruntime": plan, "openvino": plan}
    runner = lab.again(recipe_of(plans=plans))
    rivals = rival_forms(runner.recipe, runtimes)
    make_graphs(runner, INPUTS, runtimes, SAMPLES, CALIBRATION, NO_TRAINING, without=rivals)
    assert [form for form, *_ in chain.forms] == ["raw", "conv"]


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


def test_a_plan_begins_with_the_float_graph_of_its_form(lab, chain):
    graphs = Graphs()
    begun = graphs.add(Lineage(float_plan("nhwc", "fp32"), (graph("nhwc"),)))
    made = add_plan(lab.runner, graphs, Plan("nhwc", "inner"), [], CALIBRATION, SAMPLES)
    assert graphs.lineages[made.plan] is made
    assert made.steps == begun.steps
    with pytest.raises(KeyError):
        add_plan(lab.runner, graphs, Plan("conv", "inner"), [], CALIBRATION, SAMPLES)


def gpu_graphs(lab, targets, **changes):
    graphs = Graphs()
    runner = lab.again(recipe_of(targets=targets, **changes))
    named = ("cpu", "rtx") if targets == "auto" else targets
    batches = [np.zeros((3, 3, 2, 2), np.float32)]
    calibration = replace(CALIBRATION, load=lambda: batches)
    add_gpu_graphs(runner, INPUTS, graphs, named, list(range(9)), calibration)
    return graphs


def test_graphs_for_tensorrt_share_float_graphs_and_have_full_batches(lab, chain):
    graphs = gpu_graphs(lab, ("rtx", "tensorrt"), export={"form": "linear"})
    assert [form[:2] for form in chain.forms] == [("linear", "fp32")] * 2  # of each batch size
    assert [one.plan.precision for one in graphs.for_gpu[:3]] == ["int8", "int8", "fp16"]
    assert len(graphs.for_gpu) == len(chain.gpu) == 8
    assert chain.gpu[0][1:] == ("typed", 1, [(1, 3, 2, 2)] * 3, ["rtx", "tensorrt10"])
    assert chain.gpu[1][1:4] == ("typed", 8, [(8, 3, 2, 2)])
    assert {one[1] for one in chain.gpu[4:]} == {"tensorrt8"}
    assert graphs.floats == graphs.quantized == ()


def test_what_nobody_asked_for_may_fail_and_says_why(lab, chain, monkeypatch):
    assert said(gpu_graphs(lab, ("cpu",)))["typed"] == ("not_run", "no GPU is among the targets")
    monkeypatch.setattr(module, "why_no_rtx", lambda: "not installed")
    assert said(gpu_graphs(lab, "auto"))["typed"] == ("not_run", "not installed")
    assert len(gpu_graphs(lab, ("rtx",)).for_gpu) == 4  # its graphs need no builder
    monkeypatch.setattr(module, "why_no_rtx", lambda: None)

    def refuse(*_):
        raise QuantizationError("no product")

    monkeypatch.setattr(module, "gpu_lineage", refuse)
    failed = gpu_graphs(lab, "auto")
    assert said(failed)["typed"] == ("failed", "no product")
    assert failed.why_not("typed").reason == "no product"
    assert failed.for_gpu == ()
    with pytest.raises(QuantizationError, match="no product"):
        gpu_graphs(lab, ("rtx",))


def test_graphs_for_tensorrt_have_a_fixed_batch_and_one_opset(lab):
    config = for_batch(lab.runner, 8).recipe.export
    assert (config.batch, config.opset) == (8, HALF_OPSET)
    assert lab.runner.recipe.export.batch == "dynamic"
