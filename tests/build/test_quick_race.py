"""Builds of a network that no plan was measured for race the ways that its structure leaves."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest
from support import open_family, toy_family
from support.builds import quick_fields, write_images
from support.built import statuses

pytest.importorskip("torch", reason="the build extra is not installed")

import torch

import edge_convnext
from edge_convnext.build import quick_race, race_memory
from edge_convnext.build.lineage import Chosen
from edge_convnext.build.quick_race import Entered, choose_plans, pick, unplanned
from edge_convnext.core.cache import Cache
from edge_convnext.networks.plans import Plan
from edge_convnext.networks.recipe_file import make_recipe
from edge_convnext.runtimes.load import find_runtime
from edge_convnext.runtimes.plan_rules import PlanRules, Way

CLASSES = ("ant", "bee")


def plan(placement, kind="int8"):
    return Plan("raw", placement, kind)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("race")
    counts = {f"{side}/{name}": 5 for side in ("train", "val") for name in CLASSES}
    write_images(folder / "images", counts)
    torch.save(toy_family.FAMILY.draw(toy_family.ToyShape(2), 0), folder / "weights.pth")
    with pytest.MonkeyPatch.context() as context:
        toy_family.install(context)
        context.setattr(toy_family.FAMILY, "placer", "roles")
        context.setattr(toy_family.FAMILY, "portable", ("raw", "weighted"))
        context.setattr(toy_family.FAMILY, "placements", ("weighted", "inner", "adds", "closed"))
        yield folder


def make(root, **fields):
    return make_recipe({**quick_fields(root, "net"), "runtime": "onnxruntime", **fields})


@pytest.fixture(scope="module")
def report(root):
    return edge_convnext.build(make(root), root / "out", cache=Cache(root / "cache"))


def test_a_build_chooses_its_plan_and_says_what_it_tried(report):
    chosen = report.recipe["plans"]["onnxruntime"]
    assert chosen["activation_type"] == "uint8"  # signed convolutions are float there
    assert chosen["range_estimator"] == "reconstruction"
    (tried,) = [note for note in report.notes if "were raced on this machine briefly" in note]
    assert all(f"{one} uint8 " in tried for one in ("closed", "weighted", "inner"))
    (barred,) = [note for note in report.notes if "by the network's structure" in note]
    assert "attention uint8 (no product of attention)" in barred
    assert "weighted int8" in barred
    found = statuses(report)
    assert {found[name] for name in ("export", "simplify", "equalize", "quantize")} == {"done"}
    (row,) = [row for row in report.benchmark.rows if row.precision == "int8"]
    assert row.placement == chosen["placement"]


def raced(report):
    return [note for note in report.notes if note.startswith("ONNX Runtime: ")]


def test_a_second_build_remembers_the_race(root, report, monkeypatch):
    def refuse(*_args, **_options):
        raise AssertionError("timed again")

    monkeypatch.setattr(quick_race, "benchmark", refuse)
    monkeypatch.setattr(race_memory, "measure_load", lambda: 50.0)  # the first race may be a guess
    again = edge_convnext.build(make(root), root / "again", cache=Cache(root / "cache"))
    assert again.recipe["plans"] == report.recipe["plans"]
    first, *others = raced(again)
    assert first.startswith(raced(report)[0].partition(" The choice is a guess")[0])
    assert "An earlier build raced them, on 20" in first
    assert others == raced(report)[1:]


def test_a_setting_that_decides_the_raced_graphs_races_them_anew(root, report, monkeypatch):
    class TimedError(Exception):
        pass

    def refuse(*_args, **_options):
        raise TimedError

    monkeypatch.setattr(quick_race, "benchmark", refuse)
    usual = quick_fields(root, "net").get("quantize", {})
    other = make(root, quantize={**usual, "weight_granularity": "per_tensor"})
    with pytest.raises(TimedError):
        edge_convnext.build(other, root / "other", cache=Cache(root / "cache"))


def test_a_recipe_that_states_a_plan_is_not_raced(root, report):
    stated = make(root, plans={"onnxruntime": {"form": "raw", "placement": "inner"}})
    made = edge_convnext.build(stated, root / "stated", cache=Cache(root / "cache"))
    assert made.recipe["plans"]["onnxruntime"]["placement"] == "inner"
    assert not any("raced" in note for note in made.notes)


def test_who_needs_a_race(root):
    assert unplanned(make(root), ("onnxruntime", "openvino")) == ["onnxruntime", "openvino"]
    assert unplanned(make(root, precision="fp32"), ("onnxruntime",)) == []
    planned = make(root, plans={"openvino": {"form": "raw", "placement": "inner"}})
    assert unplanned(planned, ("onnxruntime", "openvino")) == ["onnxruntime"]
    assert unplanned(make_recipe({"model": "atto"}), ("onnxruntime",)) == []


def test_the_fastest_wins_and_a_tie_goes_to_the_nearer():
    fast = Entered(plan("adds"), sqnr_db=20.0, latency_ms=1.0)
    near = Entered(plan("weighted"), sqnr_db=30.0, latency_ms=1.04)
    slow = Entered(plan("dense"), sqnr_db=40.0, latency_ms=1.2)
    wrong = Entered(plan("closed"), sqnr_db=50.0, dropped="wrong here")
    assert pick([wrong, slow, fast, near]) is near
    assert pick([wrong, slow, fast]) is fast
    assert pick([wrong]) is None
    alone = Entered(plan("inner"), sqnr_db=1.0)
    assert pick([wrong, alone]) is alone


def test_a_way_that_is_nearer_may_be_a_little_slower():
    """EfficientNet-Lite0 in ONNX Runtime: 5.03 % slower, 2.9 dB nearer, 1 pp of agreement more."""
    fast = Entered(plan("closed"), sqnr_db=24.3, latency_ms=10.0)
    near = Entered(plan("closed_later"), sqnr_db=27.2, latency_ms=10.503)
    assert pick([fast, near]) is near
    assert pick([fast, replace(near, latency_ms=10.6)]) is fast
    assert pick([fast, replace(near, sqnr_db=24.4)]) is fast
    little = Entered(plan("adds"), sqnr_db=27.3, latency_ms=10.55)  # 0.1 dB for half a percent
    assert pick([fast, near, little]) is near


def test_a_report_says_what_a_way_was_chosen_for():
    fast = Entered(plan("closed"), sqnr_db=24.3, latency_ms=10.0)
    near = Entered(plan("closed_later"), sqnr_db=27.2, latency_ms=10.5)
    told = quick_race._why(near, fast)
    assert told.startswith("slower than closed")
    assert told.endswith("by 5.0 %, and nearer to the float graph, 27.2 dB and not 24.3")
    assert quick_race._why(fast, fast).startswith("the fastest")


def test_without_images_there_is_nothing_to_race(root):
    class Inputs:
        calibration = None

    class Runner:
        recipe = make(root)

    found = choose_plans(Runner(), Inputs(), ("onnxruntime",), None, "here")
    assert found == Chosen(Runner.recipe)


def test_a_way_in_another_form_is_raced_in_that_form(tmp_path, monkeypatch):
    open_family.install(monkeypatch)
    counts = {f"{side}/{name}": 5 for side in ("train", "val") for name in CLASSES}
    write_images(tmp_path / "images", counts)
    shape = open_family.OpenShape(open_family.MODEL, 2)
    torch.save(open_family.FAMILY.draw(shape, 0), tmp_path / "weights.pth")
    ways = (Way("closed", "uint8"), Way("weighted", "int8", "onnxruntime", "linear"))
    rules = find_runtime("onnxruntime")
    monkeypatch.setattr(rules, "PLAN_RULES", PlanRules(ways))
    times = iter((2.0, 1.0))  # the second is the faster one, wherever this runs

    def race(candidates, *_args, **_options):
        rows = [
            SimpleNamespace(artifact=one.title, round_latency_ms_p50=(next(times),))
            for one in candidates
        ]
        return SimpleNamespace(rows=rows, other_load_pct=0.0, throttled_periods=None)

    monkeypatch.setattr(quick_race, "benchmark", race)
    made = edge_convnext.build(
        make(tmp_path, model=open_family.MODEL), tmp_path / "out", cache=Cache(tmp_path / "cache")
    )
    chosen = made.recipe["plans"]["onnxruntime"]
    assert (chosen["form"], chosen["placement"]) == ("linear", "weighted")
    assert (chosen["format"], chosen["activation_type"]) == ("onnxruntime", "int8")
    (tried,) = [note for note in made.notes if "were raced on this machine briefly" in note]
    assert "linear weighted int8 onnxruntime 1.00 ms, closed uint8 2.00 ms" in tried
    (row,) = [row for row in made.benchmark.rows if row.precision == "int8"]
    assert row.form == "linear"


def test_a_race_under_load_is_kept_and_raced_again_once_on_a_quiet_machine(root, monkeypatch):
    loads, now, raced_at = [60.0, 3.0], [60.0], []
    real = quick_race.benchmark

    def timed(*arguments, **options):
        raced_at.append(loads[len(raced_at)])
        return replace(real(*arguments, **options), other_load_pct=raced_at[-1])

    def built(folder):
        # Another batch size is another race than that of the other tests.
        recipe = make(root, benchmark={"batches": [2], "rounds": 1, "min_round_ms": 1})
        made = edge_convnext.build(recipe, root / folder, cache=Cache(root / "cache"))
        return made.recipe["plans"], raced(made)[0]

    monkeypatch.setattr(quick_race, "benchmark", timed)
    monkeypatch.setattr(race_memory, "measure_load", lambda: now[0])
    guess = built("busy")
    assert "The choice is a guess, for other programs took 60 % of the CPU" in guess[1]
    plans, told = built("as busy")
    assert plans == guess[0]
    assert "An earlier build raced them" in told
    assert "The choice is a guess, for other programs took 60 % of the CPU" in told
    assert raced_at == [60.0]
    now[0] = 2.0
    sure = built("quiet")
    assert "A race before was disturbed: other programs took 60 % of the CPU" in sure[1]
    assert built("later")[0] == sure[0]
    assert raced_at == [60.0, 3.0]
