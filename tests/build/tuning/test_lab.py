from types import SimpleNamespace

import onnx
import pytest
from support.tiny_qdq import quantized_product

from edge_convnext.build.runner import Runner
from edge_convnext.build.tuning import lab
from edge_convnext.build.tuning.lab import Lab, count_nodes, entrant_name
from edge_convnext.core.artifacts import OnnxModel
from edge_convnext.core.progress import untracked
from edge_convnext.networks.plans import Plan
from edge_convnext.networks.recipe_file import make_recipe
from edge_convnext.stages import quantize


@pytest.mark.parametrize("hint", [None, "f32", "bf16"])
def test_an_entrant_has_a_name_that_tells_its_plan_and_its_floats(hint):
    plans = [Plan("conv", "inner"), Plan("conv", "pointwise"), Plan("nhwc", "inner")]
    plans += [Plan("conv", "inner", settings=(("a", "1"),))]
    names = [entrant_name(plan, hint) for plan in plans]
    assert len(set(names)) == len(names)
    assert all(name.startswith(plan.form) for name, plan in zip(names, plans, strict=True))
    assert entrant_name(plans[0], "f32") != entrant_name(plans[0], "bf16")


def test_nodes_of_a_graph_are_counted(tmp_path):
    proto = quantized_product()
    onnx.save(proto, tmp_path / "g.onnx")
    model = OnnxModel(tmp_path / "g.onnx", "int8", "linear")
    assert count_nodes(model) == len(proto.graph.node)


def test_plans_that_are_wrong_where_they_run_are_sifted_out_before_a_race(monkeypatch):
    right, wrong = Plan("conv", "inner"), Plan("linear", "inner")
    asked = []

    def check(runner, one, floating, images, machine, portable):
        asked.append((one, floating, images, machine))
        return SimpleNamespace(wrong="16 dB" if one == "linear" else None)

    monkeypatch.setattr(lab, "check_in_runtime", check)
    made = Lab.__new__(Lab)
    made.runner, made.runtime, made.machine = SimpleNamespace(track=untracked), "toy", "this one"
    made.option = lambda graphs, plan, hint: plan.form
    lineages = [
        SimpleNamespace(plan=one, stands_for=None, before=lambda stage: stage)
        for one in (right, wrong)
    ]
    assert made.sift(SimpleNamespace(quantized=lineages), "few") == {wrong: "16 dB"}
    assert asked == [(form, quantize.STAGE, "few", "this one") for form in ("conv", "linear")]


@pytest.mark.parametrize(
    ("model", "ships", "rounding"),
    [("conv2former_n", False, "nearest"), ("conv2former_n", True, "auto")],
)
def test_weights_of_graphs_that_are_only_raced_have_the_nearest_integers(
    monkeypatch, model, ships, rounding
):
    seen = []
    for name in ("add_form", "add_plan"):
        monkeypatch.setattr(lab, name, lambda runner, *_: seen.append(runner.recipe.quantize))
    recipe = make_recipe({"model": model})
    made = Lab.__new__(Lab)
    made.prepared = SimpleNamespace(
        graphs=SimpleNamespace(folded=None), inputs=None, samples=None
    )  # fmt: skip
    made.runner, made.recipe, made.runtime = Runner(None, recipe, {}, untracked), recipe, "toy"
    made.quantize([Plan("raw", "weighted")], None, ships=ships)
    assert [one.weight_rounding for one in seen] == [rounding, rounding]


def test_a_second_race_of_the_same_graphs_is_another_entry():
    asked = []

    def run(stage, make, *, key):
        asked.append(key)
        return SimpleNamespace(
            result={"rounds": {}, "other_load_pct": None}, seconds=1.0, key="", cached=False
        )

    made = Lab.__new__(Lab)
    made.runner, made.recipe = SimpleNamespace(run=run), make_recipe({})
    made.runtime, made.batch, made.machine = "onnxruntime", 1, "this one"
    made.raced_s, made.other_load_pct = 0.0, 0.0
    option = {"a": SimpleNamespace(digest="x")}
    made.measure(option, ["a"], 8)
    made.measure(option, ["a"], 8, again=True)
    assert asked[1] == {**asked[0], "again": True}
    assert "again" not in asked[0]  # as in caches of before there were second races
    assert made.raced_s == 2.0
