"""The report's stages: what each made, which of its graphs leads, and why others did not run."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from edge_convnext.build.graphs import Graphs
from edge_convnext.build.lineage import Lineage
from edge_convnext.build.stage_entries import benchmark_entry, evaluate_entry, report_stages
from edge_convnext.core.artifacts import OnnxModel
from edge_convnext.core.step import Skipped, Step
from edge_convnext.networks.plans import Plan, float_plan
from edge_convnext.networks.recipe_file import make_recipe
from edge_convnext.report.stages import STAGES
from edge_convnext.stages import (
    equalize,
    export,
    fold,
    place_qdq,
    quantize,
    recover,
    simplify,
    write_for_tensorrt,
)

SHA = {name: f"{number:064x}" for number, name in enumerate(("w", "raw", "conv", "q", "p", "t"))}
NO_SIMPLIFY = Skipped(simplify.STAGE, "--no-simplify", "skipped")


@pytest.fixture
def step(tmp_path):
    def make(name, stage, form="conv", precision="fp32", status="done", seconds=1.0, **fields):
        path = tmp_path / f"{name}.{stage.name}.onnx"
        path.write_text(name)
        model = OnnxModel(path, precision, form, **fields)
        return Step(model, status, seconds, SHA[name], stage=stage)

    return make


@pytest.fixture
def outcome(step, tmp_path):
    """Of INT8 for a CPU and for TensorRT, as a build leaves it."""
    path = tmp_path / "weights"
    path.write_text("w")
    weights = Step(SimpleNamespace(path=path), "cached", 0.0, SHA["w"], "damaged")
    raw, conv = step("raw", export.STAGE, "raw"), step("conv", export.STAGE, status="cached")
    quantized = step("q", quantize.STAGE, "conv", "int8", placement="inner", quantized_ops=3)
    placed = step("p", place_qdq.STAGE, "mixed", "int8", "cached", 0.0, placement="blocks")
    typed = step("t", write_for_tensorrt.STAGE, "mixed", "int8", placement="blocks")
    off = Skipped(equalize.STAGE, "equalize.enabled is false", "skipped")
    graphs = Graphs(None)
    for lineage in (
        Lineage(float_plan("raw", "fp32"), (raw, NO_SIMPLIFY)),
        Lineage(float_plan("conv", "fp32"), (conv, NO_SIMPLIFY)),
        Lineage(Plan("conv", "inner"), (conv, NO_SIMPLIFY, off, quantized)),
        Lineage(Plan("mixed", "blocks", batch=8, family="typed"), (placed, typed)),
    ):
        graphs.add(lineage)
    graphs.skipped += [
        Skipped(fold.STAGE, "--no-fold", "skipped"),
        Skipped(recover.STAGE, "not asked for (--recover)"),
        Skipped(equalize.STAGE, "cpu is not among the targets"),
    ]
    return SimpleNamespace(
        graphs=graphs, runner=SimpleNamespace(recipe=make_recipe({})), targets=("cpu",),
        inputs=SimpleNamespace(weights=weights, random=True),
        chosen=SimpleNamespace(model=quantized.value),
    )  # fmt: skip


def entries(outcome, names=None):
    made = report_stages(
        outcome, (), outcome.chosen,
        evaluate_entry(None, random=outcome.inputs.random), benchmark_entry(None),
        has_gpu=False, names=names or {SHA["q"]: "model.int8.onnx"},
    )  # fmt: skip
    assert tuple(one.name for one in made) == STAGES
    return {one.name: one for one in made}


def test_every_graph_is_in_the_entry_of_its_stage_and_each_is_there_once(outcome):
    made = entries(outcome)
    forms = {name: [one.form for one in made[name].variants] for name in ("export", "quantize")}
    assert forms == {"export": ["raw", "conv"], "quantize": ["conv", "mixed"]}
    assert made["export"].seconds == 2.0
    assert made["quantize"].variants[0].quantized_ops == 3
    assert made["export"].variants[0].quantized_ops is None


def test_what_is_shipped_or_has_its_form_leads_and_one_that_ran_makes_a_stage_done(outcome):
    made = entries(outcome)
    assert made["quantize"].artifact.path == "model.int8.onnx"
    assert made["export"].artifact.path.endswith("conv.export.onnx")
    assert made["export"].status == "done"  # of a cached one and one that ran
    outcome.chosen = None
    assert entries(outcome)["export"].artifact.path.endswith("raw.export.onnx")


def test_a_stage_that_did_not_run_says_why_where_it_was_decided(outcome):
    made = entries(outcome)
    said = {name: (one.status, one.reason) for name, one in made.items()}
    assert said["load"] == ("cached", "damaged")
    assert said["fold"] == ("skipped", "--no-fold")
    assert said["simplify"] == ("skipped", "--no-simplify")
    assert said["equalize"] == ("skipped", "equalize.enabled is false")  # of a graph, not of all
    assert said["recover"] == ("not_run", "not asked for (--recover)")
    assert said["lower"] == ("not_run", "no graph of this build needs it")
    assert said["evaluate"] == ("not_run", "random weights have no accuracy")
    assert said["benchmark"] == ("not_run", "cpu is not among the targets")
    outcome.inputs.random = False
    assert entries(outcome)["evaluate"].reason == "no labelled images were given (--data)"


def test_what_is_timed_on_a_board_says_so():
    assert benchmark_entry(None, ("rtx",)).reason == "cpu is not among the targets"
    found = benchmark_entry(None, ("arm-cpu", "rtx"))
    assert (found.status, found.reason) == (
        "not_run", "arm-cpu is timed on the board, by `edge-convnext bench` of a bundle"
    )  # fmt: skip


def test_graphs_for_tensorrt_say_their_batch_and_who_takes_them(outcome):
    (one,) = entries(outcome)["typed"].variants
    assert (one.batch, one.target, one.artifact.path) == (8, "rtx", "gpu/t.finish.onnx")
    plan, lineage = list(outcome.graphs.lineages.items())[-1]
    del outcome.graphs.lineages[plan]
    outcome.graphs.add(replace(lineage, plan=replace(plan, family="tensorrt8")))
    assert entries(outcome)["typed"].variants[0].target == "tensorrt"
    del outcome.graphs.lineages[replace(plan, family="tensorrt8")]
    outcome.graphs.skipped.append(Skipped(write_for_tensorrt.STAGE, "no parser", "failed"))
    outcome.targets = ("cpu", "rtx")
    made = entries(outcome)
    assert (made["typed"].status, made["typed"].reason) == ("failed", "no parser")
    assert (made["engine"].status, made["engine"].reason) == ("failed", "no parser")


def test_of_a_file_that_stays_in_the_cache_the_whole_path_is_told(outcome):
    assert Path(entries(outcome)["load"].artifact.path).is_absolute()


def test_the_stages_that_measure_tell_their_time():
    evaluation = SimpleNamespace(cached=False, seconds=3.5)
    made = evaluate_entry(evaluation, random=False)
    assert (made.status, made.seconds) == ("done", 3.5)
    evaluation.cached = True
    assert evaluate_entry(evaluation, random=False).status == "cached"
    assert benchmark_entry(SimpleNamespace(seconds=2.5)).seconds == 2.5
