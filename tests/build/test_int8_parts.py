"""What a report tells of INT8 graphs that were mended or fine-tuned."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from support.races import ROW, candidate

from edge_convnext.build.budget import Fallback
from edge_convnext.build.int8_parts import report_fallbacks, report_recoveries
from edge_convnext.core.artifacts import Parity
from edge_convnext.measure.timings import BenchmarkResult
from edge_convnext.networks.plans import Plan
from edge_convnext.stages.sensitivity import Sensitivity

FULL, HELD = candidate("full", precision="int8"), candidate("held", precision="int8")
RANKING = (Sensitivity("a", 10.0, 90.0, 20.0, 95.0, 60.0),)
PLAN = Plan("conv", "inner")
MENDED = Fallback(PLAN, FULL, 3.0, RANKING, ("a",), (HELD,), (FULL,))
SEARCHED = SimpleNamespace(what="training images", count=12)
EVALUATION = SimpleNamespace(
    comparisons={"held": SimpleNamespace(top1_drop_pp=0.5)},
    reference=SimpleNamespace(labels=np.zeros(7)),
)


def timed(name, ms):
    return replace(ROW, candidate=candidate(name), round_latency_ms_p50=(ms,) * 7)


def test_a_fallback_is_told_with_its_images_and_its_cost():
    timings = BenchmarkResult((timed("full", 1.0), timed("held", 2.0)), ())
    (found,) = report_fallbacks([MENDED], SEARCHED, EVALUATION, timings)
    assert (found.graph, found.kept_float, found.top1_drop_before_pp) == ("conv.inner", ("a",), 3.0)
    assert (found.top1_drop_pp, found.n_judged) == (0.5, 7)
    assert (found.searched_on, found.n_searched) == ("training images", 12)
    assert found.speedup_vs_full == pytest.approx(0.5)
    assert found.speedup_vs_full_ci95 == pytest.approx((0.5, 0.5))
    assert found.sensitivity[0].noise_share_pct == 60.0


def test_a_graph_without_a_fallback_says_why_and_no_more():
    missed = replace(MENDED, names=None, options=(), replaced=(), reason="no images")
    (found,) = report_fallbacks([missed], SEARCHED, EVALUATION, None)
    assert (found.reason, found.kept_float, found.top1_drop_pp) == ("no images", None, None)
    assert (found.searched_on, found.n_searched, found.n_judged) == (None, None, None)
    assert found.speedup_vs_full is None


def test_without_labelled_images_or_a_race_there_is_less_to_tell():
    assert report_fallbacks([MENDED], SEARCHED, None, None) == ()
    (found,) = report_fallbacks([MENDED], SEARCHED, EVALUATION, None)
    assert (found.speedup_vs_full, found.speedup_vs_full_ci95) == (None, None)


def test_what_fine_tuning_did_is_told_of_each_graph_that_went_through_it():
    before, after = Parity(4, 1.0, 10.0, 90.0), Parity(4, 0.5, 20.0, 95.0)
    recovery = SimpleNamespace(kept=True, before=before, after=after, steps=3, n_training=8)
    made = [SimpleNamespace(plan=PLAN, recovery=own) for own in (None, recovery)]
    (found,) = report_recoveries(made)
    assert (found.graph, found.kept, found.steps, found.n_training) == ("conv.inner", True, 3, 8)
    assert (found.before.sqnr_db, found.after.sqnr_db) == (10.0, 20.0)
