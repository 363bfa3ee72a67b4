import math
from types import SimpleNamespace as Of

import numpy as np
import pytest
from support.races import candidate

from edge_convnext.core.errors import ArtifactError
from edge_convnext.devices.bench.right_here import Held
from edge_convnext.devices.tuning import contest as module
from edge_convnext.devices.tuning.contest import (
    Contest,
    Judgement,
    choose_winner,
    judge_finalists,
    race_entrants,
)
from edge_convnext.devices.tuning.entrants import Entered
from edge_convnext.measure.accuracy import Comparison
from edge_convnext.measure.halving import Lap, Standing
from edge_convnext.report.described import LeftOutReport

INT8, FLOAT = ("a", "b", "c"), ("x", "y")


def entered(usual=("b",)):
    found = Entered(usual=list(usual))
    for name in (*INT8, *FLOAT):
        precision = "int8" if name in INT8 else "fp32"
        found.candidates[name] = candidate(name, None, precision)
    return found


class Watch:
    """Times by name; each rung takes ten seconds."""

    track = staticmethod(lambda items, *_: items)

    def __init__(self, **latency):
        self.latency, self.rungs = latency, []
        self.journal, self.entered = Of(spent_s=0.0), Entered()
        self.search = Of(max_drop_pp=1.0, evaluate_batch=4, threads=1)

    def measure(self, names, rounds):
        self.rungs.append(list(names))
        self.journal.spent_s += 10.0
        random = np.random.default_rng(len(self.rungs))
        return {name: list(self.latency[name] * random.normal(1, 1e-3, rounds)) for name in names}


def lap(ratio, low=None, high=None):
    return Lap(ratio, ratio, None if low is None else (low, high), 18)


def compared(drop=0.0, agreement=100.0):
    return Comparison(10, drop, (drop, drop), 0, 0, agreement, None)


def test_int8_and_floats_have_races_of_their_own():
    watch = Watch(a=3.0, b=2.0, c=1.0, x=0.5, y=0.6)  # a faster float throws no INT8 out
    found = race_entrants(entered(), watch, math.inf)
    assert found.order[0] == "c"
    assert set(found.order) == set(INT8)
    assert found.floats.finalists[0] == "x"
    assert watch.rungs[0] == ["b", "a", "c"]  # the usual one is the anchor of groups
    assert not any(set(names) & set(INT8) and set(names) & set(FLOAT) for names in watch.rungs)
    assert "b" in found.quantized.finalists


def test_the_time_is_shared_among_the_races():
    watch = Watch(a=1.0, b=1.0, c=1.0, x=1.0, y=1.0)
    found = race_entrants(entered(), watch, 0.0)
    assert "time limit" in found.quantized.stopped
    assert len(watch.rungs) == 2  # one rung each, so that there is a result


def test_a_usual_plan_that_was_lost_on_the_way_is_no_finalist():
    class Loses(Watch):
        def measure(self, names, rounds):
            self.entered.lost["b"] = "no memory"
            return super().measure([name for name in names if name != "b"], rounds)

    found = race_entrants(entered(), Loses(a=2.0, c=1.0, x=0.5, y=0.6), math.inf)
    assert set(found.quantized.finalists) == {"a", "c"}


def test_without_int8_there_is_no_search():
    one = entered()
    for name in INT8:
        del one.candidates[name]
        one.lost[name] = "no kernel"
    with pytest.raises(ArtifactError, match="no INT8 graph of the search runs here: no kernel"):
        race_entrants(one, Watch(x=1.0, y=1.0), math.inf)


@pytest.fixture
def judged(monkeypatch):
    """Judge finalists with figures that the test states; returns what was evaluated."""

    def judge(drops=None, wrong=None, finalists=("a", "b"), order=INT8, images=True):
        seen = []

        def evaluate(options, images, batch, threads, folder, machine, track):
            names = [one.name for one in options]
            seen.append(names)
            return {name: Of(logits=np.zeros((1, 2)), name=name) for name in names}, []

        def compare(reference, predictions):
            return {name: compared((drops or {}).get(name, 0.0)) for name in predictions}

        def keep(candidates, logits, sources, shown, threads):
            bad = [one for one in candidates if one.name in (wrong or {})]
            left = [LeftOutReport(artifact=one.name, reason=wrong[one.name]) for one in bad]
            return Held([one for one in candidates if one not in bad], left)

        monkeypatch.setattr(module, "evaluate_candidates", evaluate)
        monkeypatch.setattr(module, "compare", compare)
        monkeypatch.setattr(module, "keep_right", keep)
        floats = Standing({"x": lap(1.0)}, ("x",), "over")
        raced = Standing({name: lap(1.0) for name in order}, finalists, "over")
        contest = Contest(raced, floats, tuple(order))
        found = judge_finalists(
            contest, entered(), Of(reference=None) if images else None,
            np.zeros((1, 3, 4, 4), np.float32), Watch(), None, {},
        )  # fmt: skip
        return found, seen

    return judge


def test_finalists_are_evaluated_with_the_float_that_they_are_held_to(judged):
    found, seen = judged()
    assert seen == [["x", "a", "b"]]
    assert found.judged == ["a", "b"]
    assert found.holds("a", 1.0)


def test_others_are_evaluated_where_no_finalist_keeps_the_budget_or_is_right(judged):
    found, seen = judged(drops={"a": 2.0}, wrong={"b": "computes something else"})
    assert [names[1:] for names in seen] == [["a", "b"], ["c"]]
    assert found.holds("c", 1.0)
    assert not found.holds("a", 1.0)
    assert not found.holds("b", 1.0)


def test_without_images_nothing_is_evaluated_and_that_is_said(judged):
    found, seen = judged(images=False)
    assert (seen, found.judged) == ([], ["a", "b"])
    assert found.unheld == "the search has no labelled images"


def test_the_fastest_within_the_budget_wins():
    found = Judgement({"a": compared(), "b": compared(3.0), "c": compared()}, judged=[*INT8])
    laps = {"a": lap(1.5, 1.4, 1.6), "b": lap(1.0), "c": lap(1.2, 1.19, 1.21)}
    assert choose_winner(found, laps, entered(), 1.0)[0] == "c"
    found.wrong["c"] = "computes something else"
    name, why = choose_winner(found, laps, entered(), 1.0)
    assert (name, why) == ("a", "the fastest within the accuracy budget")


def test_of_those_as_fast_the_nearest_to_the_float_wins_then_the_usual():
    laps = {"a": lap(1.0), "b": lap(1.01, 0.99, 1.03), "c": lap(1.02, 0.98, 1.05)}
    near = Judgement({"a": compared(0, 98.0), "b": compared(0, 99.0), "c": compared(0, 99.5)})
    near.judged = [*INT8]
    name, why = choose_winner(near, laps, entered(), 1.0)
    assert (name, why) == ("c", "the nearest to the float of 3 that are as fast")
    equal = Judgement({name: compared() for name in INT8}, judged=[*INT8])
    assert choose_winner(equal, laps, entered(), 1.0)[0] == "b"
    unseen = Judgement(judged=[*INT8])
    assert choose_winner(unseen, laps, entered(usual=()), 1.0)[0] == "a"


def test_past_the_budget_the_most_accurate_is_named_and_says_so():
    found = Judgement({"a": compared(5.0), "b": compared(3.0)}, judged=["a", "b"])
    name, why = choose_winner(found, {"a": lap(1.0), "b": lap(2.0)}, entered(), 1.0)
    assert name == "b"
    assert why.startswith("the most accurate; none keeps the accuracy budget of 1")


def test_where_none_is_right_there_is_no_winner():
    found = Judgement(wrong={"a": "computes something else"}, judged=["a"])
    with pytest.raises(ArtifactError, match=r"no finalist.*computes something else"):
        choose_winner(found, {"a": lap(1.0)}, entered(), 1.0)
