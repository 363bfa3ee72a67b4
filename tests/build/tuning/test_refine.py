"""Refining by role and stage, over a stand-in of the lab: which changes are kept, and what is told.

No graph is made and nothing is timed: each change has a factor that the test states. The last test
makes the graphs.
"""

from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace as Of

import onnx
import pytest
from support import toy_family
from support.builds import quick_fields, write_images
from support.written_graphs import draw, excited, write

import edge_convnext
from edge_convnext.build.tuning import lab
from edge_convnext.build.tuning.lab import Checked
from edge_convnext.build.tuning.refine import refine
from edge_convnext.build.tuning.report import tune_to_files
from edge_convnext.build.tuning.trials import REFINING, Trial
from edge_convnext.core.artifacts import Parity
from edge_convnext.core.cache import Cache
from edge_convnext.core.progress import untracked
from edge_convnext.measure.benchmark import BenchmarkResult
from edge_convnext.measure.halving import LAST_ROUNDS
from edge_convnext.networks.plans import Plan
from edge_convnext.networks.recipe_file import load_recipe, make_recipe
from edge_convnext.stages.keep_float import quantized_operations

SIDES = ("train", "val")
PLAN = Plan("raw", "weighted", "uint8")
OWN_DB = 30.0
FLOATS = ("first", "depthwise@0", "last")  # of `excited`; the gate is float, and may be INT8


def parity(sqnr_db):
    return Parity(n_images=8, max_abs_err=0.1, sqnr_db=sqnr_db, agreement_pct=99.0)


class Bench:
    """A desk whose graphs are as fast, and as near to the float graph, as the test says.

    `factors` and `gains_db` are by changed group; those in `lucky` hold in the first race alone.
    """

    runtime = "openvino"

    def __init__(self, folder, factors=None, gains_db=None, proto=None, **fields):
        self.factors, self.gains_db = factors or {}, gains_db or {}
        self.lucky, self.failed, self.wrong, self.same = {}, {}, {}, {}
        self.late, self.drops, self.seconds, self.own_db = {}, {}, 1.0, OWN_DB
        self.whole_db = self.gains_db  # with all images
        self.shaky = set()  # groups whose times scatter from round to round
        self.recipe = make_recipe({"model": "conv2former_n", **fields})
        self.path, self.raced_s, self.raced = folder / "float.onnx", 0.0, []
        onnx.save(proto or excited(), self.path)

    def few_images(self):
        return None

    def _of(self, values, plan, start):
        changed = (*plan.float_groups, *plan.int8_groups)
        return start + sum(values.get(group, 0.0) for group in changed)

    def _find(self, values, plan):
        changed = (*plan.float_groups, *plan.int8_groups)
        return next((values[group] for group in changed if group in values), None)

    def quantize(self, plans, images):
        graph = Of(value=Of(path=self.path))
        lineages = {
            plan: Of(
                before=lambda _stage: graph,
                at=lambda _stage, plan=plan: Of(
                    parity=parity(self._of(self.gains_db, plan, self.own_db))
                ),
            )
            for plan in plans
            if self._find(self.failed, plan) is None
        }
        unmade = {plan: why for plan in plans if (why := self._find(self.failed, plan))}
        return Of(lineages=lineages), unmade

    def sift(self, graphs, images):
        return {plan: why for plan in graphs.lineages if (why := self._find(self.wrong, plan))}

    def option(self, graphs, plan, hint):
        assert hint == "f32"
        return Of(plan=plan, digest=self._find(self.same, plan) or plan.label)

    def measure(self, options, names, rounds, *, again=False):
        assert not again or rounds == LAST_ROUNDS
        self.raced.append((tuple(names), rounds, again))
        self.raced_s += self.seconds
        factors = self.factors if again else {**self.factors, **self.lucky}
        times = {}
        for name in names:
            latency_ms = 1.0
            for group in (*options[name].plan.float_groups, *options[name].plan.int8_groups):
                latency_ms *= factors.get(group, 1.2)
            shaky = self.shaky.intersection(options[name].plan.float_groups)
            # A round in which everything is slow: rounds have to be paired.
            times[name] = [
                latency_ms * (5.0 if number == 1 else 1.0) * (0.8, 1.2)[number % 2] ** bool(shaky)
                for number in range(rounds)
            ]
        return times

    def check(self, plans, hints):
        assert list(hints) == ["f32"]
        (plan,) = plans
        found = Checked(
            parity(self._of(self.whole_db, plan, self.own_db)), self._find(self.drops, plan), 100,
            self._find(self.late, plan),
        )  # fmt: skip
        return {f"{plan.label} f32": found}, {}

    def refine(self, full=True, limit_s=None, plan=PLAN):
        winner = Trial(
            self.runtime, plan, "f32", None, parity(self.own_db), None, 100, True, "the fastest", 2
        )
        return refine(self, winner, full=full, limit_s=limit_s)


@pytest.fixture
def bench(tmp_path):
    return lambda *values, **fields: Bench(tmp_path, *values, **fields)


def reasons(found):
    return [one.reason for one in found.trials if not one.won]


def reason(found, start):
    return [one for one in reasons(found) if one.startswith(start)]


def test_what_is_faster_is_kept_one_after_the_other(bench):
    desk = bench({"first": 0.9, "last": 0.95})
    found = desk.refine()
    best = found.trials[0]
    assert best.won
    assert best.plan == replace(PLAN, float_groups=("first", "last"))
    assert [one.won for one in found.trials[1:]] == [False] * (len(found.trials) - 1)
    assert (best.lap.ratio, best.heat) == (pytest.approx(0.95), REFINING + 1)
    assert "2 of 4 changes kept: first in float (75 % of the work), 0.90x [0.90, 0.90]" in (
        found.summary
    )
    assert best.reason.startswith("the fastest; with first in float")
    (former,) = [one for one in found.trials if one.plan == PLAN]
    assert former.reason.startswith("better with first in float")
    # The fastest was raced first, and the other was raced again on top of it.
    assert {one.heat for one in found.trials} == {2, REFINING, REFINING + 1}
    again = [names for names, _, again in desk.raced if again]
    assert again[0] == ("raw.weighted.uint8 f32", "raw.weighted.uint8.float-first f32")
    assert again[1][0] == again[0][1]
    # What was slower for sure is not raced again, and what was kept is not taken back.
    (first,) = reason(found, "last in float (0 % of the work): looked faster, 0.95x")
    assert first.endswith("; others were raced again first, this was not")
    later = {one.plan for one in found.trials if one.heat == REFINING + 1}
    assert later == {replace(PLAN, float_groups=("first", "last"))}


def test_no_change_leaves_the_winner_as_it_was(bench):
    desk = bench()
    found = desk.refine()
    assert found.trials[0].plan == PLAN
    assert found.trials[0].reason == "the fastest"
    assert found.summary.startswith("none of 4 changes is faster")
    assert len(reason(found, "first in float (75 % of the work): slower, 1.20x [1.20, 1.20]")) == 1
    assert not any(again for _, _, again in desk.raced)
    assert all("raw.weighted.uint8 f32" in names for names, _, _ in desk.raced)


@pytest.mark.parametrize(
    ("factor", "gain_db", "kept"),
    [
        (0.97, 0.0, True),
        (0.97, -5.0, True),
        (0.99, 0.0, False),  # too little for another plan
        (0.99, 1.0, True),
        (1.0, 1.0, True),
        (1.0, 0.9, False),
        (1.01, 9.0, False),  # slower beyond the interval
        (1.2, 30.0, False),
    ],
)
def test_faster_or_as_fast_and_clearly_nearer(bench, factor, gain_db, kept):
    found = bench({"depthwise@0": factor}, {"depthwise@0": gain_db}).refine()
    assert (found.trials[0].plan.float_groups == ("depthwise@0",)) is kept
    if kept:
        assert found.trials[0].parity.sqnr_db == OWN_DB + gain_db


def test_nearer_with_few_images_is_not_enough(bench):
    desk = bench({"last": 1.0}, {"last": 5.0})
    desk.whole_db = {"last": 0.9}
    found = desk.refine()
    assert found.trials[0].plan == PLAN
    assert reason(
        found, "last in float (0 % of the work): as fast, 1.00x [1.00, 1.00], and 30.9 dB"
    )


def test_of_those_as_fast_the_three_nearest_have_a_second_race(bench):
    groups = ("first", "last", *(f"conv@{stage}" for stage in range(1, 9)))
    gains_db = {group: 2.0 + number for number, group in enumerate(groups)}
    desk = bench(dict.fromkeys(groups, 1.0), gains_db, proto=deep())
    desk.late = dict.fromkeys(groups, "computed wrongly here")
    found = desk.refine()
    again = [names[1] for names, _, again in desk.raced if again]
    assert len(again) == 3
    assert ["conv8" in again[0], "conv7" in again[1], "conv6" in again[2]] == [True] * 3
    assert found.trials[0].plan == PLAN


def test_where_no_plan_keeps_the_budget_a_change_may_not_lose_more(bench):
    for gain_db, kept in ((0.0, True), (-0.1, False)):
        desk = bench({"first": 0.9}, {"first": gain_db})
        desk.own_db = 9.6  # that of a graph which computes something else, as `holds` has it
        found = desk.refine()
        assert (found.trials[0].plan.float_groups == ("first",)) is kept
        if not kept:
            assert reason(found, "first in float (75 % of the work): past the accuracy budget: 9.5")


def test_what_the_second_race_shows_to_be_slower_is_not_kept_however_near(bench):
    desk = bench({"first": 1.01}, {"first": 9.0})
    desk.lucky = {"first": 1.0}
    found = desk.refine()
    assert found.trials[0].plan == PLAN
    assert reason(found, "first in float (75 % of the work): slower, 1.01x [1.01, 1.01]")


def test_what_scatters_too_much_to_tell_is_not_as_fast(bench):
    desk = bench({"first": 0.99}, {"first": 9.0})
    desk.shaky = {"first"}
    found = desk.refine()
    assert found.trials[0].plan == PLAN
    (told,) = reason(found, "first in float (75 % of the work): not shown to be as fast in 32")
    assert "nearer" not in told


@pytest.mark.parametrize("factor", [1.0, 0.99])
def test_luck_in_a_race_of_many_does_not_last(bench, factor):
    desk = bench({"first": factor})
    desk.lucky = {"first": 0.9}
    found = desk.refine()
    assert found.trials[0].plan == PLAN
    assert len(reason(found, "first in float (75 % of the work): as fast, ")) == 1
    assert sum(again for _, _, again in desk.raced) == 1


def test_a_float_gate_may_become_int8(bench):
    found = bench({"gate": 0.9}).refine()
    assert found.trials[0].plan == replace(PLAN, int8_groups=("gate",))
    assert "gate in INT8 (0 % of the work)" in found.summary


def test_what_can_not_be_made_or_is_wrong_or_the_same_is_not_raced(bench):
    desk = bench(dict.fromkeys((*FLOATS, "gate"), 0.5))
    desk.failed, desk.wrong = {"first": "no such kernel"}, {"last": "OpenVINO computes 3 dB"}
    desk.same = {"gate": PLAN.label}
    found = desk.refine()
    assert found.trials[0].plan.float_groups == ("depthwise@0",)
    raced = {name for names, _, _ in desk.raced for name in names}
    assert not any(group in name for name in raced for group in ("first", "last", "gate"))
    assert found.summary.startswith("1 of 1 changes kept: depthwise@0")
    for told in (
        "first in float (75 % of the work): not raced: no such kernel",
        "last in float (0 % of the work): not raced: OpenVINO computes 3 dB",
        "gate in INT8 (0 % of the work): not raced: the same graph as the plan that it changes",
    ):
        (one,) = [one for one in found.trials if one.reason.startswith(told)]
        assert (one.lap, one.hint) == (None, None)


def test_what_is_wrong_or_past_the_budget_with_all_images_is_not_kept(bench):
    desk = bench({"first": 0.5, "depthwise@0": 0.6, "last": 0.7}, {"depthwise@0": -25.0})
    desk.late, desk.drops = {"first": "computed wrongly here"}, {"last": 1.5}
    found = desk.refine()
    assert found.trials[0].plan == PLAN
    (wrong,) = reason(found, "first in float (75 % of the work): ")
    assert wrong.endswith("calibrated in full: computed wrongly here")
    assert reason(found, "depthwise@0 in float (25 % of the work): past the accuracy budget: 5.0")
    assert reason(found, "last in float (0 % of the work): past the accuracy budget")
    assert [one.wrong for one in found.trials if one.wrong] == ["computed wrongly here"]


def deep():
    """Ten groups: a convolution at each of nine resolutions, and a classifier."""
    pads = {"pads": [1, 1, 1, 1], "strides": [2, 2]}
    maps = ["images", *(f"map{number}" for number in range(9))]
    return write(
        [
            *(("Conv", (one, f"w{one}"), other, pads) for one, other in pairwise(maps)),
            ("GlobalAveragePool", (maps[-1],), "pool"),
            ("Flatten", ("pool",), "flat"),
            ("Gemm", ("flat", "last"), "logits", {"transB": 1}),
        ],
        {"wimages": draw(4, 3, 3, 3), **{f"w{one}": draw(4, 4, 3, 3) for one in maps[1:-1]}}
        | {"last": draw(5, 4)},
        (1, 3, 512, 512),
    )


def test_a_quick_search_tries_the_largest_and_keeps_less(bench):
    faster = dict.fromkeys(("first", "last", *(f"conv@{stage}" for stage in range(1, 9))), 0.9)
    desk = bench(faster, proto=deep())
    quick = desk.refine(full=False)
    assert quick.summary.startswith("2 of 9 changes kept: first in float")
    assert quick.trials[0].plan.float_groups == ("conv@1", "first")
    first = {name for names, _, _ in desk.raced[:1] for name in names}
    assert len(first) == 9  # with the plan itself
    assert not any("last" in name or "conv8" in name for name in first)
    full = bench(faster, proto=deep()).refine()
    assert full.summary.startswith("6 of 10 changes kept")
    assert len(full.trials[0].plan.float_groups) == 6


def test_no_race_is_begun_after_the_time_is_up(bench):
    faster = dict.fromkeys(FLOATS, 0.9)
    desk = bench(faster)
    desk.seconds = 10.0
    found = desk.refine(limit_s=5.0)
    assert [again for _, _, again in desk.raced] == [False]
    assert reason(found, "first in float (75 % of the work): not raced again: the time limit")
    assert found.summary == (
        "none of 4 changes kept; one or more that looked better were not raced again: the time "
        "limit"
    )
    desk = bench(faster)
    desk.seconds = 10.0
    found = desk.refine(limit_s=18.0)
    assert [again for _, _, again in desk.raced] == [False, False]
    assert found.trials[0].plan == PLAN
    assert any("not raced again: the time limit" in one for one in reasons(found))
    desk = bench(faster)
    desk.seconds = 10.0
    found = desk.refine(limit_s=45.0)  # enough for one change
    assert len(found.trials[0].plan.float_groups) == 1


def test_where_there_is_nothing_to_refine_the_reason_is_told(bench):
    alone = write([("Conv", ("images", "w"), "logits")], {"w": draw(2, 3, 1, 1)})
    stated = bench(quantize={"placement": "weighted"})
    by_name = bench()
    by_name.recipe = make_recipe({"model": "atto"})
    for desk, why in (
        (bench(proto=alone), "no group of products can be changed alone"),
        (stated, "the recipe states the placement weighted"),
        (by_name, "ConvNeXt is not placed by role"),
    ):
        onnx.save(alone, desk.path)
        found = desk.refine()
        assert found.summary == f"not run: {why}"
        assert [one.plan for one in found.trials] == [PLAN]
        assert desk.raced == []


class Stopwatch:
    """Stands in for the benchmark: whatever leaves the first product float is fastest."""

    def __call__(self, candidates, images, config, *_arguments, **_options):
        rows = []
        for one in candidates:
            latency_ms = 1.0 if "weighted.uint8" in one.name else 2.0
            latency_ms *= 0.8 if ".float-first" in one.name else 1.1 if ".float" in one.name else 1
            rows.append(Of(artifact=one.name, round_latency_ms_p50=(latency_ms,) * config.rounds))
        return BenchmarkResult(tuple(rows), (), 0.0)


@pytest.mark.slow
def test_a_build_of_the_tuned_recipe_makes_the_same_graph(tmp_path, monkeypatch):
    torch = pytest.importorskip("torch", reason="the build extra is not installed")
    toy_family.install(monkeypatch)
    for name, value in (
        ("placer", "roles"), ("portable", ("raw", "weighted")), ("placements", ("weighted",)),
    ):  # fmt: skip
        monkeypatch.setattr(toy_family.FAMILY, name, value)
    monkeypatch.setattr(lab, "benchmark", Stopwatch())
    write_images(tmp_path / "images", {f"{side}/{name}": 5 for side in SIDES for name in "ab"})
    torch.save(toy_family.FAMILY.draw(toy_family.ToyShape(2), 0), tmp_path / "weights.pth")
    fields = {**quick_fields(tmp_path, "net"), "runtime": "onnxruntime"}
    own = Cache(tmp_path / "own")
    report = tune_to_files(make_recipe(fields), "quick", tmp_path / "tune", untracked, own)
    assert report.result.refined["onnxruntime"].startswith("1 of 3 changes kept: first in float")
    tuned = load_recipe(tmp_path / "tune" / "tuned.yaml")
    assert tuned.plans["onnxruntime"].float_groups == ("first",)
    assert tuned.plans["onnxruntime"].placement == "weighted"
    built = edge_convnext.build(tuned, tmp_path / "out", cache=Cache(tmp_path / "other"))
    assert built.recipe["plans"]["onnxruntime"]["float_groups"] == ["first"]
    name = "raw.weighted.uint8.float-first.int8.onnx"
    made = {path.read_bytes() for path in (tmp_path / "other").rglob(name)}
    assert len(made) == 1
    assert made <= {path.read_bytes() for path in (tmp_path / "own").rglob(name)}
    (graph,) = (onnx.load_from_string(one) for one in made)
    assert len(quantized_operations(graph)) == 2  # of three products
