"""Making the graphs of a plan, and those for a GPU."""

from dataclasses import replace

import numpy as np
import pytest
from support.chain_stand_in import INPUTS, Chain, recipe_of, said
from support.stage_lab import CALIBRATION, SAMPLES, Lab, graph

from edge_convnext.build import graphs as module
from edge_convnext.build.graphs import Graphs, add_gpu_graphs, add_plan, for_batch
from edge_convnext.build.lineage import Lineage
from edge_convnext.core.errors import QuantizationError
from edge_convnext.graph.float16_numbers import HALF_OPSET
from edge_convnext.networks.plans import Plan, float_plan


@pytest.fixture
def chain(monkeypatch):
    return Chain(monkeypatch)


@pytest.fixture
def lab(tmp_path, monkeypatch):
    return Lab(tmp_path, monkeypatch)


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
