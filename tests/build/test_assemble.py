"""The parts of a build's report that rest on its race and its choice."""

from dataclasses import replace

import pytest
from support.races import ROW, candidate

from edge_convnext.build import assemble
from edge_convnext.build.entrants import Choice
from edge_convnext.measure.timings import BenchmarkResult
from edge_convnext.networks.recipe_file import make_recipe
from edge_convnext.report.stages import StageReport

INT8 = candidate("int8", precision="int8")
FAST, SLOW, RAW = (candidate(name) for name in ("fast", "slow", "raw"))
TIMES_MS = {"int8": 1.0, "fast": 1.5, "slow": 2.0, "raw": 4.0}
TIMINGS = BenchmarkResult(
    tuple(
        replace(ROW, candidate=one, round_latency_ms_p50=(TIMES_MS[one.name],) * 7)
        for one in (INT8, FAST, SLOW, RAW)
    ),
    (),
)


def part(precision="int8", choice=None, raw=RAW, timings=TIMINGS):
    choice = choice or Choice(INT8, SLOW, rivals=(FAST,))

    def label(one):
        return f"<{one.name}>"

    scope = {"scope": "decision"}
    recipe = make_recipe({"model": "convnextv2_atto", "precision": precision, "benchmark": scope})
    return assemble._benchmark(timings, recipe, ("onnxruntime",), choice, raw, label)


def test_the_speed_up_is_over_the_float_that_is_hardest_to_beat():
    found = part()
    assert (found.chosen, found.best_float, found.rival_float) == ("<int8>", "<slow>", "<fast>")
    assert found.speedup_vs_best_float == pytest.approx(1.5)
    assert (found.raw_fp32, found.speedup_vs_raw_fp32) == ("<raw>", pytest.approx(4.0))
    assert [row.artifact for row in found.rows] == ["<int8>", "<fast>", "<slow>", "<raw>"]
    assert found.forms_not_raced[:3] == ("raw", "linear", "conv")


def test_the_best_float_is_a_rival_too():
    assert part(choice=Choice(INT8, FAST)).rival_float == "<fast>"


def test_of_a_float_build_the_float_that_ships_is_its_own_rival():
    found = part("fp32", Choice(SLOW, SLOW, rivals=(FAST,)))
    assert (found.rival_float, found.speedup_vs_best_float) == ("<slow>", 1.0)


def test_without_a_choice_a_float_or_a_race_there_is_no_ratio():
    assert part(timings=None) is None
    nothing = part(choice=Choice(None, None))
    assert (nothing.speedup_vs_raw_fp32, nothing.speedup_vs_best_float) == (None, None)
    alone = part(choice=Choice(INT8, None), raw=None)
    assert (alone.rival_float, alone.speedup_vs_raw_fp32) == (None, None)


def test_a_verdict_is_told_what_did_not_run():
    stages = [
        StageReport(name="recover", status="not_run", reason="not asked for"),
        StageReport(name="evaluate", status="not_run", reason="no images"),
        StageReport(name="benchmark", status="done", seconds=1.0),
    ]
    assert assemble._missing(stages) == ["Evaluate did not run: no images."]


def test_the_model_whose_accuracy_was_measured_is_called_as_it_ships():
    choice, names = Choice(INT8, None), {"int8": "model.int8.onnx"}
    assert assemble._evaluated_file(choice, "evaluation", names) == "model.int8.onnx"
    assert assemble._evaluated_file(choice, "evaluation", {}) == "int8"
    assert assemble._evaluated_file(choice, None, names) is None
    assert assemble._evaluated_file(Choice(None, None), "evaluation", names) is None
